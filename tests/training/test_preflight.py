"""What is said before a run starts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium.spaces import Box, Discrete

from repro.training.preflight import preflight
from tests.helpers.configs import compose
from tests.helpers.spaces import register

INF = np.inf


@pytest.mark.parametrize(
    ("space", "line", "said"),
    [
        (Box(0, 1, (2,)), "", True),
        (Box(np.array([-INF, 0]), np.array([INF, INF]), dtype=np.float64), "", True),
        (Box(0, 1, (2,)), "recipe.clip_actions=true", False),
        (Box(0, 1, (2,)), "recipe=sb3 algorithm=sb3_ppo", False),
        (Box(-INF, INF, (2,)), "", False),
        (Discrete(3), "", False),
    ],
    ids=str,
)
def test_actions_that_may_leave_the_declared_box(
    capsys: pytest.CaptureFixture[str], space: Any, line: str, said: bool
) -> None:
    env_id = register("ReproBounds", action_space=space)
    config = compose("env=gymnasium", f"env.id={env_id}", *line.split())
    preflight([config, config])
    out = capsys.readouterr().out
    assert out.count("\n") == said and ("recipe.clip_actions=true" in out) == said
    assert out.startswith(env_id if said else "")


def test_the_tasks_of_the_paper_clip_their_own_actions(capsys: pytest.CaptureFixture[str]) -> None:
    preflight([compose("env=reacher")])
    assert not capsys.readouterr().out
