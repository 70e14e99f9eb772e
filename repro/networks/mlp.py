"""Multilayer perceptrons for policy and value over the stacked parameters of P learners.

Each layer is one batched product. A network owns no parameters: it names their shapes, draws the
initial values of one learner, and is applied to parameters with a leading axis P.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise

import gymnasium
import numpy as np
import torch
from torch import Tensor

from repro.config.schema import PolicyConfig, RecipeConfig
from repro.errors import ConfigError
from repro.networks.distributions import Categorical, DiagonalGaussian, Distribution
from repro.networks.frames import Inputs
from repro.networks.initialization import Array, normc, orthogonal
from repro.networks.layers import mlp, pad_weights, padded_size, trunk

HEADS = ("policy", "value")
TOWERS = {"policy": "actor", "value": "critic"}


class MLPActorCritic:
    """The paper's section 6.1: one perceptron for the policy's mean (or logits), one for the value.

    The log standard deviations of a Gaussian are parameters of their own, the same in every state.

    Attributes:
        stochastic: whether sampled actions may differ from the most likely ones.
        observation_size: D.
        action_size: A, or the number of discrete actions.
        discrete: whether actions are discrete.
        activation: one of `layers.ACTIVATIONS`.
        depth: number of hidden layers.
        shared: whether policy and value share their hidden layers.
        shapes: of one learner's parameters by name, without padding.
    """

    stochastic = True

    @property
    def acting(self) -> dict[str, tuple[int, ...]]:
        """The shapes of what `distribution` takes: all but the critic's own."""
        critics = tuple(f"{part}." for part in (TOWERS["value"], "value"))
        return {name: shape for name, shape in self.shapes.items() if not name.startswith(critics)}

    @property
    def value_size(self) -> int:
        """Outputs of the value head."""
        return 1

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
        self.observation_size = flat_size(observation_space, "observations")
        self.discrete = isinstance(action_space, gymnasium.spaces.Discrete)
        if isinstance(action_space, gymnasium.spaces.Discrete):
            self.action_size = int(action_space.n)
        else:
            self.action_size = flat_size(action_space, "actions")
        self.activation = config.activation
        self.depth = len(config.hidden_sizes)
        self.shared = config.shared
        self.shapes = self._shapes(config)

    def _shapes(self, config: PolicyConfig) -> dict[str, tuple[int, ...]]:
        sizes = [self.observation_size, *config.hidden_sizes]
        shapes: dict[str, tuple[int, ...]] = {}
        for tower in ["shared"] if self.shared else TOWERS.values():
            for layer, (fan_in, fan_out) in enumerate(pairwise(sizes)):
                shapes[f"{tower}.{layer}.weight"] = (fan_in, fan_out)
                shapes[f"{tower}.{layer}.bias"] = (1, fan_out)
        for head, size in zip(HEADS, (self.action_size, self.value_size), strict=True):
            shapes[f"{head}.weight"] = (sizes[-1], size)
            shapes[f"{head}.bias"] = (1, size)
        if not self.discrete:
            shapes["log_std"] = (1, self.action_size)
        return shapes

    def initialize(self, rng: np.random.Generator, recipe: RecipeConfig) -> dict[str, Array]:
        """One learner's initial parameters by name, padded for `layers`. Biases are zero."""
        parameters = {}
        for name, shape in self.shapes.items():
            if name == "log_std":
                parameters[name] = np.full(shape, recipe.initial_log_std, np.float32)
            elif name.endswith("bias"):
                parameters[name] = self._pad(name, np.zeros(shape, np.float32))
            else:
                parameters[name] = self._pad(name, self._draw(rng, name, shape, recipe))
        return parameters

    def _draw(
        self, rng: np.random.Generator, name: str, shape: tuple[int, ...], recipe: RecipeConfig
    ) -> Array:
        """Initial weights of one layer."""
        gains = {"policy.weight": recipe.policy_gain, "value.weight": recipe.value_gain}
        draw = {"normc": normc, "orthogonal": orthogonal}[recipe.initialization]
        return draw(rng, shape, gains.get(name, recipe.hidden_gain))

    def _pad(self, name: str, array: Array) -> Array:
        rows, columns = array.shape
        takes_features = self.depth > 0 and name.endswith("weight") and ".0." not in name
        return pad_weights(
            array, (padded_size(rows) if takes_features else rows, padded_size(columns))
        )

    def trim(self, parameters: Mapping[str, Array]) -> dict[str, Array]:
        """Remove the padding of one learner's parameters."""
        return {
            name: np.ascontiguousarray(parameters[name][tuple(slice(n) for n in shape)])
            for name, shape in self.shapes.items()
        }

    def pad(self, parameters: Mapping[str, Array]) -> dict[str, Array]:
        """Add the padding that `trim` removes."""
        return {
            name: array if name == "log_std" else self._pad(name, array)
            for name, array in parameters.items()
        }

    def distribution(self, parameters: Mapping[str, Tensor], observations: Inputs) -> Distribution:
        """pi(.|s). [P, M, D] -> a distribution over [P, M] samples."""
        return self.as_distribution(parameters, self._network(parameters, observations, "policy"))

    def differentiable(
        self, parameters: Mapping[str, Tensor], observations: Tensor
    ) -> Distribution:
        """As `distribution`, with operations that can be differentiated twice."""
        tower = "shared" if self.shared else TOWERS["policy"]
        features = trunk(observations, self._hidden(parameters, tower), self.activation)
        weight, bias = self._head(parameters, "policy")
        return self.as_distribution(parameters, torch.baddbmm(bias, features, weight))

    def value(self, parameters: Mapping[str, Tensor], observations: Inputs) -> Tensor:
        """V(s). [P, M, D] -> [P, M]."""
        return self._network(parameters, observations, "value")[..., 0]

    def evaluate(
        self, parameters: Mapping[str, Tensor], observations: Inputs
    ) -> tuple[Distribution, Tensor]:
        """pi(.|s) and V(s), [P, M] each; a shared trunk is computed once."""
        policy, value = self.heads(parameters, observations)
        return self.as_distribution(parameters, policy), value[..., 0]

    def heads(
        self, parameters: Mapping[str, Tensor], observations: Inputs
    ) -> tuple[Tensor, Tensor]:
        """The outputs of the policy's and of the value's head with their padding, [P, M, ...]."""
        assert isinstance(observations, Tensor)
        if self.shared:
            features = trunk(observations, self._hidden(parameters, "shared"), self.activation)
            heads = [mlp(features, [], self._head(parameters, h), self.activation) for h in HEADS]
        else:
            heads = [self._network(parameters, observations, h) for h in HEADS]
        return heads[0], heads[1]

    def _network(self, parameters: Mapping[str, Tensor], x: Inputs, head: str) -> Tensor:
        assert isinstance(x, Tensor)
        if self.shared:
            x, hidden = trunk(x, self._hidden(parameters, "shared"), self.activation), []
        else:
            hidden = self._hidden(parameters, TOWERS[head])
        return mlp(x, hidden, self._head(parameters, head), self.activation)

    def layers(self, head: str) -> list[str]:
        """Names of the layers from the observations to a head, one of `HEADS`."""
        tower = "shared" if self.shared else TOWERS[head]
        return [*(f"{tower}.{layer}" for layer in range(self.depth)), head]

    def _hidden(self, parameters: Mapping[str, Tensor], tower: str) -> list[tuple[Tensor, Tensor]]:
        names = [f"{tower}.{layer}" for layer in range(self.depth)]
        return [(parameters[f"{n}.weight"], parameters[f"{n}.bias"]) for n in names]

    def _head(self, parameters: Mapping[str, Tensor], head: str) -> tuple[Tensor, Tensor]:
        return parameters[f"{head}.weight"], parameters[f"{head}.bias"]

    def as_distribution(self, parameters: Mapping[str, Tensor], out: Tensor) -> Distribution:
        """The distribution of the policy head's outputs [P, M, A]; padded outputs are ignored."""
        out = out[..., : self.action_size]
        return Categorical(out) if self.discrete else DiagonalGaussian(out, parameters["log_std"])


def flat_size(space: gymnasium.Space[object], what: str) -> int:
    """Number of entries of a flat Box.

    Args:
        space: of observations or of actions.
        what: which of them, for the error message.

    Raises:
        ConfigError: another space.
    """
    if isinstance(space, gymnasium.spaces.Box) and len(space.shape) == 1:
        return math.prod(space.shape)
    raise ConfigError(
        f"policy=mlp takes flat Box {what}, not {space}: wrap the task or choose another (for "
        "frames policy=cnn_a3c or cnn_nature)."
    )
