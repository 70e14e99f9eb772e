"""IQM, probability of improvement and ranks: against enumeration and scipy."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from analysis.statistics import aggregate, bootstrap, ranks
from analysis.statistics.bootstrap import FloatArray


def _strata(count: int, size: int, seed: int = 0) -> list[FloatArray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(place, 1, size) for place in range(count)]


def test_interquartile_mean_is_the_mean_of_the_middle_half() -> None:
    strata = _strata(7, 3)
    pooled = sorted(float(value) for values in strata for value in values)
    assert aggregate.interquartile_mean(strata) == pytest.approx(np.mean(pooled[5:-5]))
    expected = scipy_stats.trim_mean(np.concatenate(strata), 0.25)
    assert aggregate.interquartile_mean(strata) == expected
    # One run that collapses, and one that excels, leave it where it is.
    strata[0][0], strata[6][2] = -1e9, 1e9
    assert abs(aggregate.interquartile_mean(strata)) < 10
    assert np.isnan(aggregate.interquartile_mean([]))


def _enumerated(
    strata: Sequence[FloatArray], statistic: Callable[[Sequence[FloatArray]], float]
) -> FloatArray:
    """Bounds over every way to draw n - 1 of the n values of each stratum, all equally likely."""
    draws = [list(itertools.product(values, repeat=len(values) - 1)) for values in strata]
    found = [statistic([np.array(part) for part in parts]) for parts in itertools.product(*draws)]
    return np.quantile(found, [0.025, 0.975])


def test_interquartile_interval_against_all_resamples() -> None:
    strata = _strata(4, 3)
    exact = _enumerated(strata, lambda parts: scipy_stats.trim_mean(np.concatenate(parts), 0.25))
    found = aggregate.interquartile_interval(strata, 40_000, bootstrap.stream(0, "x"))
    assert found == pytest.approx(tuple(exact), abs=0.02 * (exact[1] - exact[0]))


def test_interquartile_interval_of_many_runs_agrees_with_scipy() -> None:
    runs = np.random.default_rng(0).normal(1, 0.2, 40)
    theirs = scipy_stats.bootstrap(
        (runs,),
        lambda x, axis: scipy_stats.trim_mean(x, 0.25, axis=axis),
        n_resamples=4000,
        method="percentile",
        rng=2,
    ).confidence_interval
    ours = aggregate.interquartile_interval([runs], 4000, bootstrap.stream(0, "x"))
    np.testing.assert_allclose(ours, theirs, atol=0.01)


def test_resampling_has_the_variance_of_a_mean() -> None:
    values = np.array([1.0, 4.0, 9.0, 2.0])
    means = aggregate.resampled(values, 200_000, bootstrap.stream(0, "x")).mean(axis=1)
    assert means.mean() == pytest.approx(values.mean(), abs=0.02)
    assert means.var() == pytest.approx(values.var(ddof=1) / 4, rel=0.02)


def test_coverage_of_the_interquartile_mean_is_what_the_module_says() -> None:
    rng = np.random.default_rng(3)
    hits = 0
    for trial in range(400):
        data = [rng.normal(size=3) for _ in range(7)]
        low, high = aggregate.interquartile_interval(data, 400, bootstrap.stream(trial))
        hits += bool(low <= 0 <= high)
    assert 0.88 <= hits / 400 <= 0.94


@pytest.mark.parametrize("ties", [False, True])
def test_improvement_against_enumeration_and_mann_whitney(ties: bool) -> None:
    rng = np.random.default_rng(1)
    pairs = [(rng.normal(size=n), rng.normal(0.5, 1, m)) for n, m in ((3, 3), (5, 2), (4, 6))]
    if ties:
        pairs = [(np.round(x), np.round(y)) for x, y in pairs]
    shares = []
    for x, y in pairs:
        wins = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a in x for b in y)
        shares.append(wins / (len(x) * len(y)))
        u = scipy_stats.mannwhitneyu(x, y).statistic
        assert aggregate.improvement([(x, y)]) == pytest.approx(u / (len(x) * len(y)))
    assert ties == any(a == b for x, y in pairs for a in x for b in y)
    assert aggregate.improvement(pairs) == pytest.approx(np.mean(shares))
    reverse = [(y, x) for x, y in pairs]
    assert aggregate.improvement(reverse) == pytest.approx(1 - np.mean(shares))
    assert np.isnan(aggregate.improvement([]))


def test_improvement_interval_against_all_resamples() -> None:
    pairs = [
        (np.array([1.0, 4.0, 6.0]), np.array([2.0, 3.0, 5.0])),
        (np.array([5.0, 9.0]), np.array([4.0, 5.0])),
    ]
    exact = _enumerated(
        [values for pair in pairs for values in pair],
        lambda p: aggregate.improvement([(p[0], p[1]), (p[2], p[3])]),
    )
    found = aggregate.improvement_interval(pairs, 20_000, bootstrap.stream(0, "x"))
    assert found == pytest.approx(tuple(exact))
    assert exact[0] < aggregate.improvement(pairs) < exact[1]


def test_runs_that_are_apart_give_one_without_width() -> None:
    pairs = [(np.array([5.0, 6.0, 7.0]), np.array([1.0, 2.0, 3.0]))]
    assert aggregate.improvement(pairs) == 1
    assert aggregate.improvement_interval(pairs, 200, bootstrap.stream(0, "x")) == (1, 1)


def test_a_single_run_gives_no_interval() -> None:
    one, three = np.array([1.0]), np.array([1.0, 2.0, 3.0])
    rng = bootstrap.stream(0, "x")
    assert np.isnan(aggregate.interquartile_interval([three, one], 200, rng).low)
    assert np.isnan(aggregate.improvement_interval([(three, three), (one, three)], 200, rng).low)
    assert np.isnan(aggregate.interquartile_interval([], 200, rng).low)
    assert np.isnan(aggregate.improvement_interval([], 200, rng).low)
    assert np.isnan(bootstrap.difference_interval(one, three, 200, rng).low)


def test_the_interval_of_a_difference_agrees_with_scipy() -> None:
    x, y = _strata(2, 30)
    theirs = scipy_stats.bootstrap(
        (x, y),
        lambda a, b, axis: a.mean(axis) - b.mean(axis),
        n_resamples=20_000,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    found = bootstrap.difference_interval(x, y, 20_000, bootstrap.stream(0, "x"))
    # Ours is wider by sqrt(30 / 29), 1.7 %.
    assert found == pytest.approx(tuple(theirs), abs=0.03 * (theirs.high - theirs.low))
    assert found.high - found.low > theirs.high - theirs.low


def test_ranks_go_down_from_the_best_and_share_ties() -> None:
    values = pd.Series([10.0, -3.0, np.nan, 10.0, 50.0])
    assert ranks.ranks(values).tolist()[:2] == [2.5, 4.0]
    assert ranks.ranks(values).iloc[4] == 1 and np.isnan(ranks.ranks(values).iloc[2])


def test_agreement_of_orders() -> None:
    ours = np.array([5.0, 4.0, 3.0, 2.0])
    assert ranks.agreement(ours, ours**3) == (1, 1, 4)
    assert ranks.agreement(ours, -ours) == (-1, -1, 4)
    # One pair of six swapped: rho = 1 - 6 * 2 / (4 * 15), tau = (5 - 1) / 6.
    assert ranks.agreement(ours, np.array([4.0, 5.0, 3.0, 2.0])) == pytest.approx((0.8, 4 / 6, 4))
    # What one side lacks does not count, and two algorithms make no order.
    assert ranks.agreement(ours, np.array([9.0, np.nan, 2.0, 1.0])) == pytest.approx((1, 1, 3))
    assert np.isnan(ranks.agreement(ours[:2], ours[:2]).spearman)
    assert np.isnan(ranks.agreement(ours, np.ones(4)).kendall)


def test_agreement_of_mean_ranks() -> None:
    ours = np.array([[3.0, 2.0, 1.0], [300.0, 100.0, 200.0]])  # mean ranks 1, 2.5, 2.5
    theirs = np.array([[30.0, 20.0, 10.0], [9.0, 8.0, 7.0]])  # 1, 2, 3
    expected = scipy_stats.spearmanr([1, 2.5, 2.5], [1, 2, 3]).statistic
    assert ranks.overall(ours, theirs).spearman == pytest.approx(expected)
    assert ranks.overall(theirs, theirs) == pytest.approx((1, 1, 3))
