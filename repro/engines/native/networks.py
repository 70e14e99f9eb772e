"""Networks of P learners by the kernels of rollout.cpp: a `BoundPolicy`, compiled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.engines.native.kernels import library, pointer
from repro.learning.parameters import StackedParameters
from repro.networks.bound import BoundPolicy
from repro.networks.distributions import Distribution
from repro.networks.frames import Inputs
from repro.networks.layers import ACTIVATIONS
from repro.networks.mlp import MLPActorCritic

Array = np.ndarray[Any, Any]


class Networks:
    """The networks of P learners over their parameters, which may change in place.

    Attributes:
        parameters: the part that holds the actor; `critic_parameters` that of the critic.
        log_std: its offset in the actor's part; None where there is none.
    """

    def __init__(
        self,
        policy: MLPActorCritic,
        parts: Sequence[StackedParameters],
        views: Mapping[str, Tensor],
    ) -> None:
        """Compute the offset of each layer in a learner's row of parameters.

        Args:
            policy: the shapes.
            parts: that hold the parameters, an actor or a critic all in one of them.
            views: all parameters by name.
        """
        self.policy, self.views = policy, views
        self.parameters = _holder(parts, "policy.weight")
        self.critic_parameters = _holder(parts, "value.weight")
        self.learners, self.parameter_count = self.parameters.flat.shape
        own = self.parameters.views.get("log_std")
        self.log_std = None if own is None else offset(own, self.parameters)
        self.activation = ACTIVATIONS.index(policy.activation)
        self.action_size = policy.action_size
        self.actor = tower(policy, "policy", self.parameters)
        self.critic = tower(policy, "value", self.critic_parameters)
        self._actor, self._critic = (pointer(each, "int64") for each in (self.actor, self.critic))

    @property
    def actor_parameters(self) -> Tensor:
        """[P, n]."""
        return self.parameters.flat

    @property
    def log_stds(self) -> Tensor | None:
        """log std of the actions, [P, 1, A]; None where actions are discrete."""
        return self.views.get("log_std")

    def distribution(self, observations: Inputs) -> Distribution:
        """pi(.|s). [P, M, D] -> a distribution over [P, M] samples."""
        out = self._forward(self._actor, self.parameters.flat, observations, self.action_size)
        return self.as_distribution(out)

    def distribution_with(self, flat: Tensor, observations: Inputs) -> Distribution:
        """As `distribution`, with other parameters in place of the actor's, [P, n]."""
        out = self._forward(self._actor, flat, observations, self.action_size)
        if self.log_std is None:
            return self.as_distribution(out)
        log_std = flat[:, None, self.log_std : self.log_std + self.action_size]
        return self.policy.as_distribution({"log_std": log_std}, out)

    def value(self, observations: Inputs) -> Tensor:
        """V(s). [P, M, D] -> [P, M]."""
        return self._forward(self._critic, self.critic_parameters.flat, observations, 1)[..., 0]

    def evaluate(self, observations: Inputs) -> tuple[Distribution, Tensor]:
        """pi(.|s) and V(s)."""
        return self.distribution(observations), self.value(observations)

    def as_distribution(self, statistics: Tensor) -> Distribution:
        """The distribution whose means or logits are `statistics`, [P, M, A]."""
        return self.policy.as_distribution(self.views, statistics)

    def _forward(self, tower: int | None, flat: Tensor, x: Inputs, outputs: int) -> Tensor:
        assert isinstance(x, Tensor)
        x = x.contiguous()
        rows = x.shape[1]
        out = torch.empty(self.learners, rows, outputs)
        library().mlp_forward(
            *(tower, self.activation, self.learners, rows),
            *(flat.data_ptr(), flat.shape[1], pointer(x), out.data_ptr()),
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


def _holder(parts: Sequence[StackedParameters], name: str) -> StackedParameters:
    return next(part for part in parts if name in part.views)
