"""Action distributions where a probability is zero."""

from __future__ import annotations

import math

import torch

from repro.networks.distributions import Categorical


def test_an_action_that_cannot_be_taken_is_left_out() -> None:
    """As if it were not there: entropy, KL, log-probabilities and their gradients."""
    with_it = torch.tensor([[0.3, -math.inf, 1.0]], requires_grad=True)
    without = torch.tensor([[0.3, 1.0]], requires_grad=True)
    old_with, old_without = torch.tensor([[0.1, -math.inf, 0.0]]), torch.tensor([[0.1, 0.0]])
    results = []
    for logits, old, action in ((with_it, old_with, 2), (without, old_without, 1)):
        now, before = Categorical(logits), Categorical(old)
        found = [now.entropy(), now.kl_from(before), now.log_prob(torch.tensor([action]))]
        (gradient,) = torch.autograd.grad(sum(found, torch.zeros(1)).sum(), logits)
        results.append((torch.cat(found), gradient))
    torch.testing.assert_close(results[0][0], results[1][0])
    torch.testing.assert_close(results[0][1][:, [0, 2]], results[1][1])
    assert results[0][1][0, 1] == 0
    assert Categorical(old_with).sample(torch.rand(1000)).ne(1).all()


def test_an_action_that_is_new_or_gone() -> None:
    masked, open_ = Categorical(torch.tensor([0.0, -math.inf])), Categorical(torch.zeros(2))
    assert torch.isclose(open_.kl_from(masked), torch.tensor(math.log(2)))
    assert masked.kl_from(open_) == math.inf
