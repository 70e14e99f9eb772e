"""Bootstrap intervals: agreement with scipy, coverage, and honesty about single runs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from analysis.statistics import bootstrap


def _strata(count: int, size: int, seed: int = 0) -> list[bootstrap.FloatArray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(loc, 1 + loc, size) for loc in range(count)]


def _interval(
    strata: list[bootstrap.FloatArray], replicates: int, seed: int
) -> tuple[float, float]:
    rng = bootstrap.stream(seed, "row")
    each = [bootstrap.means(values, replicates, rng) for values in strata]
    return bootstrap.summary(np.mean(each, axis=0))[1:]


def test_agrees_with_scipy_as_far_as_both_resample_the_same_way() -> None:
    strata = _strata(3, 40)
    theirs = scipy_stats.bootstrap(
        tuple(strata),
        lambda a, b, c, axis: (a.mean(axis) + b.mean(axis) + c.mean(axis)) / 3,
        n_resamples=20_000,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    # Ours is wider by sqrt(40 / 39), 1.3 %.
    assert _interval(strata, 20_000, 0) == pytest.approx(
        tuple(theirs), abs=0.03 * (theirs.high - theirs.low)
    )


def test_weights_are_one_and_then_those_of_n_less_one_draws() -> None:
    weights = bootstrap.weights(4, 500, bootstrap.stream(0, "x"))
    assert weights[0].tolist() == [1, 1, 1, 1]
    np.testing.assert_allclose(weights.sum(axis=1), 4)
    assert set(np.rint(weights[1:] * 3 / 4).ravel()) == {0, 1, 2, 3}


@pytest.mark.parametrize("size", [2, 3, 5])
def test_replicates_have_the_variance_of_a_mean(size: int) -> None:
    values = np.array([1.0, 4.0, 9.0, 2.0, 7.0])[:size]
    found = bootstrap.means(values, 200_000, bootstrap.stream(0, "x"))
    assert found[0] == values.mean()
    assert found[1:].mean() == pytest.approx(values.mean(), abs=0.03)
    assert found[1:].var() == pytest.approx(values.var(ddof=1) / size, rel=0.02)


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=6), st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_no_interval_leaves_the_range_of_the_runs_nor_leaves_out_the_mean(
    returns: list[float], seed: int
) -> None:
    value, low, high = bootstrap.summary(
        bootstrap.means(np.array(returns), 200, bootstrap.stream(seed, "x"))
    )
    room = 1e-9 * (1 + max(map(abs, returns)))  # of rounding
    assert min(returns) - room <= low <= value + room
    assert value - room <= high <= max(returns) + room


def _coverage(strata: int) -> float:
    rng = np.random.default_rng(7)
    hits = 0
    for trial in range(400):
        low, high = _interval([rng.normal(size=3) for _ in range(strata)], 800, trial)
        hits += bool(low <= 0 <= high)
    return hits / 400


def test_coverage_is_what_the_notes_say() -> None:
    assert 0.90 <= _coverage(7) <= 0.96
    assert 0.70 <= _coverage(1) <= 0.80


def test_a_single_run_in_any_stratum_gives_no_interval() -> None:
    low, high = _interval([*_strata(2, 3), np.array([5.0])], 200, 0)
    assert np.isnan(low) and np.isnan(high)
    alone = bootstrap.means(np.array([5.0]), 200, bootstrap.stream(0, "x"))
    assert alone[0] == 5 and np.isnan(alone[1:]).all()


def test_equal_runs_give_an_interval_of_width_zero() -> None:
    assert _interval([np.full(3, 7.0)], 200, 0) == (7.0, 7.0)


def test_intervals_repeat_with_the_seed_and_change_with_it() -> None:
    strata = _strata(7, 3)
    first, again, other = (_interval(strata, 500, seed) for seed in (0, 0, 1))
    assert first == again
    assert first != other


def test_streams_of_two_names_differ() -> None:
    draws = [bootstrap.stream(0, name).integers(1 << 60) for name in ("clip_0.1", "clip_0.2")]
    assert draws[0] != draws[1]


def test_curve_intervals_resample_whole_curves() -> None:
    curves = np.random.default_rng(0).normal(size=(3, 5))
    whole = bootstrap.means(curves, 500, bootstrap.stream(0, "row"))
    # The same draws serve every grid step, so a step on its own gives the same replicates.
    for step in range(5):
        alone = bootstrap.means(curves[:, step], 500, bootstrap.stream(0, "row"))
        np.testing.assert_allclose(alone, whole[:, step])
    single = bootstrap.means(curves[:1], 500, bootstrap.stream(0, "x"))
    assert np.isnan(bootstrap.bounds(single)).all()
