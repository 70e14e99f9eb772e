"""Rewards and advantages of tokens against brute force and the sources' known answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from repro.language import returns
from repro.language.best_of_n import best_of
from repro.language.config import KLConfig
from repro.language.controllers import KLController
from repro.language.reward import bradley_terry

MASK = torch.tensor([[[True, True, True, False], [True, False, False, False]]])


def controller(**changes: float) -> KLController:
    values = {"beta": 0.2, "target": 6.0, "horizon": 10_000, "error_clip": 0.2} | changes
    return KLController(
        [KLConfig("adaptive", "adaptive", place="reward", estimator="k1", **values)]
    )


def test_the_adaptive_controller_has_the_values_of_its_source() -> None:
    found, coefficient = [], controller()
    for kl in (0, 3, 5.5, 6, 6.6, 9, 60):
        coefficient.adapt(np.array([kl]), 256)
        found.append(coefficient.beta[0])
    expected = [0.198976, 0.1979572429, 0.1975349341, 0.1975349341]
    expected += [0.1980406235, 0.1990545915, 0.200073751]
    np.testing.assert_allclose(found, expected, rtol=1e-9)


def known_rewards() -> torch.Tensor:
    log_prob, reference = torch.tensor([[[-1, -2, -0.5]]]), torch.tensor([[[-1.5, -1, -0.5]]])
    kl = returns.kl_estimate(log_prob, reference, torch.tensor(False))
    mask = torch.ones(1, 1, 3, dtype=torch.bool)
    at = returns.last_index(mask, after=False)
    return returns.token_rewards(torch.tensor([[1.5]]), kl, torch.tensor([0.2]), mask, at)


def test_known_answers_of_rewards_advantages_and_whitening() -> None:
    rewards, mask = known_rewards(), torch.ones(1, 1, 3, dtype=torch.bool)
    torch.testing.assert_close(rewards, torch.tensor([[[-0.1, 0.2, 1.5]]]))
    values = torch.tensor([[[0.5, 0.2, -0.1]]])
    found = returns.token_advantages(rewards, values, 1.0, torch.tensor([0.95]), mask)
    torch.testing.assert_close(found, torch.tensor([[[0.949, 1.42, 1.6]]]))
    whitened = returns.whiten(found, mask, shift=True, unbiased=False)
    torch.testing.assert_close(whitened, torch.tensor([[[-1.36258791, 0.35339847, 1.00918944]]]))


def test_advantages_are_the_brute_force_sum() -> None:
    rng = torch.Generator().manual_seed(0)
    rewards, values = (torch.randn(1, 2, 4, generator=rng) * MASK for _ in range(2))
    gamma, decay = 0.9, 0.8
    found = returns.token_advantages(rewards, values, gamma, torch.tensor([decay]), MASK)
    for b, length in enumerate(MASK[0].sum(-1).tolist()):
        for t in range(length):
            total = 0.0
            for k in range(t, length):
                after = values[0, b, k + 1] if k + 1 < length else 0.0
                delta = rewards[0, b, k] + gamma * after - values[0, b, k]
                total += (gamma * decay) ** (k - t) * float(delta)
            assert found[0, b, t].item() == pytest.approx(total, abs=1e-6)
    assert not found[~MASK].any()


@pytest.mark.parametrize(("after", "places"), [(False, [2, 0]), (True, [3, 1])])
def test_the_score_lands_on_the_last_real_token_or_after_it(after: bool, places: list[int]) -> None:
    at = returns.last_index(MASK, after)
    kl = torch.full((1, 2, 4), 0.5)
    rewards = returns.token_rewards(torch.tensor([[7.0, 8.0]]), kl, torch.zeros(1), MASK, at)
    assert at.tolist() == [places]
    assert [row.nonzero().flatten().tolist() for row in rewards[0]] == [[p] for p in places]


def test_a_full_response_has_no_room_for_a_score_after_it() -> None:
    full = torch.ones(1, 1, 4, dtype=torch.bool)
    assert returns.last_index(full, after=True).item() == 3


def test_whitening_ignores_padding_and_keeps_the_mean_on_request() -> None:
    x = torch.tensor([[[1.0, 2.0, 6.0, 99.0], [3.0, -99.0, 50.0, 7.0]]])
    real = x[MASK].double().numpy()
    for unbiased in (False, True):
        scale = np.sqrt(real.var(ddof=int(unbiased)) + 1e-8)
        shifted = returns.whiten(x, MASK, shift=True, unbiased=unbiased)
        np.testing.assert_allclose(shifted[MASK], (real - real.mean()) / scale, rtol=1e-5)
        kept = returns.whiten(x, MASK, shift=False, unbiased=unbiased)
        np.testing.assert_allclose(kept[MASK] - shifted[MASK], real.mean(), rtol=1e-5)
        assert not shifted[~MASK].any()


def test_k3_is_never_negative_and_has_the_mean_of_k1() -> None:
    rng = torch.Generator().manual_seed(0)
    policy, reference = (torch.randn(6, generator=rng).log_softmax(0) for _ in range(2))
    k1, k3 = (returns.kl_estimate(policy, reference, torch.tensor(on)) for on in (False, True))
    assert (k3 >= 0).all()
    exact = (policy.exp() * (policy - reference)).sum()
    torch.testing.assert_close((policy.exp() * k1).sum(), exact)
    torch.testing.assert_close((policy.exp() * k3).sum(), exact)


def test_bradley_terry_is_its_closed_form_whatever_is_added_to_both() -> None:
    chosen, rejected = torch.tensor([2.0, -1.0, 0.0]), torch.tensor([1.0, 1.0, 0.0])
    closed = -torch.log(chosen.exp() / (chosen.exp() + rejected.exp()))
    torch.testing.assert_close(bradley_terry(chosen - rejected), closed)
    torch.testing.assert_close(bradley_terry((chosen + 5) - (rejected + 5)), closed)


def test_best_of_n_is_the_mean_over_all_subsets() -> None:
    import itertools

    rng = np.random.default_rng(0)
    proxy, gold = rng.standard_normal((2, 3, 6))
    for n in (1, 2, 4, 6):
        subsets = list(itertools.combinations(range(6), n))
        picks = [
            (row, max(subset, key=lambda i: proxy[row, i]))
            for row in range(3)
            for subset in subsets
        ]
        expected = [np.mean([x[pick] for pick in picks]) for x in (proxy, gold)]
        np.testing.assert_allclose(best_of(proxy, gold, n), expected)
