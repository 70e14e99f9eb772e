"""Means of few seeds: their law against SciPy's, and how often it holds what it should."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from analysis.statistics.bootstrap import FloatArray, bounds, stream, summary
from analysis.statistics.estimates import pooled_in_part, replicates, typical

COUNT = 2000


def test_without_a_typical_variance_it_is_students_t() -> None:
    values = np.random.default_rng(0).normal(3, 2, 5)
    found = replicates(values, None, 20_000, stream(0, "x"))
    expected = scipy.stats.ttest_1samp(values, 0).confidence_interval()
    assert summary(found) == pytest.approx((values.mean(), expected.low, expected.high), rel=1e-3)


def test_the_probability_of_a_sign_is_that_of_the_t_test() -> None:
    values = np.array([1.0, 3.0, 0.5, -0.5])
    found = replicates(values, None, 50_000, stream(0, "x"))
    expected = scipy.stats.ttest_1samp(values, 0, alternative="greater").pvalue
    assert (found[1:] <= 0).mean() == pytest.approx(expected, abs=1e-3)


def test_the_variance_is_between_the_cells_and_the_tasks() -> None:
    mixed, freedom = pooled_in_part(np.array(9.0), np.array(1.0), 2)
    assert (float(mixed), freedom) == (5.0, 4.0)
    many, freedom = pooled_in_part(np.array(9.0), np.array(1.0), 98)
    assert float(many) == pytest.approx(8.84) and freedom == 100


def test_the_typical_variance_is_right_on_average_and_blind_to_an_outlier() -> None:
    rng = np.random.default_rng(1)
    cells = list(rng.normal(0, 2, (4001, 3)))
    assert typical(cells) == pytest.approx(4, rel=0.05)
    assert typical([*cells[:11], np.array([0.0, 0.0, 1e6])]) < 40
    assert typical(cells[:3]) is None and typical([np.ones(1)] * 9) is None


def _world(rng: np.random.Generator, spreads: FloatArray) -> tuple[float, float]:
    """How often a cell, and the mean of a row over 7 tasks, are covered with 3 seeds."""
    cell = row = 0
    trials = 300
    for trial in range(trials):
        tasks = rng.normal(size=(7, len(spreads), 3)) * spreads[:, None]
        common = [typical(task) for task in tasks]
        mine = [task[-1] for task in tasks]
        low, high = bounds(replicates(mine[0], common[0], COUNT, stream(trial, "x")))
        cell += bool(low <= 0 <= high)
        row_rng, pairs = stream(trial, "y"), zip(mine, common, strict=True)
        low, high = bounds(np.mean([replicates(*pair, COUNT, row_rng) for pair in pairs], axis=0))
        row += bool(low <= 0 <= high)
    return cell / trials, row / trials


@pytest.mark.parametrize(("last", "cell", "row"), [(1.0, 0.98, 0.98), (10.0, 0.83, 0.93)])
def test_three_seeds_are_covered_as_often_as_the_notes_say(
    last: float, cell: float, row: float
) -> None:
    """Also where their row scatters ten times as much as the others of the task."""
    found = _world(np.random.default_rng(2), np.array([1.0] * 10 + [last]))
    assert found == pytest.approx((cell, row), abs=0.02)


def test_a_single_run_gives_no_interval() -> None:
    found = replicates(np.array([5.0]), np.array(1.0), COUNT, stream(0, "x"))
    assert found[0] == 5 and np.isnan(found[1:]).all()
    assert np.isnan(replicates(np.empty(0), None, COUNT, stream(0, "x"))).all()


def test_a_point_of_a_curve_on_its_own_has_the_same_replicates() -> None:
    curves = np.random.default_rng(0).normal(size=(3, 5))
    common = np.arange(5.0)
    whole = replicates(curves, common, 500, stream(0, "row"))
    for step in range(5):
        alone = replicates(curves[:, step], common[step], 500, stream(0, "row"))
        np.testing.assert_allclose(alone, whole[:, step])


def test_a_curve_that_has_not_begun_leaves_the_others_their_typical_variance() -> None:
    rng = np.random.default_rng(0)
    curves = list(rng.normal(size=(5, 3, 2)))
    late = curves[4].copy()
    late[:, 0] = np.nan
    found = typical([*curves[:4], late])
    assert found is not None
    np.testing.assert_allclose(found[0], typical([c[:, 0] for c in curves[:4]]))
    assert found[1] == pytest.approx(float(typical([c[:, 1] for c in curves])))  # type: ignore[arg-type]
