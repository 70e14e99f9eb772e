"""Networks of P learners by the kernels of rollout.cpp: a `BoundPolicy`, compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.engines.native.kernels import library, pointer
from repro.learning.parameters import StackedParameters
from repro.networks.bound import BoundPolicy
from repro.networks.distributions import DiagonalGaussian, Distribution
from repro.networks.frames import Inputs
from repro.networks.layers import ACTIVATIONS
from repro.networks.mlp import MLPActorCritic

Array = np.ndarray[Any, Any]


class Networks:
    """The networks of P learners over their parameters, which may change in place."""

    def __init__(self, policy: MLPActorCritic, parameters: StackedParameters) -> None:
        """Compute the offset of each layer in a learner's row of parameters."""
        self.policy, self.parameters = policy, parameters
        self.learners, self.parameter_count = parameters.flat.shape
        self.log_std = offset(parameters.views["log_std"], parameters)
        self.activation = ACTIVATIONS.index(policy.activation)
        self.action_size = policy.action_size
        self.actor = tower(policy, "policy", parameters)
        self.critic = tower(policy, "value", parameters)

    @property
    def actor_parameters(self) -> Tensor:
        """[P, n]."""
        return self.parameters.flat

    @property
    def log_stds(self) -> Tensor | None:
        """log std of the actions, [P, 1, A]; None where policies are deterministic."""
        return self.parameters.views["log_std"]

    def distribution(self, observations: Inputs) -> Distribution:
        """pi(.|s). [P, M, D] -> a distribution over [P, M] samples."""
        return self.as_distribution(self._forward(self.actor, observations, self.action_size))

    def value(self, observations: Inputs) -> Tensor:
        """V(s). [P, M, D] -> [P, M]."""
        return self._forward(self.critic, observations, 1)[..., 0]

    def evaluate(self, observations: Inputs) -> tuple[Distribution, Tensor]:
        """pi(.|s) and V(s)."""
        return self.distribution(observations), self.value(observations)

    def as_distribution(self, statistics: Tensor) -> Distribution:
        """The distribution whose means are `statistics`, [P, M, A]."""
        return DiagonalGaussian(statistics, self.parameters.views["log_std"])

    def _forward(self, tower: Array, x: Inputs, outputs: int) -> Tensor:
        assert isinstance(x, Tensor)
        x = x.contiguous()
        out = torch.empty(*x.shape[:2], outputs)
        library().mlp_forward(
            *(pointer(tower, "int64"), self.activation, self.learners, x.shape[1]),
            *(pointer(self.parameters.flat), self.parameter_count, pointer(x), pointer(out)),
        )
        return out


class Candidates(BoundPolicy):
    """Deterministic actors, one for each environment. Only acting is compiled."""

    log_stds: Tensor | None = None

    def __init__(
        self, policy: MLPActorCritic, layout: StackedParameters, parameters: Tensor
    ) -> None:
        """Take parameters [P N, n], laid out as others, which may change in place."""
        super().__init__(policy, dict(zip(layout.views, layout.split(parameters), strict=True)))
        self.actor_parameters = parameters
        self.parameter_count = parameters.shape[1]
        self.activation = ACTIVATIONS.index(policy.activation)
        self.action_size = policy.action_size
        self.actor = tower(policy, "policy", layout)


def tower(policy: MLPActorCritic, head: str, parameters: StackedParameters) -> Array:
    """The layers of a head, as `read_tower` of network.h reads them."""
    names = policy.layers(head)
    numbers = [len(names)]
    for name in names:
        weight, bias = (parameters.views[f"{name}.{part}"] for part in ("weight", "bias"))
        inputs, outputs = policy.shapes[f"{name}.weight"]
        numbers += [inputs, outputs, weight.shape[-1]]
        numbers += [offset(weight, parameters), offset(bias, parameters)]
    return np.array(numbers, np.int64)


def offset(view: Tensor, parameters: StackedParameters) -> int:
    """Where a view begins in a learner's row of parameters."""
    return int(view.storage_offset() - parameters.flat.storage_offset())
