"""The training loop of a pack, as an iterator of records. It knows no files, loggers or Hydra."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch

from repro import envs
from repro.algorithms import ALGORITHMS
from repro.algorithms.base import Learners
from repro.algorithms.iteration import Iteration
from repro.config import sb3
from repro.config.names import check_choice
from repro.config.schema import Config
from repro.console import say
from repro.engines import cuda
from repro.envs import user_code
from repro.errors import ConfigError, CorruptError, TaskError
from repro.training.devices import resolve_device, settled

if TYPE_CHECKING:  # it needs an optional package
    from repro.algorithms.sb3.algorithm import StableBaselines3


class Training:
    """P runs that train in lockstep. Iterating over it trains them and yields their records."""

    def __init__(self, configs: Sequence[Config]) -> None:
        """Make environments and learners.

        Args:
            configs: [P], of one pack (`sweeps.packs.group`).

        Raises:
            ConfigError: a task, objective or device is not available.
        """
        config = settled(configs[:1], say)[0]
        device = resolve_device(config.device)
        cuda.prepare(device)
        self._algorithm: Learners | StableBaselines3
        if config.algorithm.is_sb3:
            self._algorithm = _make_sb3(config, device)
        else:
            self._algorithm = _make_learners(configs, device)
        self.device, self._task = str(device), config.env.id
        own = self._algorithm
        discrete = isinstance(own, Learners) and own.policy.discrete
        self.deterministic = cuda.deterministic(device, discrete)
        self.engine = self._algorithm.engine

    def __iter__(self) -> Iterator[Iteration]:
        """Train until every run has finished or failed."""
        try:
            yield from self._algorithm.train()
        finally:
            user_code.close(self._algorithm, self._task)  # what was trained is kept

    @property
    def notice(self) -> str:
        """What the user should know at the start; empty if nothing."""
        return self._algorithm.notice if isinstance(self._algorithm, Learners) else ""

    @property
    def position(self) -> tuple[int, int]:
        """The iteration under way, and each learner's environment steps so far."""
        return self._algorithm.iteration, self._algorithm.steps

    def checkpoint(self, learner: int) -> dict[str, Any] | None:
        """The state that a learner's next iterations depend on; None if it cannot be saved.

        It has no part named `envs` if the simulators' state cannot be saved.
        """
        return self._algorithm.checkpoint(learner)

    def restore(self, learner: int, state: Mapping[str, Any]) -> None:
        """Restore what `checkpoint` returned, before the first iteration.

        Raises:
            ConfigError: the state is another task's.
            CorruptError: the state is another algorithm's, or has another size.
        """
        try:
            self._algorithm.restore(learner, state)
        except (ConfigError, TaskError):
            raise
        except (LookupError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            raise CorruptError(
                f"a checkpoint does not fit ({type(error).__name__}: {error}): say resume=never to "
                "start from the beginning."
            ) from error

    def state(self, learner: int) -> dict[str, Any]:
        """A learner's parameters and normalizer statistics by name."""
        return self._algorithm.state(learner)


def _make_learners(configs: Sequence[Config], device: torch.device) -> Learners:
    config = configs[0]
    check_choice("algorithm.name", config.algorithm.name, ALGORITHMS)
    size = len(configs) * config.env.num_envs
    task = config.env
    made = envs.make(task.id, task.backend, size, task.switches, task.kwargs)
    try:
        return ALGORITHMS[config.algorithm.name](configs, made, device)
    except BaseException:
        user_code.close(made, config.env.id)
        raise


def _make_sb3(config: Config, device: torch.device) -> StableBaselines3:
    try:
        from repro.algorithms.sb3.algorithm import StableBaselines3
    except ModuleNotFoundError as error:
        raise ConfigError(sb3.missing(config.algorithm.name)) from error
    return StableBaselines3(config, device)


def parameters(config: Config) -> int:
    """How many a learner's networks have."""
    task = config.env
    made = envs.make(task.id, task.backend, 1, task.switches, task.kwargs)
    try:
        kind = Learners if config.algorithm.is_sb3 else ALGORITHMS[config.algorithm.name]
        return sum(math.prod(shape) for shape in kind.make_policy(config, made).shapes.values())
    finally:
        user_code.close(made, config.env.id)
