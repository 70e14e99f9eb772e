"""Dense layers of P learners at once, with gradients written out.

The arithmetic is chosen so that a learner's bits do not depend on P, and after that for speed: all
products are batched, activations are computed in place, and only the layers' outputs are saved for
the gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.networks.initialization import Array

# Weights are padded with zeros to a multiple of this many columns. For other numbers of columns the
# kernel of a matrix product depends on the alignment of its operands, hence on a learner's place in
# the pack (and one column is a matrix-vector product for P = 1 only). 6 columns also take 2.5 times
# as long as 16. The zeros stay zeros, since no activation and no gradient reaches them.
COLUMNS = 16
ACTIVATIONS = ("tanh", "relu")
_ONE = torch.ones(())


def padded_size(size: int) -> int:
    """The next multiple of `COLUMNS`."""
    return -(-size // COLUMNS) * COLUMNS


def pad_weights(array: Array, shape: tuple[int, ...]) -> Array:
    """Extend `array` with zeros to `shape`."""
    padded = np.zeros(shape, array.dtype)
    padded[tuple(slice(size) for size in array.shape)] = array
    return padded


def mlp(
    x: Tensor, hidden: Sequence[tuple[Tensor, Tensor]], head: tuple[Tensor, Tensor], activation: str
) -> Tensor:
    """Hidden layers, each followed by the activation, then a linear head.

    Args:
        x: [P, M, I].
        hidden: (weight [P, I, O], bias [P, 1, O]) of each layer; may be empty.
        head: weight and bias of the last layer.
        activation: one of `ACTIVATIONS`.

    Returns:
        [P, M, O] of the head.
    """
    parameters = [tensor for layer in (*hidden, head) for tensor in layer]
    if torch.is_grad_enabled():
        output: Tensor = _MLP.apply(activation, x, *parameters)  # type: ignore[no-untyped-call]
        return output
    return _forward(activation, x, parameters)[0]


def trunk(x: Tensor, hidden: Sequence[tuple[Tensor, Tensor]], activation: str) -> Tensor:
    """Hidden layers without a head, differentiated by autograd: [P, M, I] -> [P, M, O]."""
    function = torch.tanh if activation == "tanh" else torch.relu
    for weight, bias in hidden:
        x = function(torch.baddbmm(bias, x, weight))
    return x


def _forward(
    activation: str, x: Tensor, parameters: Sequence[Tensor]
) -> tuple[Tensor, list[Tensor]]:
    """The head's output, and the inputs of each layer."""
    inputs = [x]
    for i in range(0, len(parameters) - 2, 2):
        inputs.append(
            _activate(activation, torch.bmm(inputs[-1], parameters[i]), parameters[i + 1])
        )
    return torch.bmm(inputs[-1], parameters[-2]).add_(parameters[-1]), inputs


def _activate(activation: str, x: Tensor, bias: Tensor) -> Tensor:
    """The activation of x + b, in place: x is in the cache, a new tensor would not be."""
    if activation == "relu":
        return x.add_(bias).relu_()
    # tanh u = 1 - 2 / (exp 2u + 1), to 2e-7 in a third of torch.tanh's time. torch.sigmoid is
    # faster still, but its kernel rounds the last elements of a tensor differently.
    torch.add(2 * bias, x, alpha=2, out=x)
    x.exp_().add_(1).reciprocal_()
    return torch.sub(_ONE, x, alpha=2, out=x)


class _MLP(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, activation: str, x: Tensor, *parameters: Tensor) -> Tensor:
        output, inputs = _forward(activation, x, parameters)
        ctx.activation = activation
        ctx.save_for_backward(*inputs, *parameters[::2])
        return output

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        layers = len(ctx.saved_tensors) // 2
        inputs, weights = ctx.saved_tensors[:layers], ctx.saved_tensors[layers:]
        (d_z,) = upstream
        gradients: list[Tensor] = []
        d_x = None
        for i in reversed(range(layers)):
            gradients[:0] = [torch.bmm(inputs[i].mT, d_z), d_z.sum(1, keepdim=True)]
            d_x = torch.bmm(d_z, weights[i].mT) if i or ctx.needs_input_grad[1] else None
            if i:
                assert d_x is not None
                d_z = _activation_gradient(ctx.activation, d_x, inputs[i])
        return (None, d_x, *gradients)


def _activation_gradient(activation: str, d_y: Tensor, y: Tensor) -> Tensor:
    """The upstream gradient times the derivative of the activation at its output y, in place."""
    if activation == "tanh":
        torch.ops.aten.tanh_backward.grad_input(d_y, y, grad_input=d_y)
    else:
        torch.ops.aten.threshold_backward.grad_input(d_y, y, 0, grad_input=d_y)
    return d_y
