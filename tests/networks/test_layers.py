"""Hand-written gradients equal autograd; bits do not depend on the number of learners."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from repro.networks import layers

ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu}


def make(p: int, sizes: list[int], seed: int = 0) -> list[tuple[torch.Tensor, torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    return [
        (
            torch.randn(p, i, o, generator=generator, requires_grad=True),
            torch.randn(p, 1, o, generator=generator, requires_grad=True),
        )
        for i, o in pairwise(sizes)
    ]


def plain(
    x: torch.Tensor, parameters: list[tuple[torch.Tensor, torch.Tensor]], activation: str
) -> torch.Tensor:
    for weight, bias in parameters[:-1]:
        x = ACTIVATIONS[activation](x @ weight + bias)
    weight, bias = parameters[-1]
    return x @ weight + bias


@pytest.mark.parametrize("activation", layers.ACTIVATIONS)
@pytest.mark.parametrize("sizes", [[17, 64, 64, 6], [4, 32, 1], [8, 5], [11, 7, 7, 20]])
def test_values_and_gradients_equal_autograd(activation: str, sizes: list[int]) -> None:
    parameters = make(3, sizes)
    x = torch.randn(3, 10, sizes[0], generator=torch.Generator().manual_seed(1), requires_grad=True)
    leaves = [x, *(tensor for layer in parameters for tensor in layer)]
    ours = layers.mlp(x, parameters[:-1], parameters[-1], activation)
    theirs = plain(x, parameters, activation)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    upstream = torch.randn(ours.shape, generator=torch.Generator().manual_seed(2))
    found = torch.autograd.grad(ours, leaves, upstream)
    expected = torch.autograd.grad(theirs, leaves, upstream)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=2e-3)
    with torch.no_grad():
        assert torch.equal(layers.mlp(x, parameters[:-1], parameters[-1], activation), ours)


def test_tanh_is_accurate_and_saturates() -> None:
    u = torch.cat([torch.linspace(-12, 12, 100_001), torch.tensor([-1e30, 1e30, 60.0, -60.0])])
    found = layers._activate("tanh", u.clone()[None, :, None], torch.zeros(1, 1, 1)).flatten()
    assert float((found.double() - torch.tanh(u.double())).abs().max()) < 2.5e-7
    assert found[-4:].tolist() == [-1, 1, 1, -1]


@pytest.mark.parametrize("sizes", [[17, 64, 64, 16], [4, 16, 16], [3, 48, 32], [11, 16]])
@pytest.mark.parametrize("m", [1, 3, 64])
def test_bits_do_not_depend_on_the_number_of_learners(sizes: list[int], m: int) -> None:
    p = 7
    parameters = make(p, sizes)
    x = torch.randn(p, m, sizes[0], generator=torch.Generator().manual_seed(3))

    def pass_both_ways(first: int, last: int) -> list[torch.Tensor]:
        own = [
            (w[first:last].detach().requires_grad_(), b[first:last].detach().requires_grad_())
            for w, b in parameters
        ]
        leaves = [tensor for layer in own for tensor in layer]
        out = layers.mlp(x[first:last], own[:-1], own[-1], "tanh")
        return [out.detach(), *torch.autograd.grad(out.square().sum(), leaves)]

    together = pass_both_ways(0, p)
    for first, last in [(0, 1), (3, 4), (6, 7), (1, 3), (2, 7)]:
        for alone, packed in zip(pass_both_ways(first, last), together, strict=True):
            assert torch.equal(alone, packed[first:last])
