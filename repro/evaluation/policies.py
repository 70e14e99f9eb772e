"""Policies of finished runs, ready to act: parameters and normalizer as training left them, frozen.

Whatever trained a run, `policy_of` gives what `trials.play` needs: actions from observations, a row
each, whose bits depend on no other row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from gymnasium.spaces import Box
from numpy.typing import NDArray
from torch import Tensor

from repro.algorithms import ALGORITHMS
from repro.config import sb3
from repro.envs.vector import VectorEnv
from repro.errors import ConfigError, CorruptError
from repro.learning.normalize import ObservationNormalizer
from repro.networks.mlp import MLPActorCritic
from repro.runs.finished import AGAIN, PARAMETERS, FinishedRun, read_parameters

Noise = Sequence[np.random.Generator]  # a row's own stream each
Observations = NDArray[Any]
Actions = NDArray[Any]


class Policy(Protocol):
    """What acts.

    Attributes:
        stochastic: whether noise makes a difference.
    """

    stochastic: bool

    def act(self, observations: Observations, noise: Noise | None) -> Actions:
        """Actions for N environments, as `VectorEnv.step` takes them.

        Args:
            observations: float64 [N, D] or frames, uint8 [N, S, H, W], as the task gives them.
            noise: [N]; or None for the likeliest actions.

        Returns:
            [N, A] float32, or [N] integers.
        """
        ...


class Predictor(Protocol):
    """Another library's policy, which draws its noise from torch's own generator."""

    def predict(self, observations: Observations, deterministic: bool) -> Actions:
        """Actions [N, ...] from observations [N, ...], as the task gives and takes them."""
        ...


def policy_of(run: FinishedRun, envs: VectorEnv) -> Policy:
    """The policy of a run, by its algorithm's name.

    Args:
        run: a finished one.
        envs: any number of its environments.

    Raises:
        ConfigError: nothing here can load it.
        CorruptError: its files are damaged.
    """
    name = run.config.algorithm.name
    if name in ALGORITHMS:
        frames = run.config.policy.convolutions is not None
        return FramesPolicy(run, envs) if frames else NetworkPolicy(run, envs)
    try:
        from repro.algorithms.sb3 import policy
    except ModuleNotFoundError as error:
        raise ConfigError(sb3.missing(name)) from error
    return RowByRow(policy.load(run.directory))


class NetworkPolicy:
    """Our own networks.

    The N environments take the axis of the learners, each with a copy of the parameters: a batched
    product gives a member the same bits whatever N is, which a product with N rows does not.
    """

    def __init__(self, run: FinishedRun, envs: VectorEnv) -> None:
        """Load `parameters.npz`.

        Raises:
            CorruptError: it does not fit the configuration.
        """
        config = run.config
        saved = read_parameters(run)
        self._networks = ALGORITHMS[config.algorithm.name].make_policy(config, envs)
        self.stochastic = self._networks.stochastic
        size = self._networks.observation_size
        shapes = self._networks.shapes
        moments: dict[str, tuple[int, ...]] = {"mean": (size,), "variance": (size,), "count": (1,)}
        wanted = shapes | {f"observations.{name}": shape for name, shape in moments.items()}
        _check_shapes(run, saved, wanted)
        self._parameters = _tensors(self._networks, saved)
        self._copies: dict[str, Tensor] = {}
        self._normalizer = ObservationNormalizer(1, size, config.recipe)
        self._normalizer.restore(0, {name: saved[f"observations.{name}"] for name in moments})
        space = envs.single_action_space
        self._box: tuple[Tensor, Tensor] | None = None
        if config.recipe.clip_actions and isinstance(space, Box):
            self._box = torch.as_tensor(space.low), torch.as_tensor(space.high)

    @torch.no_grad()
    def act(self, observations: Observations, noise: Noise | None) -> Actions:
        """As `Policy`."""
        inputs = np.empty((1, *observations.shape), np.float32)
        self._normalizer.apply(observations[None], out=inputs)
        rows = torch.from_numpy(inputs).transpose(0, 1)
        distribution = self._networks.distribution(self._stacked(len(rows)), rows)
        actions = distribution.mode() if noise is None else distribution.sample(self._draw(noise))
        if self._box is not None:
            actions = torch.clamp(actions, *self._box)
        return np.asarray(actions[:, 0].numpy())

    def _stacked(self, copies: int) -> Mapping[str, Tensor]:
        """Parameters by name, [N, ...]."""
        first = next(iter(self._copies.values()), None)
        if first is None or len(first) != copies:
            self._copies = {
                name: tensor.expand(copies, *tensor.shape).contiguous()
                for name, tensor in self._parameters.items()
            }
        return self._copies

    def _draw(self, noise: Noise) -> Tensor:
        """[N, 1, A] standard normal, or [N, 1] uniform: what `sample` takes."""
        if self._networks.discrete:
            return torch.tensor([[stream.random(dtype=np.float32)] for stream in noise])
        size = self._networks.action_size
        drawn = [stream.standard_normal((1, size), np.float32) for stream in noise]
        return torch.from_numpy(np.stack(drawn))


class FramesPolicy:
    """Our own networks of frames.

    Convolutions work learner by learner anyway, so each stack of frames passes by itself.
    """

    def __init__(self, run: FinishedRun, envs: VectorEnv) -> None:
        """Load `parameters.npz`.

        Raises:
            CorruptError: it does not fit the configuration.
        """
        saved = read_parameters(run)
        self._networks = ALGORITHMS[run.config.algorithm.name].make_policy(run.config, envs)
        self.stochastic = self._networks.stochastic
        _check_shapes(run, saved, self._networks.shapes)
        tensors = _tensors(self._networks, saved)
        self._parameters = {name: tensor[None] for name, tensor in tensors.items()}

    @torch.no_grad()
    def act(self, observations: Observations, noise: Noise | None) -> Actions:
        """As `Policy`."""
        stacks = torch.from_numpy(observations)[:, None, None]
        silent: list[np.random.Generator | None] = [None] * len(stacks)
        streams = silent if noise is None else noise
        return np.array([self._action(*each) for each in zip(stacks, streams, strict=True)])

    def _action(self, stack: Tensor, stream: np.random.Generator | None) -> int:
        """From [1, 1, S, H, W]."""
        distribution = self._networks.distribution(self._parameters, stack)
        if stream is None:
            return int(distribution.mode())
        return int(distribution.sample(torch.tensor([[stream.random(dtype=np.float32)]])))


class RowByRow:
    """A `Predictor`, made to keep the promise that a row's bits depend on no other row."""

    stochastic = True

    def __init__(self, predictor: Predictor) -> None:
        """Ask it for one row at a time; torch's generator is seeded before each."""
        self._predictor = predictor

    def act(self, observations: Observations, noise: Noise | None) -> Actions:
        """As `Policy`."""
        rows = []
        for i, observation in enumerate(observations):
            if noise is not None:
                torch.manual_seed(int(noise[i].integers(1 << 63)))
            rows.append(self._predictor.predict(observation[None], deterministic=noise is None)[0])
        return np.stack(rows)


def _tensors(networks: MLPActorCritic, saved: Mapping[str, Any]) -> dict[str, Tensor]:
    """One learner's parameters, padded."""
    trimmed = {name: np.asarray(saved[name], np.float32) for name in networks.shapes}
    return {name: torch.from_numpy(array) for name, array in networks.pad(trimmed).items()}


def _check_shapes(
    run: FinishedRun, saved: Mapping[str, Any], wanted: Mapping[str, tuple[int, ...]]
) -> None:
    for name, shape in wanted.items():
        found = saved[name].shape if name in saved else None
        if found != shape:
            path = run.directory / PARAMETERS
            has = "is missing" if found is None else f"has shape {found}"
            raise CorruptError(f"{path} is damaged ({name} {has}, not {shape}): {AGAIN}.")
