"""Adam and RMSProp over stacked parameters [P, n]; each learner has its own state and rate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.config.fields import FLOAT32

Array = np.ndarray[Any, np.dtype[np.float64]]

# Factors of the code that the paper's footnote 3 names: Berkeley's deep RL course, homework 4 at
# 730ea46. rl_games (AdaptiveScheduler of schedulers.py) has the same, and bounds of the step size.
FAR, FACTOR = 2.0, 1.5
STEP_SIZES = (1e-6, 1e-2)
ADAM_BETAS = (0.9, 0.999)  # the defaults of Kingma & Ba (2014), and of every code in conf/recipe


class Adam:
    """Adam (Kingma & Ba 2014) as in `torch.optim`; step size and step count are per learner."""

    SAVED = ("mean", "variance", "steps")

    def __init__(self, flat: Tensor, epsilon: float) -> None:
        """Optimize `flat` [P, n] in place."""
        self.flat, self.epsilon = flat, epsilon
        self.mean = torch.zeros_like(flat)
        self.variance = torch.zeros_like(flat)
        # The fused kernel takes its step counts in float32, on the device of the parameters.
        self.steps = torch.zeros(len(flat), device=flat.device)
        self._in_step = True

    def step(
        self,
        gradient: Tensor,
        groups: Mapping[float | Tensor, Sequence[int]],
        where: Tensor | None = None,
    ) -> None:
        """One step for the learners in `groups`; the others stay unchanged.

        Args:
            gradient: [P, n].
            groups: step size -> learners that take it. A recorded step takes it as a tensor [].
            where: of these, who takes the step, bool [P]; None: all.
        """
        if where is None:
            self._step(gradient, groups)
            return
        self._in_step = False
        before = [(x, x.clone()) for x in (self.flat, self.mean, self.variance, self.steps)]
        self._step(gradient, groups)
        for x, old in before:
            x.copy_(torch.where(where[:, None] if x.dim() > 1 else where, x, old))

    def _step(self, gradient: Tensor, groups: Mapping[float | Tensor, Sequence[int]]) -> None:
        tensors = (self.flat, gradient, self.mean, self.variance)
        for learning_rate, members in groups.items():
            if self._in_step and len(members) == len(self.flat):
                self.steps += 1
                self._fused(learning_rate, [[tensor] for tensor in tensors], [self.steps[0]])
                continue
            self._in_step = False
            rows = [[tensor[p] for p in members] for tensor in tensors]
            clocks = [self.steps[p] for p in members]
            torch._foreach_add_(clocks, 1)
            self._fused(learning_rate, rows, clocks)

    def checkpoint(self, learner: int) -> dict[str, Any]:
        """One learner's moments and step count."""
        return {name: getattr(self, name)[learner].cpu().numpy().copy() for name in self.SAVED}

    def restore(self, learner: int, state: Mapping[str, Any]) -> None:
        """Put back what `checkpoint` returned."""
        self.mean[learner] = torch.from_numpy(state["mean"])
        self.variance[learner] = torch.from_numpy(state["variance"])
        self.steps[learner] = torch.from_numpy(state["steps"])
        self._in_step = bool((self.steps == self.steps[0]).all())

    def _fused(
        self, learning_rate: float | Tensor, tensors: list[list[Tensor]], clocks: list[Tensor]
    ) -> None:
        parameters, gradients, means, variances = tensors
        torch._fused_adam_(
            parameters,
            gradients,
            means,
            variances,
            [],
            clocks,
            lr=learning_rate,
            beta1=ADAM_BETAS[0],
            beta2=ADAM_BETAS[1],
            weight_decay=0.0,
            eps=self.epsilon,
            amsgrad=False,
            maximize=False,
            grad_scale=None,
            found_inf=None,
        )


class RMSProp:
    """TensorFlow's RMSProp, which A2C's sources use; the step size is per learner.

    Unlike `torch.optim.RMSprop`, the mean square starts from 1 and epsilon is under the root.
    """

    def __init__(self, flat: Tensor, decay: float, epsilon: float) -> None:
        """Optimize `flat` [P, n] in place."""
        self.flat, self.decay, self.epsilon = flat, decay, epsilon
        self.mean_square = torch.ones_like(flat)

    def step(self, gradient: Tensor, rates: Tensor, where: Tensor | None = None) -> None:
        """One step; learners that do not take it stay unchanged.

        Args:
            gradient: [P, n].
            rates: [P], step sizes in float32.
            where: who takes the step, bool [P]; None: all.
        """
        mean_square = self.decay * self.mean_square + (1 - self.decay) * gradient.square()
        moved = self.flat - rates[:, None] * gradient / (mean_square + self.epsilon).sqrt()
        if where is not None:
            mean_square = torch.where(where[:, None], mean_square, self.mean_square)
            moved = torch.where(where[:, None], moved, self.flat)
        self.mean_square.copy_(mean_square)
        self.flat.copy_(moved)


def adapt_step_size(
    step_size: Array, kl: Array, target_kl: Array, bounds: tuple[float, float] = (0.0, FLOAT32[1])
) -> Array:
    """Divide by 1.5 where the KL is above twice its target, multiply where below half. All [P].

    It stays within bounds, and a number that float32 can hold, as Adam computes in that.
    """
    step_size = np.where(kl > target_kl * FAR, step_size / FACTOR, step_size)
    step_size = np.where(kl < target_kl / FAR, step_size * FACTOR, step_size)
    return np.clip(step_size, *bounds)


def clip_gradient(gradient: Tensor, max_norm: float | None) -> Tensor:
    """Scale each learner's gradient, in place, to a 2-norm of at most `max_norm`. [P, n].

    The 1e-6 is that of `torch.nn.utils.clip_grad_norm_`. None leaves it as it is. Returns the norms
    before, [P].
    """
    norm = gradient_norm(gradient)
    if max_norm is not None:
        gradient *= (max_norm / (norm + 1e-6)).clamp(max=1.0)[:, None]
    return norm


def gradient_norm(gradient: Tensor) -> Tensor:
    """2-norm of each learner's gradient: [P, n] -> [P]."""
    norm: Tensor = torch.linalg.vector_norm(gradient, dim=1)
    return norm


def by_rate(
    rates: Iterable[float | Tensor], learners: Sequence[int]
) -> dict[float | Tensor, list[int]]:
    """Step size -> the `learners` that take it, for `Adam.step`. A tensor equals itself alone."""
    rates, groups = list(rates), dict[float | Tensor, list[int]]()
    for p in learners:
        rate = rates[p]
        groups.setdefault(rate if isinstance(rate, Tensor) else float(rate), []).append(p)
    return groups
