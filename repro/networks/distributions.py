"""Action distributions over the outputs of a policy network: Gaussian and categorical.

Both have the same interface. `sample` takes its noise as an argument, since each learner draws the
noise of a whole rollout at once from its own random stream.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor


class DiagonalGaussian(NamedTuple):
    """Independent normal actions: `mean` [..., A], and `log_std` that broadcasts against it."""

    mean: Tensor
    log_std: Tensor

    def sample(self, noise: Tensor) -> Tensor:
        """Mean plus std times standard normal `noise` [..., A]."""
        return torch.addcmul(self.mean, noise, self.log_std.exp())

    def mode(self) -> Tensor:
        """The most likely action [..., A]."""
        return self.mean

    def log_prob(self, actions: Tensor) -> Tensor:
        """log pi(a|s) in nats: [..., A] -> [...]."""
        z = (actions - self.mean) * torch.exp(-self.log_std)
        constant = 0.5 * math.log(2 * math.pi) * actions.shape[-1]
        return -0.5 * (z * z).sum(-1) - self.log_std.sum(-1) - constant

    def entropy(self) -> Tensor:
        """Entropy in nats, shaped like `log_std` without its last axis (it ignores the mean)."""
        constant = 0.5 * (1 + math.log(2 * math.pi)) * self.log_std.shape[-1]
        return self.log_std.sum(-1) + constant

    def kl_from(self, old: Distribution) -> Tensor:
        """KL[old, self] in nats, summed over the action's dimensions. [...]."""
        assert isinstance(old, DiagonalGaussian)
        precision = torch.exp(-2 * self.log_std)
        variance_ratio = torch.exp(2 * old.log_std) * precision
        distance = torch.square(self.mean - old.mean) * precision
        terms = distance + (variance_ratio - 1) + 2 * (self.log_std - old.log_std)
        return 0.5 * terms.sum(-1)

    def compare(self, actions: Tensor, old: Distribution) -> tuple[Tensor, Tensor]:
        """`log_prob(actions)` and `kl_from(old)`, computed as one node of autograd. [...]."""
        assert isinstance(old, DiagonalGaussian)
        log_prob, kl = _CompareGaussians.apply(  # type: ignore[no-untyped-call]
            self.mean, self.log_std, actions, old.mean, old.log_std
        )
        return log_prob, kl

    def with_statistics(self, mean: Tensor) -> DiagonalGaussian:
        """The distribution with other means."""
        return self._replace(mean=mean)

    def snapshot(self) -> DiagonalGaussian:
        """A copy, which does not change when parameters change in place."""
        return DiagonalGaussian(self.mean.clone(), self.log_std.clone())

    def detach(self) -> DiagonalGaussian:
        """The distribution without its gradient."""
        return DiagonalGaussian(self.mean.detach(), self.log_std.detach())


class Categorical(NamedTuple):
    """Discrete actions with unnormalized log-probabilities `logits` [..., A].

    A logit of minus infinity is an action that cannot be taken: 0 log 0 = 0.
    """

    logits: Tensor

    def sample(self, noise: Tensor) -> Tensor:
        """Index of the first action whose cumulative probability exceeds uniform `noise` [...]."""
        cumulative = torch.softmax(self.logits, -1).cumsum(-1)[..., :-1]
        return (cumulative <= noise[..., None]).sum(-1)

    def mode(self) -> Tensor:
        """Index of the most likely action, the first of equals. [...]."""
        return self.logits.argmax(-1)

    def log_prob(self, actions: Tensor) -> Tensor:
        """log pi(a|s) in nats: indices [...] -> [...]."""
        return self._log_probs().gather(-1, actions.long()[..., None]).squeeze(-1)

    def entropy(self) -> Tensor:
        """Entropy in nats. [...]."""
        log_probs = self._log_probs()
        finite = log_probs.clamp(min=torch.finfo(log_probs.dtype).min)
        return -(log_probs.exp() * finite).sum(-1)

    def kl_from(self, old: Distribution) -> Tensor:
        """KL[old, self] in nats. [...]."""
        assert isinstance(old, Categorical)
        log_probs, old_log_probs = self._log_probs(), old._log_probs()
        old_probs = old_log_probs.exp()
        terms = old_probs * (old_log_probs - log_probs)
        return torch.where(old_probs > 0, terms, 0).sum(-1)

    def compare(self, actions: Tensor, old: Distribution) -> tuple[Tensor, Tensor]:
        """`log_prob(actions)` and `kl_from(old)`. [...]."""
        return self.log_prob(actions), self.kl_from(old)

    def with_statistics(self, logits: Tensor) -> Categorical:
        """The distribution with other logits."""
        return self._replace(logits=logits)

    def snapshot(self) -> Categorical:
        """A copy, which does not change when parameters change in place."""
        return Categorical(self.logits.clone())

    def detach(self) -> Categorical:
        """The distribution without its gradient."""
        return Categorical(self.logits.detach())

    def _log_probs(self) -> Tensor:
        return torch.log_softmax(self.logits, -1)


Distribution = DiagonalGaussian | Categorical


class _CompareGaussians(torch.autograd.Function):
    """log N(a; mean, std) and KL[old, new], with

    z = (a - mean) / std,  d = (mean - mean_old) / std,  v = (std_old / std)^2,
    log pi = -sum(z^2) / 2 - sum(log std) - const,   KL = sum(d^2 + v - 1 - log v) / 2.
    """

    @staticmethod
    def forward(
        ctx: Any,
        mean: Tensor,
        log_std: Tensor,
        actions: Tensor,
        old_mean: Tensor,
        old_log_std: Tensor,
    ) -> tuple[Tensor, Tensor]:
        precision = torch.exp(-log_std)
        z, d = (actions - mean).mul_(precision), (mean - old_mean).mul_(precision)
        log_ratio = 2 * (old_log_std - log_std)
        v = log_ratio.exp()
        constant = 0.5 * math.log(2 * math.pi) * mean.shape[-1]
        log_prob = -0.5 * z.square().sum(-1) - (log_std.sum(-1) + constant)
        kl = 0.5 * d.square().sum(-1) + 0.5 * (v - 1 - log_ratio).sum(-1)
        ctx.save_for_backward(precision, z, d, v)
        return log_prob, kl

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        precision, z, d, v = ctx.saved_tensors
        d_log_prob, d_kl = (gradient.unsqueeze(-1) for gradient in upstream)
        toward, away = d_log_prob * z, d_kl * d
        d_mean = (toward + away) * precision
        d_log_std = toward.mul_(z).sub_(away.mul_(d)).sum(-2, keepdim=True)
        d_log_std += d_kl.sum(-2, keepdim=True) * (1 - v) - d_log_prob.sum(-2, keepdim=True)
        return d_mean, d_log_std, None, None, None
