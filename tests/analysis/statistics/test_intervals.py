"""Intervals of a mean of few runs, against data whose mean is known and against SciPy."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from scipy.special import polygamma

from analysis.statistics import intervals
from analysis.statistics.bootstrap import means, summary
from analysis.statistics.intervals import METHODS, choose, coverage, interval, sample

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("method", "low", "high"),
    [
        *[("percentile", 0.73, 0.77), ("t", 0.94, 0.96), ("pooled", 0.94, 0.96)],
        *[("studentized", 0.75, 0.87), ("shrunk", 0.94, 0.965), ("partial", 0.95, 0.985)],
    ],
)
def test_how_often_the_mean_of_normal_data_is_covered(method: str, low: float, high: float) -> None:
    ends = interval(method, np.random.default_rng(1).normal(size=(2000, 11, 3)))
    assert low < ((ends[0] <= 0) & (ends[1] >= 0)).mean() < high


def test_the_interval_of_a_cell_is_scipys() -> None:
    values = RNG.normal(3, 2, (2, 7))
    low, high = interval("t", values)
    for place, runs in enumerate(values):
        expected = scipy.stats.ttest_1samp(runs, 0).confidence_interval()
        assert (low[place], high[place]) == pytest.approx((expected.low, expected.high))


def test_percentiles_are_those_of_the_bootstrap() -> None:
    values = RNG.normal(size=(1, 3))
    low, high = interval("percentile", values)
    assert (low[0], high[0]) == pytest.approx((values.min(), values.max()))
    many = RNG.normal(size=(1, 8))
    found = summary(means(many[0], 20_000, np.random.default_rng(2)))
    assert np.ravel(interval("percentile", many)) == pytest.approx(found[1:], abs=0.05)


def test_shrinking_ends_at_pooling_and_at_each_cell_alone() -> None:
    """Cells of one variance are pooled; those that differ by orders of magnitude stay apart."""
    alike = np.tile(RNG.normal(size=(1, 1, 5)), (1, 8, 1)) + np.arange(8)[:, None]
    np.testing.assert_allclose(interval("shrunk", alike), interval("pooled", alike), rtol=1e-3)
    apart = RNG.normal(size=(1, 8, 5)) * 10.0 ** np.arange(8)[:, None]
    width = np.subtract(*interval("shrunk", apart)) / np.subtract(*interval("t", apart))
    assert (width[0, 4:] > 0.7).all()
    value = np.array([0.01, 0.3, 2.0, 50.0])
    np.testing.assert_allclose(polygamma(1, intervals._trigamma_inverse(value)), value, rtol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_draws_have_the_interval_as_their_middle(method: str) -> None:
    values = RNG.normal([[0.0], [5.0]], 1.0, (2, 6))
    found = np.quantile(sample(method, values, 40_000, RNG), [0.025, 0.975], axis=0)
    np.testing.assert_allclose(found, interval(method, values), atol=0.12)


@pytest.mark.parametrize("method", METHODS)
def test_equal_runs_have_an_interval_without_width(method: str) -> None:
    low, high = interval(method, np.full((3, 3), 7.0))
    np.testing.assert_allclose([low, high], 7.0)


def test_coverage_counts_the_error_of_its_target_too() -> None:
    """Of many settings with normal data, Student's t covers 95 % for any N."""
    for there in (6, 10):
        found = coverage(RNG.normal(size=(400, there)), 3, 20, RNG)
        shares = found.groupby("method")["coverage"].mean()
        assert shares["t"] == pytest.approx(0.95, abs=0.02)
        assert shares["percentile"] < 0.8


def test_the_rule_takes_the_simplest_that_passes() -> None:
    def table(**shares: float | tuple[float, ...]) -> pd.DataFrame:
        some = {m: (v,) * 4 if isinstance(v, float) else v for m, v in shares.items()}
        every = dict.fromkeys(METHODS, (0.5,) * 4) | some
        lines = [(m, t, v) for m, all_ in every.items() for t, v in zip("abbb", all_, strict=True)]
        return pd.DataFrame(lines, columns=["method", "task", "coverage"])

    assert choose(table(pooled=0.95, t=(0.94, 0.96, 0.96, 0.96))) == ("t", True)
    assert choose(table(pooled=0.95, t=(0.87, 0.98, 0.98, 0.98))) == ("pooled", True)
    # A cell in four is covered too little, though no task and not the mean.
    assert choose(table(pooled=0.95, t=(0.99, 0.99, 0.99, 0.8))) == ("pooled", True)
    assert choose(table(percentile=0.75, t=(0.87, 0.98, 0.98, 0.98))) == ("t", False)
