"""Bootstrap intervals: agreement with scipy, coverage, and honesty about single runs."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats as scipy_stats

from analysis.statistics import bootstrap


def _strata(count: int, size: int, seed: int = 0) -> list[bootstrap.FloatArray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(loc, 1 + loc, size) for loc in range(count)]


def test_agrees_with_scipy_where_both_resample_the_same_way() -> None:
    strata = _strata(3, 8)
    low, high = bootstrap.bounds(
        bootstrap.stratified_replicates(strata, 20_000, bootstrap.stream(0, "x"), widen=False)
    )
    theirs = scipy_stats.bootstrap(
        tuple(strata),
        lambda a, b, c, axis: (a.mean(axis) + b.mean(axis) + c.mean(axis)) / 3,
        n_resamples=20_000,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    width = theirs.high - theirs.low
    assert low == pytest.approx(theirs.low, abs=0.02 * width)
    assert high == pytest.approx(theirs.high, abs=0.02 * width)


def test_widening_restores_the_variance_that_resampling_loses() -> None:
    values = np.array([1.0, 4.0, 9.0])
    replicates = bootstrap.replicate_means(values, 200_000, bootstrap.stream(0, "x"))
    assert replicates.mean() == pytest.approx(values.mean(), abs=0.02)
    assert replicates.var() == pytest.approx(values.var(ddof=1) / 3, rel=0.02)


def _coverage(strata: int, widen: bool) -> float:
    rng = np.random.default_rng(7)
    hits = 0
    for trial in range(400):
        data = [rng.normal(size=3) for _ in range(strata)]
        replicates = bootstrap.stratified_replicates(data, 800, bootstrap.stream(trial), widen)
        low, high = bootstrap.bounds(replicates)
        hits += bool(low <= 0 <= high)
    return hits / 400


def test_coverage_of_a_row_of_seven_tasks_is_near_nominal() -> None:
    assert 0.91 <= _coverage(7, widen=True) <= 0.97
    assert _coverage(7, widen=False) < 0.91


def test_coverage_of_a_single_task_is_what_the_notes_say() -> None:
    assert 0.76 <= _coverage(1, widen=True) <= 0.85


def test_a_single_run_in_any_stratum_gives_no_interval() -> None:
    strata = [*_strata(2, 3), np.array([5.0])]
    low, high = bootstrap.stratified_interval(strata, 200, bootstrap.stream(0, "x"))
    assert np.isnan(low) and np.isnan(high)
    assert np.isnan(bootstrap.stratified_interval([], 200, bootstrap.stream(0, "x")).low)


def test_equal_runs_give_an_interval_of_width_zero() -> None:
    assert bootstrap.stratified_interval([np.full(3, 7.0)], 200, bootstrap.stream(0, "x")) == (
        7.0,
        7.0,
    )


def test_intervals_repeat_with_the_seed_and_change_with_it() -> None:
    strata = _strata(7, 3)
    first, again, other = (
        bootstrap.stratified_interval(strata, 500, bootstrap.stream(seed, "row"))
        for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


def test_streams_of_two_names_differ() -> None:
    draws = [bootstrap.stream(0, name).integers(1 << 60) for name in ("clip_0.1", "clip_0.2")]
    assert draws[0] != draws[1]


def test_curve_intervals_resample_whole_curves() -> None:
    curves = np.random.default_rng(0).normal(size=(3, 5))
    low, high = bootstrap.curve_interval(curves, 500, bootstrap.stream(0, "x"))
    # The same draws serve every grid step, so a step on its own gives the same interval.
    for step in range(5):
        alone = bootstrap.stratified_interval([curves[:, step]], 500, bootstrap.stream(0, "x"))
        assert alone == pytest.approx((low[step], high[step]))
    assert np.isnan(bootstrap.curve_interval(curves[:1], 500, bootstrap.stream(0, "x"))).all()
