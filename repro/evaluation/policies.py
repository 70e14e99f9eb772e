"""Policies of finished runs: parameters and normalizer as training left them.

`load_policy` returns a callable policy whatever algorithm trained it. Actions for one observation
do not depend, in any bit, on the other observations of the batch.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from repro import envs
from repro.algorithms import ALGORITHMS
from repro.config import sb3
from repro.envs import actions as task_actions
from repro.envs import user_code
from repro.envs.vector import VectorEnv
from repro.errors import ConfigError, CorruptError
from repro.learning.normalize import ObservationNormalizer
from repro.networks.distributions import Distribution
from repro.networks.mlp import MLPActorCritic
from repro.rollouts.diagnosis import FLOAT32_MAX, FLOAT64_MAX
from repro.runs import store
from repro.runs.finished import FinishedRun
from repro.runs.schema import PARAMETERS_FILE

Generators = Sequence[np.random.Generator]
Observations = NDArray[Any]
Actions = NDArray[Any]


class Policy(Protocol):
    """Maps raw observations to actions; normalization and clipping of actions are part of it.

    Attributes:
        stochastic: whether sampled actions differ from the most likely ones.
        observation_shape: of one observation, without the batch axis.
        largest: absolute value of an observation that the policy can take.
    """

    stochastic: bool
    observation_shape: tuple[int, ...]
    largest: float

    def act(self, observations: Observations, generators: Generators | None) -> Actions:
        """Actions for a batch of N observations.

        Args:
            observations: as the task returns them: float64 [N, D], or frames as uint8
                [N, S, H, W].
            generators: [N], from which each row's action is sampled; None for the most likely
                actions. `[generator] * N` samples all rows from one generator.

        Returns:
            Members of the task's space, of its dtype: [N, A], or integers [N].
        """
        ...


class Predictor(Protocol):
    """A policy of another library, which samples from torch's global generator."""

    def predict(self, observations: Observations, deterministic: bool) -> Actions:
        """Actions [N, ...] for raw observations [N, ...]."""
        ...


def load_policy(run: FinishedRun) -> Policy:
    """The trained policy of a finished run.

    Raises:
        ConfigError: its task or its algorithm is not available here.
        CorruptError: its files are damaged or were changed.
    """
    name, task = run.config.algorithm.name, run.config.env
    env = envs.make(task.id, task.backend, 1, task.switches, task.kwargs)  # for its spaces
    try:
        if name in ALGORITHMS:
            frames = run.config.policy.convolutions is not None
            return FramesPolicy(run, env) if frames else NetworkPolicy(run, env)
        try:
            from repro.algorithms.sb3 import policy
        except ModuleNotFoundError as error:
            raise ConfigError(sb3.missing(name)) from error
        return RowByRow(policy.load(run), _shape(env))
    finally:
        user_code.close(env, task.id)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """One torch thread, as in training: with more, last bits may differ. The caller's come back."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _shape(env: VectorEnv) -> tuple[int, ...]:
    shape = env.single_observation_space.shape
    assert shape is not None
    return shape


class NetworkPolicy:
    """Multilayer perceptrons of this project.

    The batch takes the learners' axis, with a copy of the parameters for each row: a batched
    product gives each row the same bits for every N, which a product with N rows does not.
    """

    def __init__(self, run: FinishedRun, env: VectorEnv) -> None:
        """Load the run's parameters.

        Args:
            run: of an algorithm in ALGORITHMS.
            env: of its task.

        Raises:
            CorruptError: the parameters do not fit the configuration.
        """
        config = run.config
        saved = run.parameters()
        self.networks = ALGORITHMS[config.algorithm.name].make_policy(config, env)
        self.stochastic = self.networks.stochastic
        self.observation_shape = _shape(env)
        size = self.networks.observation_size
        shapes = self.networks.acting
        moments: dict[str, tuple[int, ...]] = {"mean": (size,), "variance": (size,), "count": (1,)}
        expected = shapes | {f"observations.{name}": shape for name, shape in moments.items()}
        _check_shapes(run, saved, expected)
        self.parameters = _tensors(self.networks, saved)
        self._copies: dict[str, Tensor] = {}
        self.normalizer = ObservationNormalizer(1, size, config.recipe)
        self.largest = FLOAT64_MAX if self.normalizer.enabled else FLOAT32_MAX
        self.normalizer.restore(0, {name: saved[f"observations.{name}"] for name in moments})
        self.space = env.single_action_space
        box = task_actions.bounds(self.space) if config.recipe.clip_actions else None
        self.box = None if box is None else (torch.from_numpy(box[0]), torch.from_numpy(box[1]))

    @torch.no_grad()
    def act(self, observations: Observations, generators: Generators | None) -> Actions:
        """See `Policy.act`."""
        inputs = np.empty((1, *observations.shape), np.float32)
        self.normalizer.apply(observations[None], out=inputs)
        rows = torch.from_numpy(inputs).transpose(0, 1)
        distribution = self.networks.distribution(self._stacked(len(rows)), rows)
        if generators is None:
            actions = distribution.mode()
        else:
            actions = distribution.sample(self._noise(generators))
        if self.box is not None:
            actions = torch.clamp(actions, *self.box)
        return task_actions.to_task(actions[:, 0].numpy(), self.space)

    def _stacked(self, copies: int) -> Mapping[str, Tensor]:
        """Parameters by name, [N, ...]."""
        first = next(iter(self._copies.values()), None)
        if first is None or len(first) != copies:
            self._copies = {
                name: tensor.expand(copies, *tensor.shape).contiguous()
                for name, tensor in self.parameters.items()
            }
        return self._copies

    def _noise(self, generators: Generators) -> Tensor:
        """Input of `sample`: [N, 1, A] standard normal, or [N, 1] uniform."""
        if self.networks.discrete:
            return torch.tensor([[each.random(dtype=np.float32)] for each in generators])
        size = self.networks.action_size
        noise = [each.standard_normal((1, size), np.float32) for each in generators]
        return torch.from_numpy(np.stack(noise))


class FramesPolicy:
    """Convolutional networks of this project. Each stack of frames is a batch of its own."""

    largest = FLOAT32_MAX

    def __init__(self, run: FinishedRun, env: VectorEnv) -> None:
        """Load the run's parameters.

        Args:
            run: of an algorithm in ALGORITHMS.
            env: of its task.

        Raises:
            CorruptError: the parameters do not fit the configuration.
        """
        saved = run.parameters()
        self.networks = ALGORITHMS[run.config.algorithm.name].make_policy(run.config, env)
        self.stochastic = self.networks.stochastic
        self.observation_shape = _shape(env)
        _check_shapes(run, saved, self.networks.acting)
        tensors = _tensors(self.networks, saved)
        self.parameters = {name: tensor[None] for name, tensor in tensors.items()}

    @torch.no_grad()
    def act(self, observations: Observations, generators: Generators | None) -> Actions:
        """See `Policy.act`."""
        stacks = torch.from_numpy(observations)[:, None, None]
        if generators is None:
            return np.array([int(self._distribution(stack).mode()) for stack in stacks])
        return np.array(
            [
                int(self._distribution(stack).sample(_uniform(generator)))
                for stack, generator in zip(stacks, generators, strict=True)
            ]
        )

    def _distribution(self, stack: Tensor) -> Distribution:
        """Of the action for frames [1, 1, S, H, W]."""
        return self.networks.distribution(self.parameters, stack)


class RowByRow:
    """A `Predictor` called one row at a time, so that no row's bits depend on other rows."""

    stochastic = True
    largest = FLOAT32_MAX

    def __init__(self, predictor: Predictor, observation_shape: tuple[int, ...]) -> None:
        """Wrap a predictor. torch's global generator is seeded before each row."""
        self._predictor = predictor
        self.observation_shape = observation_shape

    def act(self, observations: Observations, generators: Generators | None) -> Actions:
        """See `Policy.act`."""
        actions = []
        for i, observation in enumerate(observations):
            if generators is not None:
                torch.manual_seed(int(generators[i].integers(1 << 63)))
            (action,) = self._predictor.predict(observation[None], deterministic=generators is None)
            actions.append(action)
        return np.stack(actions)


def _uniform(generator: np.random.Generator) -> Tensor:
    return torch.tensor([[generator.random(dtype=np.float32)]])


def _tensors(networks: MLPActorCritic, saved: Mapping[str, Any]) -> dict[str, Tensor]:
    """What one learner's policy takes of its parameters, padded as the networks expect them."""
    trimmed = {name: np.asarray(saved[name], np.float32) for name in networks.acting}
    return {name: torch.from_numpy(array) for name, array in networks.pad(trimmed).items()}


def _check_shapes(
    run: FinishedRun, saved: Mapping[str, Any], expected: Mapping[str, tuple[int, ...]]
) -> None:
    for name, shape in expected.items():
        found = saved[name].shape if name in saved else None
        if found != shape:
            path = run.directory / PARAMETERS_FILE
            problem = "is missing" if found is None else f"has shape {found}, not {shape}"
            raise CorruptError(f"{path} is damaged ({name} {problem}): {store.REMEDY}.")
