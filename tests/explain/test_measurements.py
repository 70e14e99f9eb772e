"""Each committed number, measured again: it must come out within its stated error.

What trains is `slow`: its numbers have errors of three seeds, and another processor's rounding
makes other policies. The short form repeats a part of a measurement, with fewer seeds; the long
one, all of it.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from repro.explain import (
    clip,
    derivation,
    gae,
    intuition,
    motivation,
    paths,
    statistics,
    trust_region,
    variance,
)
from repro.explain.__main__ import NAMES
from repro.explain.tables import Table
from tests.helpers.explain import RESULTS, committed

ERRORS = 4.0  # standard errors that a repetition may differ by


def assert_agrees(fresh: Table, errors: float = ERRORS) -> None:
    """Rows of `fresh` against the committed ones; without an error to rounding of the file."""
    table, measured = committed(fresh.name), fresh.frame
    given = {"value", "error", "seeds", "repetitions", "episodes"}
    if "error" not in table:
        near = {"rtol": 1e-5, "atol": 1e-9, "check_dtype": False}
        pd.testing.assert_frame_equal(measured.reset_index(drop=True), table, **near)
        return
    keys = [name for name in table if name not in given]
    numbers = [key for key in keys if pd.api.types.is_float_dtype(measured[key])]
    both = measured.assign(**{key: measured[key].round(6) for key in numbers}).merge(
        table, on=keys, suffixes=("", "_committed")
    )
    assert len(both) == len(measured)
    allowed = errors * both["error_committed"] + 1e-4 * both["value_committed"].abs() + 1e-9
    off = both[(both["value"] - both["value_committed"]).abs() > allowed]
    assert off.empty, off.to_string()


def of(tables: list[Table], name: str) -> Table:
    (found,) = [table for table in tables if table.name == name]
    return found


def some(table: Table, query: str) -> Table:
    return Table(table.name, table.frame.query(query).reset_index(drop=True), table.units)


@pytest.mark.parametrize(
    "table",
    [clip.term(), *motivation.measure(), statistics.samples(), trust_region.contours()],
    ids=lambda table: table.name,
)
def test_exact_curves(table: Table) -> None:
    assert_agrees(table)


@pytest.mark.slow
def test_clip_shares() -> None:
    tables = clip.measure(seeds=2, tasks=["reacher"], objectives=["clip_0.2"])
    assert_agrees(some(of(tables, "clip_shares"), "epoch in (5, 10)"))


@pytest.mark.slow
def test_variance() -> None:
    table = of(variance.measure(seeds=1, rollouts=24, tasks=["Reacher-v4"]), "variance")
    assert_agrees(some(table, "measure == 'log_trace'"))


@pytest.mark.slow
def test_gae() -> None:
    """Half of the trajectories give the bias with too much noise but for a large lambda."""
    table = of(gae.measure(seeds=1, trajectories=30, shown=["own"]), "gae")
    assert_agrees(some(table, "measure == 'std' or (measure == 'bias' and `lambda` > 0.92)"))


@pytest.mark.slow
def test_trust_region_steps() -> None:
    assert_agrees(of(trust_region.measure(seeds=2), "trust_region_steps"))


def test_statistics() -> None:
    assert_agrees(statistics.errors(statistics.REPETITIONS))


@pytest.mark.slow
def test_intuition() -> None:
    assert_agrees(of(intuition.measure(seeds=2), "intuition"))


def test_derivation() -> None:
    summary, errors = derivation.measure()
    assert_agrees(errors)
    assert summary.frame["value"].iloc[-1] == pytest.approx(1, abs=0.5)


@pytest.mark.slow
def test_paths() -> None:
    """The first updates of one climb."""
    lines = paths.climb("trpo", "flat", seeds=2, iterations=2)
    table = paths.table(lines)
    assert_agrees(some(table, "measure in ('angle_gain', 'velocity_gain')"))


def test_climbs_are_the_means_of_their_seeds() -> None:
    keys = ["start", "algorithm", "iteration", "measure"]
    each, mean = committed("paths_seeds"), committed("paths").set_index(keys)
    found = each.groupby(keys)["value"].mean().reindex(mean.index)
    np.testing.assert_allclose(found, mean["value"], rtol=2e-5, atol=1e-6)
    assert (each.groupby(keys)["seed"].nunique() == mean["seeds"].max()).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_all_of_it(name: str) -> None:
    tables: list[Table] = importlib.import_module(f"repro.explain.{name}").measure()
    for table in tables:
        if "error" in table.frame:
            assert_agrees(table, errors=3)


@pytest.mark.parametrize("name", NAMES)
def test_every_table_has_units(name: str) -> None:
    about = json.loads((RESULTS / f"{name}.json").read_text())
    for table, units in about["units"].items():
        assert list(committed(table)) == list(units) and all(units.values())
    listed = {path.stem for path in RESULTS.glob(f"{name}*.csv")}
    assert listed == set(about["units"]) or name == "clip"


# -- what the figures say ---------------------------------------------------------------------


def values(name: str, keys: list[str]) -> pd.Series:
    return committed(name).set_index(keys)["value"].sort_index()


def test_noise_falls_from_return_to_advantage() -> None:
    found = values("variance", ["task", "signal", "measure"])
    for task in variance.TASKS:
        traces = [found[task, signal, "trace"] for signal in variance.SIGNALS]
        assert traces == sorted(traces, reverse=True) and traces[-1] == 1


def test_about_a_third_of_the_samples_outside_still_has_a_gradient() -> None:
    found = values("clip_shares", ["task", "objective", "epoch", "measure"])
    for task in clip.TASKS:
        assert 0.2 < found[task, "clip_0.2", 10, "pulled_back"] < 0.4
        assert 0.05 < found[task, "clip_0.2", 10, "outside"] < 0.3
        assert found[task, "none", 10, "kl"] > 5 * found[task, "clip_0.2", 10, "kl"]


def test_bias_falls_and_spread_grows_with_lambda() -> None:
    found = values("gae", ["critic", "measure", "lambda"])
    bias, std = (found["own", measure] for measure in ("bias", "std"))
    assert bias[0] > bias[0.95] > bias[1] and bias[1] < 1e-6
    assert std[0] == pytest.approx(0, abs=1e-6) and std[0.5] < std[0.95] < std[1]


def test_results_are_small() -> None:
    assert sum(path.stat().st_size for path in Path(RESULTS).iterdir()) < 1.5e6


def test_weights_have_mean_one_and_wear_out() -> None:
    found = values("statistics_weights", ["objective", "measure", "epoch"])
    share = found["none", "effective_share"]
    np.testing.assert_allclose(found["clip_0.2", "mean_weight"], 1, atol=0.05)
    assert share[0] == 1 and share[10] < found["clip_0.2", "effective_share"][10]
