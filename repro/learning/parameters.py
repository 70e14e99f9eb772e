"""Parameters of P learners in one flat tensor, so that one operation serves the whole pack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

# Rows of the flat storage are padded to whole vector registers (16 floats in AVX-512), so that no
# element's position in the pack decides between a vectorized loop and its scalar tail.
ROW_ALIGNMENT = 16


class StackedParameters:
    """Parameters of P learners in one flat [P, n] tensor, with named views [P, ...] into it."""

    SAVED = ("flat",)

    def __init__(
        self,
        learners: Sequence[Mapping[str, np.ndarray[Any, Any]]],
        device: torch.device,
    ) -> None:
        """Stack the parameters of each learner; all have the same names and shapes."""
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
        self._named_gradients = _named_views(self._gradient, shapes)
        self._gradient_views = list(self._named_gradients.values())

    def gradient(self, loss: Tensor) -> Tensor:
        """d loss / d flat, [P, n], of a scalar loss that was computed from `leaves`.

        The tensor returned is overwritten by the next call.
        """
        parts = torch.autograd.grad(loss, list(self.leaves.values()), materialize_grads=True)
        torch._foreach_copy_(self._gradient_views, parts)
        return self._gradient

    def of_gradient(self, name: str) -> Tensor:
        """The part [P, ...] of what `gradient` returned last that belongs to one parameter."""
        return self._named_gradients[name]

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
