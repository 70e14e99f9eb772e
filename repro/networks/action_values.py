"""Actor-critic networks whose critic has a value for each discrete action: Q(s, .)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from repro.networks.cnn import CNNActorCritic
from repro.networks.distributions import Categorical, Distribution
from repro.networks.frames import Inputs
from repro.networks.mlp import MLPActorCritic


class MLPActionValues(MLPActorCritic):
    """The value head has A outputs, Q(s, a); V(s) = sum_a pi(a|s) Q(s, a)."""

    @property
    def value_size(self) -> int:
        """A."""
        return self.action_size

    def evaluate(
        self, parameters: Mapping[str, Tensor], observations: Inputs
    ) -> tuple[Distribution, Tensor]:
        """pi(.|s) and V(s), [P, M]."""
        policy, q = self.action_values(parameters, observations)
        return policy, (policy.logits.softmax(-1) * q).sum(-1)

    def value(self, parameters: Mapping[str, Tensor], observations: Inputs) -> Tensor:
        """V(s). [P, M]."""
        return self.evaluate(parameters, observations)[1]

    def action_values(
        self, parameters: Mapping[str, Tensor], observations: Inputs
    ) -> tuple[Categorical, Tensor]:
        """pi(.|s) over [P, M], and Q(s, .), [P, M, A]."""
        policy, q = self.heads(parameters, observations)
        return Categorical(policy[..., : self.action_size]), q[..., : self.action_size]


class CNNActionValues(MLPActionValues, CNNActorCritic):
    """The same over convolutions."""
