"""Which runs enter a comparison of algorithms, and the refusal of those that would not be fair."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import pandas as pd

from analysis.errors import AnalysisError
from analysis.reports.algorithms import entry_key, is_sb3
from analysis.runs.load import Run, Sweep, frame
from analysis.runs.selection import (
    check_equal,
    check_one_per_seed,
    selected_sweep,
    task_name,
    under,
)
from analysis.statistics.bootstrap import stratified_interval, stream

DEFAULT_OBJECTIVE = "clip_0.2"  # "PPO (Clip)" of Figure 3, with the epsilon of section 6.2


def add_objective_argument(parser: argparse.ArgumentParser) -> None:
    """`--objective`: which of PPO's surrogates is compared."""
    parser.add_argument(
        "--objective",
        default=DEFAULT_OBJECTIVE,
        metavar="LABEL",
        help="the surrogate of PPO's runs; those with another are left out "
        f"(default: {DEFAULT_OBJECTIVE})",
    )


def compared_sweep(options: argparse.Namespace) -> Sweep:
    """The sweep under `--runs`, narrowed by the options, without PPO under other objectives."""
    sweep = selected_sweep(options)
    kept = tuple(run for run in sweep.runs if _is_meant(run, options.objective))
    if not kept:
        there = ", ".join(sorted({run.row for run in sweep.runs}))
        raise AnalysisError(
            f"No run has the objective {options.objective}: give --objective one of {there}."
        )
    left_out = len(sweep.runs) - len(kept)
    if not left_out:
        return sweep
    note = f"Left out: {left_out} runs of PPO under objectives other than {options.objective}."
    return Sweep(kept, (*sweep.notes, note))


def _is_meant(run: Run, objective: str) -> bool:
    """Whether a run has that objective, or is of an algorithm without a choice of objectives."""
    return run.info["objective"] is None or run.row == objective


def check_entries(runs: Sequence[Run]) -> None:
    """Refuse entries whose own runs differ in more than task and seed, and unequal conditions.

    All share the budget and the version of each task; ours share the recipe, and so do SB3's.
    """
    check_equal(runs, lambda run: None, lambda key: key == "total_timesteps")
    check_equal(runs, lambda run: task_name(run.task), lambda key: key == "env_id")
    check_equal(runs, lambda run: is_sb3(entry_key(run)), lambda key: under(key, ("recipe",)))
    check_equal(runs, entry_key, lambda key: not under(key, ("env", "env_id")))
    check_equal(
        runs,
        lambda run: (entry_key(run), task_name(run.task)),
        lambda key: under(key, ("env", "env_id")),
    )
    check_one_per_seed(runs, lambda run: (run.task, entry_key(run)))


def entry_frame(runs: Sequence[Run], episodes: int) -> pd.DataFrame:
    """`load.frame` with the entry as its `row`."""
    return frame(runs, episodes).assign(row=[entry_key(run) for run in runs])


def cell(runs: pd.DataFrame, task: str, row: str, replicates: int, seed: int) -> dict[str, object]:
    """Mean return over the finished runs of an entry in a task, its interval, and n of N.

    Args:
        runs: from `entry_frame`.
        task: with its version.
        row: the entry.
        replicates: of the bootstrap.
        seed: of the bootstrap.
    """
    mine = runs[(runs["task"] == task) & (runs["row"] == row)]
    values = mine.loc[mine["hole"] == "", "return"].to_numpy(float)
    interval = stratified_interval([values], replicates, stream(seed, task, row))
    return {
        "return": values.mean() if len(values) else float("nan"),
        "ci_low": interval.low,
        "ci_high": interval.high,
        "n_runs": len(values),
        "n_expected": len(mine),
    }
