"""`agreement`: two algorithms that should do the same, task by task, such as PPO and SB3's PPO."""

from __future__ import annotations

import argparse
from collections.abc import Hashable, Mapping
from typing import Any

import pandas as pd

from analysis.cli import Command, Output, add_bootstrap_arguments, add_runs_arguments
from analysis.drawing import text as render
from analysis.errors import AnalysisError
from analysis.reports.algorithms import entry, entry_key, ordered
from analysis.reports.comparison import (
    add_objective_argument,
    cell,
    check_entries,
    compared_sweep,
    entry_frame,
)
from analysis.reports.table1.text import holes, provenance
from analysis.runs.load import Sweep
from analysis.runs.selection import check_equal
from analysis.statistics.bootstrap import difference_interval, stream

_SIDE = ("return", "ci_low", "ci_high", "n_runs", "n_expected", "seeds")
COLUMNS = (
    "task",
    "step",
    *(f"{name}_{side}" for side in ("first", "second") for name in ("algorithm", *_SIDE)),
    "difference",
    "difference_low",
    "difference_high",
    "intervals_overlap",
    "difference_holds_zero",
)


def compare(
    runs: pd.DataFrame, pair: tuple[str, str], step: int, replicates: int, seed: int
) -> pd.DataFrame:
    """`COLUMNS`, one row a task of either.

    The two last are blank where an interval is unknown: a task with fewer than two finished runs of
    either says nothing about agreement.

    Args:
        runs: from `comparison.entry_frame`.
        pair: the two entries; `difference` is the first's mean minus the second's.
        step: total environment steps of a run.
        replicates: of the bootstrap.
        seed: of the bootstrap.
    """
    lines = []
    for task in sorted(set(runs["task"])):
        first, second = (_side(runs, task, key, replicates, seed) for key in pair)
        x, y = (_returns(runs, task, key) for key in pair)
        low, high = difference_interval(x, y, replicates, stream(seed, task, *pair))
        known = low == low
        line = {"task": task, "step": step}
        line |= {f"{name}_first": value for name, value in first.items()}
        line |= {f"{name}_second": value for name, value in second.items()}
        line |= {
            "difference": first["return"] - second["return"],
            "difference_low": low,
            "difference_high": high,
            "intervals_overlap": _overlap(first, second) if known else None,
            "difference_holds_zero": low <= 0 <= high if known else None,
        }
        lines.append(line)
    return pd.DataFrame(lines)[list(COLUMNS)]


def _returns(runs: pd.DataFrame, task: str, key: str) -> Any:
    there = (runs["task"] == task) & (runs["row"] == key) & (runs["hole"] == "")
    return runs.loc[there, "return"].to_numpy(float)


def _side(runs: pd.DataFrame, task: str, key: str, replicates: int, seed: int) -> dict[str, Any]:
    there = (runs["task"] == task) & (runs["row"] == key) & (runs["hole"] == "")
    seeds = " ".join(map(str, sorted(runs.loc[there, "seed"])))
    return {"algorithm": key, **cell(runs, task, key, replicates, seed), "seeds": seeds}


def _overlap(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    return bool(first["ci_low"] <= second["ci_high"] and second["ci_low"] <= first["ci_high"])


def _pair_sweep(sweep: Sweep, pair: tuple[str, str]) -> Sweep:
    """The runs of the two entries.

    Raises:
        AnalysisError: for an entry without runs, found or expected.
    """
    keys = ordered(map(entry_key, sweep.runs))
    for key in pair:
        if key not in keys:
            raise AnalysisError(f"No run is of {key}: --pair takes two of {', '.join(keys)}.")
    return Sweep(tuple(run for run in sweep.runs if entry_key(run) in pair), sweep.notes)


def _run(options: argparse.Namespace) -> Output:
    pair = (options.pair[0], options.pair[1])
    if pair[0] == pair[1]:
        raise AnalysisError(f"--pair {pair[0]} {pair[1]} names one algorithm twice.")
    sweep = _pair_sweep(compared_sweep(options), pair)
    check_entries(sweep.runs)
    check_equal(sweep.runs, lambda run: None, lambda key: key == "recipe")
    step = int(sweep.runs[0].info["total_timesteps"])
    runs = entry_frame(sweep.runs, options.episodes)
    table = compare(runs, pair, step, options.replicates, options.seed)
    text = _markdown(table, runs, sweep, options)
    files = {"agreement.csv": render.csv(table), "agreement.md": (text + "\n").encode()}
    return Output(files, text)


def _markdown(
    table: pd.DataFrame, runs: pd.DataFrame, sweep: Sweep, options: argparse.Namespace
) -> str:
    first, second = (entry(key).name for key in options.pair)
    info = sweep.runs[0].info
    rows = [_row(line) for line in table.to_dict("records")]
    header = ("Task", first, "Runs", second, "Runs", "Difference", "Intervals overlap")
    overlap = table["intervals_overlap"].dropna()
    notes = [
        f"Of {len(table)} tasks, {len(overlap)} have intervals on both sides. They overlap on "
        f"{int(overlap.sum())} of {len(overlap)}; the difference's "
        f"interval holds 0 on {int(table['difference_holds_zero'].dropna().sum())}, which asks "
        "for more.",
        f"Recipe {info['recipe']}, {int(info['total_timesteps']):,} steps. Return: mean over "
        f"seeds of the mean return of the last {options.episodes} training episodes, with 95 % "
        f"bootstrap intervals ({options.replicates} replicates, seed {options.seed}); of the "
        "difference, each side is resampled by itself. No interval for a single run.",
        *_seeds(table),
        *sweep.notes,
        *provenance(sweep.runs),
    ]
    return (
        f"# Agreement of {first} and {second}\n\n{render.markdown_table(header, rows, 'lrrrrrr')}\n"
        + render.bullets("Notes", notes)
        + render.bullets("Missing runs", holes(runs))
    ).rstrip("\n")


def _row(line: Mapping[Hashable, Any]) -> tuple[str, ...]:
    overlap = line["intervals_overlap"]
    return (
        str(line["task"]),
        *_cells(line, "first"),
        *_cells(line, "second"),
        _estimate(line["difference"], line["difference_low"], line["difference_high"]),
        render.NOT_KNOWN if overlap is None else ("yes" if overlap else "no"),
    )


def _cells(line: Mapping[Hashable, Any], side: str) -> tuple[str, str]:
    estimate = _estimate(*(line[f"{name}_{side}"] for name in ("return", "ci_low", "ci_high")))
    return estimate, render.of(line[f"n_runs_{side}"], line[f"n_expected_{side}"])


def _estimate(value: float, low: float, high: float) -> str:
    """`1,023 [978, 1,068]`, without the interval where there is none."""
    between = "" if low != low else f" {render.amounts(low, high)}"
    return render.amount(value) + between


def _seeds(table: pd.DataFrame) -> list[str]:
    """Which seeds, where it is the same ones everywhere; else the table as CSV says it."""
    seeds = set(table["seeds_first"]) | set(table["seeds_second"])
    if len(seeds) == 1:
        return [f"Seeds of either: {seeds.pop()}."]
    return ["The seeds differ by task or algorithm: agreement.csv has them."]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_runs_arguments(parser)
    add_objective_argument(parser)
    add_bootstrap_arguments(parser)
    parser.add_argument(
        "--pair",
        nargs=2,
        default=["ppo", "sb3_ppo"],
        metavar="ALGORITHM",
        help="the two to compare (default: ppo sb3_ppo; both under one recipe)",
    )


COMMAND = Command(
    "agreement",
    "whether two algorithms agree: means, intervals and their difference by task",
    _add_arguments,
    _run,
)
