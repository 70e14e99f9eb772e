"""Attention and GELU of P learners at once, with gradients written out.

Both compute what torch's own functions do. Sequences here are short, and for those plain batched
products are faster than the fused kernels; and a sigmoid is faster than a tanh.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

# GELU's tanh form, x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))), Hendrycks & Gimpel (2016),
# is x sigmoid(SLOPE x + CUBIC x^3).
SLOPE = 2 * math.sqrt(2 / math.pi)
CUBIC = SLOPE * 0.044715


def gelu(x: Tensor) -> Tensor:
    """GELU, of any shape."""
    result: Tensor = _GELU.apply(x)  # type: ignore[no-untyped-call]
    return result


def attend(joined: Tensor, bias: Tensor, heads: int) -> Tensor:
    """softmax(q k' / sqrt(d) + bias) v, for the last Lq of L positions.

    Args:
        joined: queries, keys and values side by side, [P, B L, 3 H d].
        bias: 0 where a query may look, else minus infinity, [P B, 1, Lq, L].
        heads: H.

    Returns:
        [P, B Lq, H d].
    """
    result: Tensor = _Attend.apply(joined, bias, heads)  # type: ignore[no-untyped-call]
    return result


class _GELU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        gate = (x * x).mul_(CUBIC).add_(SLOPE).mul_(x).sigmoid_()
        ctx.save_for_backward(x, gate)
        y: Tensor = x * gate
        return y

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> Tensor:
        """(gate + x gate') times the upstream gradient."""
        x, gate = ctx.saved_tensors
        slope = (x * x).mul_(3 * CUBIC).add_(SLOPE).mul_(x)
        torch.ops.aten.sigmoid_backward.grad_input(slope, gate, grad_input=slope)
        gradient: Tensor = slope.add_(gate).mul_(upstream[0])
        return gradient


class _Attend(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, joined: Tensor, bias: Tensor, heads: int) -> Tensor:
        sequences, _, seen, length = bias.shape
        parts = joined.view(sequences, length, 3, heads, -1).permute(2, 0, 3, 1, 4)
        q, k, v = parts.reshape(3, sequences * heads, length, -1).unbind(0)
        q = q[:, length - seen :]
        scores = torch.bmm(q, k.mT).mul_(q.shape[-1] ** -0.5)
        shares = torch.softmax(scores.view(sequences, heads, seen, length).add_(bias), -1)
        shares = shares.view(scores.shape)
        ctx.save_for_backward(q, k, v, shares)
        ctx.heads = heads
        mixed = torch.bmm(shares, v).view(sequences, heads, seen, -1).transpose(1, 2)
        return mixed.reshape(len(joined), -1, joined.shape[-1] // 3)

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        q, k, v, shares = ctx.saved_tensors
        (batch, length, size), heads = k.shape, ctx.heads
        d_mixed = upstream[0].view(batch // heads, -1, heads, size).transpose(1, 2)
        d_mixed = d_mixed.reshape(q.shape)
        d_shares = torch.bmm(d_mixed, v.mT)
        d_scores = torch._softmax_backward_data(d_shares, shares, -1, shares.dtype)
        d_scores.mul_(size**-0.5)
        gradient = k.new_zeros(3, batch, length, size)
        gradient[0, :, length - q.shape[1] :] = torch.bmm(d_scores, k)
        torch.bmm(d_scores.mT, q, out=gradient[1])
        torch.bmm(shares.mT, d_mixed, out=gradient[2])
        whole = gradient.view(3, -1, heads, length, size).permute(1, 3, 0, 2, 4)
        return whole.reshape(len(upstream[0]), -1, 3 * heads * size), None, None
