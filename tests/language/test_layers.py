"""The written-out gradients against torch's own functions."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from repro.language.layers import attend, gelu


def both(mine: torch.Tensor, theirs: torch.Tensor, x: torch.Tensor) -> None:
    """Equal values, and equal gradients of a sum with random weights."""
    torch.testing.assert_close(mine, theirs, atol=1e-6, rtol=1e-5)
    weights = torch.randn(mine.shape, generator=torch.Generator().manual_seed(1))
    (own,), (other,) = (torch.autograd.grad((y * weights).sum(), x) for y in (mine, theirs))
    torch.testing.assert_close(own, other, atol=1e-5, rtol=1e-4)


def test_gelu_is_torchs_tanh_form() -> None:
    x = torch.cat([torch.linspace(-12, 12, 513), torch.zeros(1)]).requires_grad_()
    both(gelu(x), functional.gelu(x, approximate="tanh"), x)


@pytest.mark.parametrize("first", [0, 3, 6])
def test_attention_is_torchs_for_the_last_positions(first: int) -> None:
    learners, batch, length, heads, size = 2, 3, 7, 2, 8
    generator = torch.Generator().manual_seed(0)
    joined = torch.randn(learners, batch * length, 3 * heads * size, generator=generator)
    joined.requires_grad_()
    bias = torch.full((length, length), -math.inf).triu(1).expand(learners * batch, 1, -1, -1)
    parts = joined.view(learners * batch, length, 3, heads, size).unbind(2)
    q, k, v = (part.transpose(1, 2) for part in parts)
    theirs = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    theirs = theirs.transpose(1, 2)[:, first:].reshape(learners, -1, heads * size)
    both(attend(joined, bias[:, :, first:], heads), theirs, joined)
