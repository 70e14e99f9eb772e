"""IQM, probability of improvement and ranks: against enumeration and scipy."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from scipy import stats as scipy_stats

from analysis.statistics import aggregate, bootstrap, ranks
from analysis.statistics.bootstrap import FloatArray


def _strata(count: int, size: int, seed: int = 0) -> list[FloatArray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(place, 1, size) for place in range(count)]


def _iqm(strata: Sequence[FloatArray], replicates: int = 0, seed: int = 0) -> bootstrap.Estimate:
    found = aggregate.interquartile(strata, replicates or 100, bootstrap.stream(seed, "x"))
    return bootstrap.summary(found)


def _repeated(values: FloatArray) -> float:
    """The middle half to the fraction: four times each value, of which SciPy trims whole ones."""
    return float(scipy_stats.trim_mean(np.repeat(values, 4), 0.25))


@pytest.mark.parametrize("runs", [1, 2, 3, 4, 5, 9, 21])
def test_the_interquartile_mean_is_that_of_the_middle_half_to_the_fraction(runs: int) -> None:
    values = np.random.default_rng(runs).normal(size=runs)
    assert _iqm([values]).value == pytest.approx(_repeated(values))
    if runs % 4 == 0:
        assert _iqm([values]).value == pytest.approx(scipy_stats.trim_mean(values, 0.25))
    # Weights are repetitions.
    counts = np.random.default_rng(0).integers(0, 3, size=runs)
    counts[0] = 1
    weighted = aggregate.interquartile_mean(values, counts.astype(float))
    assert weighted == pytest.approx(_repeated(np.repeat(values, counts)))


def test_outliers_do_not_move_the_interquartile_mean() -> None:
    strata = _strata(7, 3)
    strata[0][0], strata[6][2] = -1e9, 1e9
    assert abs(_iqm(strata).value) < 10
    assert np.isnan(_iqm([]).value)


def _enumerated(
    strata: Sequence[FloatArray], statistic: Callable[[Sequence[FloatArray]], float]
) -> FloatArray:
    """Bounds over every way to draw n - 1 of the n values of each stratum, all equally likely."""
    draws = [list(itertools.product(values, repeat=len(values) - 1)) for values in strata]
    found = [statistic([np.array(part) for part in parts]) for parts in itertools.product(*draws)]
    return np.quantile(found, [0.025, 0.975])


def test_interquartile_interval_against_all_resamples() -> None:
    strata = _strata(4, 3)
    exact = _enumerated(strata, lambda parts: _repeated(np.concatenate(parts)))
    found = _iqm(strata, 40_000)
    assert found[1:] == pytest.approx(tuple(exact), abs=0.02 * (exact[1] - exact[0]))


def test_interquartile_interval_of_many_runs_agrees_with_scipy() -> None:
    runs = np.random.default_rng(0).normal(1, 0.2, 40)
    theirs = scipy_stats.bootstrap(
        (runs,),
        lambda x, axis: scipy_stats.trim_mean(x, 0.25, axis=axis),
        n_resamples=4000,
        method="percentile",
        rng=2,
    ).confidence_interval
    np.testing.assert_allclose(_iqm([runs], 4000)[1:], theirs, atol=0.01)


@pytest.mark.parametrize("apart", [0, 1, 5])  # how far the tasks' scores are from one another
@pytest.mark.parametrize("tasks", [3, 7])
def test_the_interquartile_interval_holds_its_own_point_and_covers_the_truth(
    apart: int, tasks: int
) -> None:
    rng = np.random.default_rng(3)
    draw = rng.normal(size=(4000, tasks, 3)) + apart * np.arange(tasks)[:, None]
    flat = np.sort(draw.reshape(4000, -1), axis=1)
    truth = np.mean([_repeated(values) for values in flat[:1000]])
    hits = 0
    for trial, data in enumerate(draw[:150]):
        value, low, high = _iqm(list(data), 300, trial)
        assert low <= value <= high
        hits += bool(low <= truth <= high)
    assert 0.8 <= hits / 150 <= 0.97


@pytest.mark.parametrize("ties", [False, True])
def test_improvement_against_enumeration_and_mann_whitney(ties: bool) -> None:
    def improvement(pairs: aggregate.Pairs) -> float:
        return float(aggregate.improvement(pairs, 1, bootstrap.stream(0, "x"))[0])

    rng = np.random.default_rng(1)
    pairs = [(rng.normal(size=n), rng.normal(0.5, 1, m)) for n, m in ((3, 3), (5, 2), (4, 6))]
    if ties:
        pairs = [(np.round(x), np.round(y)) for x, y in pairs]
    shares = []
    for x, y in pairs:
        wins = sum(1.0 if a > b else 0.5 if a == b else 0.0 for a in x for b in y)
        shares.append(wins / (len(x) * len(y)))
        u = scipy_stats.mannwhitneyu(x, y).statistic
        assert improvement([(x, y)]) == pytest.approx(u / (len(x) * len(y)))
    assert ties == any(a == b for x, y in pairs for a in x for b in y)
    assert improvement(pairs) == pytest.approx(np.mean(shares))
    assert improvement([(y, x) for x, y in pairs]) == pytest.approx(1 - np.mean(shares))
    assert np.isnan(improvement([]))


def test_improvement_interval_against_all_resamples() -> None:
    pairs = [
        (np.array([1.0, 4.0, 6.0]), np.array([2.0, 3.0, 5.0])),
        (np.array([5.0, 9.0]), np.array([4.0, 5.0])),
    ]

    def share(parts: Sequence[FloatArray]) -> float:
        a, b, c, d = parts
        signs = [np.sign(x[:, None] - y).mean() for x, y in ((a, b), (c, d))]
        return float(np.mean(signs) + 1) / 2

    exact = _enumerated([values for pair in pairs for values in pair], share)
    found = bootstrap.summary(aggregate.improvement(pairs, 20_000, bootstrap.stream(0, "x")))
    assert found[1:] == pytest.approx(tuple(exact))
    assert exact[0] < found.value < exact[1]


def test_runs_that_are_apart_give_one_without_width() -> None:
    pairs = [(np.array([5.0, 6.0, 7.0]), np.array([1.0, 2.0, 3.0]))]
    found = aggregate.improvement(pairs, 200, bootstrap.stream(0, "x"))
    assert bootstrap.summary(found) == pytest.approx((1, 1, 1))


def test_a_single_run_gives_no_interval() -> None:
    one, three = np.array([1.0]), np.array([1.0, 2.0, 3.0])
    rng = bootstrap.stream(0, "x")
    assert np.isnan(_iqm([three, one]).low)
    for pairs in ([(three, three), (one, three)], [(three, one)], [(np.array([0.0]), three)], []):
        assert np.isnan(aggregate.improvement(pairs, 200, rng)[1:]).all(), pairs
    assert np.isnan(bootstrap.means(one, 200, rng) - bootstrap.means(three, 200, rng))[1:].all()


def test_the_interval_of_a_difference_agrees_with_scipy() -> None:
    x, y = _strata(2, 30)
    theirs = scipy_stats.bootstrap(
        (x, y),
        lambda a, b, axis: a.mean(axis) - b.mean(axis),
        n_resamples=20_000,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    rng = bootstrap.stream(0, "x")
    found = bootstrap.summary(bootstrap.means(x, 20_000, rng) - bootstrap.means(y, 20_000, rng))
    # Ours is wider by sqrt(30 / 29), 1.7 %.
    assert found[1:] == pytest.approx(tuple(theirs), abs=0.03 * (theirs.high - theirs.low))
    assert found.high - found.low > theirs.high - theirs.low


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
