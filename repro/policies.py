"""Actor-critic networks over stacked parameters: P learners, one batched product a layer.

A network owns no parameters. It names their shapes, makes initial values for one learner, and is
applied to tensors with a leading axis P.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import gymnasium
import numpy as np
import torch
from torch import Tensor

from repro.config import PolicyConfig, RecipeConfig
from repro.distributions import Categorical, DiagonalGaussian, Distribution
from repro.errors import ConfigError

Array = np.ndarray[tuple[int, ...], np.dtype[np.float32]]
ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu}


class MLPActorCritic:
    """Section 6.1: multilayer perceptrons for the policy's mean (or logits) and the value.

    A Gaussian's log standard deviations are parameters of their own, the same in every state.
    """

    def __init__(
        self,
        observation_space: gymnasium.Space[object],
        action_space: gymnasium.Space[object],
        config: PolicyConfig,
    ):
        """Derive the shapes of one learner's parameters.

        Raises:
            ConfigError: spaces other than flat Box observations, Box or Discrete actions.
        """
        self.observation_size = _flat_size(observation_space, "observations")
        self.discrete = isinstance(action_space, gymnasium.spaces.Discrete)
        if isinstance(action_space, gymnasium.spaces.Discrete):
            self.action_size = int(action_space.n)
        else:
            self.action_size = _flat_size(action_space, "actions")
        self.activation = ACTIVATIONS[config.activation]
        self.depth = len(config.hidden_sizes)
        self.towers = ("shared", "shared") if config.shared else ("actor", "critic")
        self.shapes = self._shapes(config)

    def _shapes(self, config: PolicyConfig) -> dict[str, tuple[int, ...]]:
        sizes = [self.observation_size, *config.hidden_sizes]
        shapes: dict[str, tuple[int, ...]] = {}
        for tower in dict.fromkeys(self.towers):
            for layer, (fan_in, fan_out) in enumerate(zip(sizes, sizes[1:], strict=False)):
                shapes[f"{tower}.{layer}.weight"] = (fan_in, fan_out)
                shapes[f"{tower}.{layer}.bias"] = (1, fan_out)
        for head, size in (("policy", self.action_size), ("value", 1)):
            shapes[f"{head}.weight"] = (sizes[-1], size)
            shapes[f"{head}.bias"] = (1, size)
        if not self.discrete:
            shapes["log_std"] = (1, self.action_size)
        return shapes

    def initialize(self, rng: np.random.Generator, recipe: RecipeConfig) -> dict[str, Array]:
        """One learner's initial parameters by name; biases start at zero."""
        gains = {"policy.weight": recipe.policy_gain, "value.weight": recipe.value_gain}
        draw = {"normc": _normc, "orthogonal": _orthogonal}[recipe.initialization]
        parameters = {}
        for name, shape in self.shapes.items():
            if name == "log_std":
                parameters[name] = np.full(shape, recipe.initial_log_std, np.float32)
            elif name.endswith("bias"):
                parameters[name] = np.zeros(shape, np.float32)
            else:
                parameters[name] = draw(rng, shape, gains.get(name, recipe.hidden_gain))
        return parameters

    def distribution(self, parameters: Mapping[str, Tensor], observations: Tensor) -> Distribution:
        """pi(.|s). [P, M, D] -> a distribution over [P, M] samples."""
        return self._policy_head(parameters, self._tower(parameters, observations, 0))

    def value(self, parameters: Mapping[str, Tensor], observations: Tensor) -> Tensor:
        """V(s). [P, M, D] -> [P, M]."""
        return self._value_head(parameters, self._tower(parameters, observations, 1))

    def evaluate(
        self, parameters: Mapping[str, Tensor], observations: Tensor
    ) -> tuple[Distribution, Tensor]:
        """pi(.|s) and V(s) at once; a shared trunk is passed through once."""
        features = self._tower(parameters, observations, 0)
        shared = self.towers[0] == self.towers[1]
        value_features = features if shared else self._tower(parameters, observations, 1)
        return self._policy_head(parameters, features), self._value_head(parameters, value_features)

    def _tower(self, parameters: Mapping[str, Tensor], x: Tensor, which: int) -> Tensor:
        tower = self.towers[which]
        for layer in range(self.depth):
            name = f"{tower}.{layer}"
            x = self.activation(linear(x, parameters[f"{name}.weight"], parameters[f"{name}.bias"]))
        return x

    def _policy_head(self, parameters: Mapping[str, Tensor], features: Tensor) -> Distribution:
        out = linear(features, parameters["policy.weight"], parameters["policy.bias"])
        return Categorical(out) if self.discrete else DiagonalGaussian(out, parameters["log_std"])

    def _value_head(self, parameters: Mapping[str, Tensor], features: Tensor) -> Tensor:
        out = linear(features, parameters["value.weight"], parameters["value.bias"])
        return out.squeeze(-1)


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x W + b for every learner: [P, M, I], [P, I, O], [P, 1, O] -> [P, M, O].

    A single output column is a sum of products: as a matrix product it would go to another kernel
    for P = 1 than for P > 1, and a run's bits would depend on its pack.
    """
    if weight.shape[-1] == 1:
        return (x * weight.mT).sum(-1, keepdim=True) + bias
    return torch.baddbmm(bias, x, weight)


def _normc(rng: np.random.Generator, shape: tuple[int, ...], gain: float) -> Array:
    """Baselines' ppo1: normal entries, then each output's incoming weights scaled to norm `gain`."""
    weight = rng.standard_normal(shape)
    return np.asarray(weight * (gain / np.linalg.norm(weight, axis=0)), np.float32)


def _orthogonal(rng: np.random.Generator, shape: tuple[int, ...], gain: float) -> Array:
    """A uniformly random matrix with orthonormal rows or columns (Saxe et al. 2013), times `gain`."""
    tall = rng.standard_normal((max(shape), min(shape)))
    q, r = np.linalg.qr(tall)
    q = q * np.sign(np.diag(r))
    return np.asarray(gain * (q if shape[0] >= shape[1] else q.T), np.float32)


def _flat_size(space: gymnasium.Space[object], what: str) -> int:
    if isinstance(space, gymnasium.spaces.Box) and len(space.shape) == 1:
        return math.prod(space.shape)
    raise ConfigError(
        f"policy=mlp takes flat Box {what}, not {space}: wrap the task or choose another."
    )
