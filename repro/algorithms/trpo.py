"""Trust region policy optimization (Schulman et al. 2015), for P learners in lockstep.

    for iteration = 1, 2, ...
        collect        N actors run pi_old for T steps
        advantages     truncated GAE
        direction      s = F^-1 g: conjugate gradient on Fisher-vector products
        step           sqrt(2 delta / s'Fs) s, backtracked until L_CPI rises within the trust region
        critic         epochs of minibatches on L_VF

Every tensor has the learners P in front. Each learner has its own direction and step length, and
leaves both loops by a mask when it is done; a GPU runs both loops to their ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from repro.algorithms.fitted_critic import ACTOR, CriticLearners
from repro.algorithms.measured import Metrics, mean
from repro.config.algorithms import TRPOSettings
from repro.config.schema import Config
from repro.engines import selection
from repro.engines.batches import Batch
from repro.envs.vector import VectorEnv
from repro.learning import objectives
from repro.learning.optimizers import gradient_norm
from repro.learning.parameters import StackedParameters
from repro.networks.distributions import Distribution
from repro.rollouts.rollout import Rollout

Product = Callable[[Tensor], Tensor]  # v -> F v, [P, n] each


class TRPO(CriticLearners):
    """State besides: none, since the policy's step has no memory."""

    def __init__(self, configs: Sequence[Config], envs: VectorEnv, device: torch.device) -> None:
        """As `Learners`."""
        super().__init__(configs, envs, device)
        self.settings: TRPOSettings = self.config.algorithm
        self.kernel = selection.derivatives(self.networks)
        self.delta = self.column("delta")
        self.damping = self.column("damping")[:, None]

    def actor_names(self) -> Sequence[str]:
        """Without the standard deviations where they are frozen, as in Baselines before 2018-01."""
        frozen = self.config.algorithm.freeze_log_std
        return [name for name in ACTOR if not (frozen and name == "log_std")]

    @property
    def leaves(self) -> dict[str, Tensor]:
        """All parameters by name, the actor's to be differentiated and the others constants."""
        return self.views | self.actor.leaves

    def update(self, rollout: Rollout) -> Metrics:
        """The policy's step where the line search finds one, then the critic's epochs."""
        estimate = self.generalized_advantages(rollout)
        batch = self.batch(rollout, estimate, estimate + rollout.values)
        batch.advantages = self.standardize(batch.advantages)
        gradient = self._gradient(batch)
        accepted = self._line_search(batch, self._full_step(batch, gradient))
        self.fit_critic(batch)
        surrogate, _ = self._surrogate_and_kl(batch)
        return self.measure(batch) | {
            "surrogate": mean(surrogate),
            "gradient_norm": gradient_norm(gradient).double(),
            "minibatches": accepted.long(),
        }

    def _gradient(self, batch: Batch) -> Tensor:
        """g: the gradient of L_CPI at pi_old, [P, n]."""
        if self.kernel is not None:
            assert isinstance(batch.inputs, Tensor)
            return self.kernel.gradient(batch.inputs, lambda now: _surrogate_and_kl(now, batch)[0])
        distribution = self.policy.distribution(self.leaves, batch.inputs)
        terms, _ = _surrogate_and_kl(distribution, batch)
        return self.actor.gradient(terms.sum() / terms.shape[-1])

    def _full_step(self, batch: Batch, gradient: Tensor) -> Tensor:
        """The step along F^-1 g whose KL is delta to second order, [P, n].

        Zero for a learner whose quadratic form is not positive.
        """
        stride = round(1 / self.settings.fisher_fraction)
        assert isinstance(batch.inputs, Tensor)  # networks of frames share their trunk
        inputs = batch.inputs[:, ::stride].contiguous()
        fisher = self._damped(
            fisher_product(self, inputs)
            if self.kernel is None
            else self.kernel.fisher_product(inputs)
        )
        direction = conjugate_gradient(
            fisher, gradient, self.settings.cg_iterations, self.settings.cg_tolerance
        )
        quadratic = dot(direction, fisher(direction))
        length = (2 * self.delta.double() / quadratic).sqrt()
        valid = (quadratic > 0) & torch.isfinite(length)
        return torch.where(valid[:, None], length[:, None] * direction, 0).float()

    def _damped(self, fisher: Product) -> Product:
        return lambda v: fisher(v) + self.damping * v

    @torch.no_grad()
    def _line_search(self, batch: Batch, step: Tensor) -> Tensor:
        """Backtrack until L_CPI rises and KL is at most `kl_slack` delta. [P] bool: accepted.

        A learner for which no step is accepted keeps its parameters.
        """
        old = self.actor.flat.clone()
        before = mean_of(self._surrogate_and_kl(batch)[0])
        searching = self.mask()
        found = torch.zeros_like(searching)
        fraction = 1.0
        for _ in range(self.settings.backtracks):
            tried = old + fraction * step
            self.actor.flat.copy_(torch.where(searching[:, None], tried, self.actor.flat))
            surrogate, kl = (mean_of(x) for x in self._surrogate_and_kl(batch))
            good = (surrogate > before) & (kl <= self.settings.kl_slack * self.delta)
            found |= searching & good
            searching &= ~good
            if selection.none_left(searching):
                break
            fraction *= self.settings.backtrack_factor
        self.actor.flat.copy_(torch.where(found[:, None], self.actor.flat, old))
        return found

    @torch.no_grad()
    def _surrogate_and_kl(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """At the current parameters."""
        return _surrogate_and_kl(self.networks.distribution(batch.inputs), batch)


def _surrogate_and_kl(now: Distribution, batch: Batch) -> tuple[Tensor, Tensor]:
    """Terms of L_CPI, and KL(old, now), [P, B]."""
    log_prob, kl = now.compare(batch.actions, batch.old)
    ratio = (log_prob - batch.log_prob).exp()
    return objectives.none(ratio, batch.advantages, kl), kl


def fisher_product(learners: TRPO, inputs: Tensor) -> Product:
    """v -> F v by double differentiation: F is the Hessian of E[KL(old, theta)] at theta = old.

    Args:
        learners: their current policies are both old and theta.
        inputs: [P, M, D], the states of the expectation.
    """
    actor: StackedParameters = learners.actor
    leaves = list(actor.leaves.values())
    distribution = learners.policy.differentiable(learners.leaves, inputs)
    kl = distribution.kl_from(distribution.detach())
    first = torch.autograd.grad(kl.sum() / kl.shape[-1], leaves, create_graph=True)

    def product(v: Tensor) -> Tensor:
        along = sum((d * x).sum() for d, x in zip(first, actor.split(v.float()), strict=True))
        assert isinstance(along, Tensor)
        second = torch.autograd.grad(along, leaves, retain_graph=True, materialize_grads=True)
        return actor.join(second).to(v.dtype)

    return product


def conjugate_gradient(product: Product, b: Tensor, iterations: int, tolerance: float) -> Tensor:
    """x with A x = b, each learner's own, by at most `iterations` steps from x = 0.

    Args:
        product: v -> A v, with A symmetric and positive definite.
        b: [P, n].
        iterations: a learner stops earlier at `tolerance`.
        tolerance: of the squared residual.

    Returns:
        [P, n], float64.
    """
    residual = b.double()
    x, direction = torch.zeros_like(residual), residual.clone()
    square = dot(residual, residual)
    for _ in range(iterations):
        running = square > tolerance
        if selection.none_left(running):
            break
        image = product(direction)
        alpha = torch.where(running, square / dot(direction, image), 0)[:, None]
        x = torch.where(running[:, None], x + alpha * direction, x)
        residual = residual - alpha * image
        new_square = dot(residual, residual)
        beta = torch.where(running, new_square / square, 0)[:, None]
        direction = torch.where(running[:, None], residual + beta * direction, direction)
        square = torch.where(running, new_square, square)
    return x


def dot(a: Tensor, b: Tensor) -> Tensor:
    """Inner products in float64: [P, n], [P, n] -> [P]."""
    return (a.double() * b.double()).sum(1)


def mean_of(x: Tensor) -> Tensor:
    """[P, B] -> [P], in float64."""
    return x.double().mean(-1)
