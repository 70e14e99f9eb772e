"""P learners as one model: stacked parameters; an Adam and a tree of random streams a learner.

Nothing here lets a learner see its neighbors: a run has the same bits in every pack (on a CPU).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.config.schema import Config
from repro.learning.objectives import pack_family

# Rows of the flat storage are padded to whole vector registers (16 floats in AVX-512), so that no
# element's position in the pack decides between a vectorized loop and its scalar tail.
ROW_ALIGNMENT = 16
ADAM_BETAS = (0.9, 0.999)  # the defaults of Kingma & Ba (2014), and of every code in conf/recipe


def group(configs: Sequence[Config]) -> list[list[int]]:
    """Indices of configurations that may train together, in order of first appearance.

    Runs of Stable-Baselines3 are packs of their own.
    """
    packs: dict[str, list[int]] = {}
    for index, config in enumerate(configs):
        family = pack_family(config.objective) if config.objective else ""
        alone = str(index) if config.algorithm.foreign else ""
        key = config.pack_key + family + alone
        packs.setdefault(key, []).append(index)
    return list(packs.values())


class Streams:
    """One learner's random generators, all grown from its seed and independent of each other."""

    def __init__(self, seed: int) -> None:
        """Spawn a stream for each use."""
        init, action, shuffle, env = np.random.SeedSequence(seed).spawn(4)
        self.init = np.random.default_rng(init)
        self.action = np.random.default_rng(action)
        self.shuffle = np.random.default_rng(shuffle)
        self._env = env

    def env_seeds(self, num_envs: int) -> list[int]:
        """A seed for each of the learner's N environments."""
        return [int(seed) for seed in self._env.generate_state(num_envs, np.uint32)]

    def restart_seeds(self, num_envs: int, step: int) -> list[int]:
        """Seeds like `env_seeds`, for episodes that begin anew after `step` steps."""
        key = (*self._env.spawn_key, step)
        again = np.random.SeedSequence(self._env.entropy, spawn_key=key)
        return [int(seed) for seed in again.generate_state(num_envs, np.uint32)]

    def checkpoint(self) -> dict[str, Any]:
        """Where the streams are that go on after the initialization."""
        return {
            "action": [self.action.bit_generator.state],
            "shuffle": [self.shuffle.bit_generator.state],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Put back what `checkpoint` returned."""
        (self.action.bit_generator.state,) = state["action"]
        (self.shuffle.bit_generator.state,) = state["shuffle"]


class StackedParameters:
    """Parameters of P learners in one flat [P, n] tensor, with named views [P, ...] into it."""

    def __init__(
        self,
        learners: Sequence[Mapping[str, np.ndarray[Any, Any]]],
        device: torch.device,
    ) -> None:
        """Stack the parameters of each learner, all of the same names and shapes."""
        shapes = {name: value.shape for name, value in learners[0].items()}
        size = sum(int(np.prod(shape)) for shape in shapes.values())
        padded = -(-size // ROW_ALIGNMENT) * ROW_ALIGNMENT
        self.flat = torch.zeros(len(learners), padded, device=device)
        self.views = _named_views(self.flat, shapes)
        for name, view in self.views.items():
            stacked = np.stack([learner[name] for learner in learners])
            view.copy_(torch.from_numpy(stacked))
        self.leaves = {name: view.detach().requires_grad_() for name, view in self.views.items()}
        self._gradient = torch.zeros_like(self.flat)
        self._gradient_views = list(_named_views(self._gradient, shapes).values())

    def gradient(self, loss: Tensor) -> Tensor:
        """d loss / d flat, [P, n], of a scalar loss that was made from `leaves`.

        The tensor returned is overwritten by the next call.
        """
        parts = torch.autograd.grad(loss, list(self.leaves.values()), materialize_grads=True)
        torch._foreach_copy_(self._gradient_views, parts)
        return self._gradient

    def split(self, flat: Tensor) -> list[Tensor]:
        """Views [P, ...] into another tensor [P, n], in the order of `leaves`."""
        shapes = {name: tuple(view.shape[1:]) for name, view in self.views.items()}
        return list(_named_views(flat, shapes).values())

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """A new [P, n] from tensors in the order of `leaves`; zeros where rows are padded."""
        flat = torch.zeros_like(self.flat)
        torch._foreach_copy_(self.split(flat), list(parts))
        return flat

    def numpy(self, learner: int) -> dict[str, np.ndarray[Any, Any]]:
        """A copy of one learner's parameters by name."""
        return {name: view[learner].cpu().numpy().copy() for name, view in self.views.items()}

    def checkpoint(self, learner: int) -> dict[str, Any]:
        """One learner's row, padding included."""
        return {"flat": self.flat[learner].cpu().numpy().copy()}

    def restore(self, learner: int, state: Mapping[str, Any]) -> None:
        """Put back what `checkpoint` returned; views and leaves see it."""
        self.flat[learner] = torch.from_numpy(state["flat"])


def _named_views(flat: Tensor, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    views, offset = {}, 0
    for name, shape in shapes.items():
        end = offset + int(np.prod(shape))
        views[name] = flat[:, offset:end].view(len(flat), *shape)
        offset = end
    return views


class Adam:
    """Adam (Kingma & Ba 2014) as in `torch.optim`, each learner with its step size and clock."""

    def __init__(self, flat: Tensor, epsilon: float) -> None:
        """Optimize `flat` [P, n] in place."""
        self.flat, self.epsilon = flat, epsilon
        self.mean = torch.zeros_like(flat)
        self.variance = torch.zeros_like(flat)
        # The fused kernel wants its clock in float32 beside the parameters.
        self.steps = torch.zeros(len(flat), device=flat.device)
        self._in_step = True

    def step(self, gradient: Tensor, groups: Mapping[float, Sequence[int]]) -> None:
        """One step for the learners in `groups`, and no trace of it in the others.

        Args:
            gradient: [P, n].
            groups: step size -> learners that take it.
        """
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
        """One learner's moments and clock."""
        return {
            "mean": self.mean[learner].cpu().numpy().copy(),
            "variance": self.variance[learner].cpu().numpy().copy(),
            "steps": self.steps[learner].cpu().numpy().copy(),
        }

    def restore(self, learner: int, state: Mapping[str, Any]) -> None:
        """Put back what `checkpoint` returned."""
        self.mean[learner] = torch.from_numpy(state["mean"])
        self.variance[learner] = torch.from_numpy(state["variance"])
        self.steps[learner] = torch.from_numpy(state["steps"])
        self._in_step = bool((self.steps == self.steps[0]).all())

    def _fused(
        self, learning_rate: float, tensors: list[list[Tensor]], clocks: list[Tensor]
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
    """TensorFlow's RMSProp, which A2C's sources use, each learner with its step size.

    Unlike `torch.optim.RMSprop`, the mean square starts from 1 and epsilon is under the root.
    """

    def __init__(self, flat: Tensor, decay: float, epsilon: float) -> None:
        """Optimize `flat` [P, n] in place."""
        self.flat, self.decay, self.epsilon = flat, decay, epsilon
        self.mean_square = torch.ones_like(flat)

    def step(self, gradient: Tensor, rates: Sequence[float], learners: Sequence[int]) -> None:
        """One step for `learners`, and no trace of it in the others.

        Args:
            gradient: [P, n].
            rates: [P], step sizes.
            learners: who takes it.
        """
        mean_square = self.decay * self.mean_square + (1 - self.decay) * gradient.square()
        rate = torch.tensor(rates, dtype=torch.float32, device=gradient.device)[:, None]
        moved = self.flat - rate * gradient / (mean_square + self.epsilon).sqrt()
        if len(learners) == len(self.flat):
            self.mean_square.copy_(mean_square)
            self.flat.copy_(moved)
            return
        index = torch.tensor(learners, dtype=torch.int64, device=gradient.device)
        self.mean_square[index] = mean_square[index]
        self.flat[index] = moved[index]


def clip_gradient(gradient: Tensor, max_norm: float) -> None:
    """Scale each learner's gradient, in place, to a 2-norm of at most `max_norm`. [P, n].

    The 1e-6 is that of `torch.nn.utils.clip_grad_norm_`.
    """
    norm = gradient_norm(gradient)
    gradient *= (max_norm / (norm + 1e-6)).clamp(max=1.0)[:, None]


def gradient_norm(gradient: Tensor) -> Tensor:
    """2-norm of each learner's gradient: [P, n] -> [P]."""
    norm: Tensor = torch.linalg.vector_norm(gradient, dim=1)
    return norm
