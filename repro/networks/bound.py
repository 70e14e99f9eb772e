"""A policy together with the parameters that it is applied to."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from repro.networks.distributions import Distribution
from repro.networks.frames import Inputs
from repro.networks.mlp import MLPActorCritic


class BoundPolicy:
    """A policy with the parameters of P learners, which may change in place.

    `repro.engines.native.Networks` is the same with compiled kernels.
    """

    def __init__(self, policy: MLPActorCritic, parameters: Mapping[str, Tensor]) -> None:
        """Take parameters by name, [P, ...] each."""
        self.policy, self.parameters = policy, parameters

    def distribution(self, observations: Inputs) -> Distribution:
        """pi(.|s). [P, M, D] -> a distribution over [P, M] samples."""
        return self.policy.distribution(self.parameters, observations)

    def value(self, observations: Inputs) -> Tensor:
        """V(s). [P, M, D] -> [P, M]."""
        return self.policy.value(self.parameters, observations)

    def evaluate(self, observations: Inputs) -> tuple[Distribution, Tensor]:
        """pi(.|s) and V(s)."""
        return self.policy.evaluate(self.parameters, observations)

    def as_distribution(self, statistics: Tensor) -> Distribution:
        """The distribution whose means or logits are `statistics`, [P, M, A]."""
        return self.policy.as_distribution(self.parameters, statistics)
