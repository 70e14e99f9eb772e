"""Steps of environments that are in Python, between kernels that act and that record."""

from __future__ import annotations

import time
from typing import Any

from repro.engines.native.acting import Acting
from repro.engines.native.recording import Recording
from repro.envs import actions as task_actions
from repro.envs.vector import VectorEnv


class Stepping:
    """One step from observations to rewards, as the collector's own; like `Collecting`."""

    def __init__(self, acting: Acting, recording: Recording, envs: VectorEnv) -> None:
        """Bind the kernels."""
        self._act, self._record, self._envs = acting, recording, envs

    def __call__(self, t: int, seconds: dict[str, float]) -> tuple[int, dict[str, Any]]:
        """Take the step at time t of the rollout; arguments and result as of `Collecting`."""
        envs, start = self._envs, time.perf_counter()
        actions = task_actions.to_task(self._act(t, envs.observations), envs.single_action_space)
        acted = time.perf_counter()
        *returned, infos = envs.step(actions)
        ended = self._record(t, *returned)
        seconds["forward"] += acted - start
        seconds["env"] += time.perf_counter() - acted
        return t + 1, infos if ended else {}
