"""`agreement`: two algorithms that should do the same, task by task, such as PPO and SB3's PPO."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from analysis import cli
from analysis.drawing import notes, tables
from analysis.drawing.algorithms import entry, ordered
from analysis.drawing.text import NOT_KNOWN, Line, estimate, runs_of
from analysis.errors import AnalysisError
from analysis.runs.comparison import check_entries, entry_key, with_objective
from analysis.runs.load import frame
from analysis.runs.run import Sweep
from analysis.runs.selection import check_equal
from analysis.settings import DEFAULTS, Settings
from analysis.statistics.bootstrap import UNKNOWN, stream, summary
from analysis.statistics.cells import cells, strata, typical_by_task
from analysis.statistics.estimates import replicates

SIDES = ("first", "second")
_SIDE = ("algorithm", "return", "ci_low", "ci_high", "n_runs", "n_expected", "seeds")
COLUMNS = (
    *("task", "step", *(f"{name}_{side}" for side in SIDES for name in _SIDE)),
    *("difference", "difference_low", "difference_high"),
    *("intervals_overlap", "difference_holds_zero"),
)
_NO_CELL = {"n_runs": 0, "n_expected": 0, **UNKNOWN.named("return", "ci_")}


def build(
    sweep: Sweep, pair: tuple[str, str] = ("ppo", "sb3_ppo"), settings: Settings = DEFAULTS
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The two algorithms of `pair` task by task, and `load.frame` of their runs.

    Lines are `COLUMNS`, one a task of either; `difference` is the first's mean minus the second's.
    The two last are None where an interval is unknown: a task with fewer than two finished runs of
    either says nothing about agreement. For PPO with one objective see `comparison.with_objective`.

    Raises:
        AnalysisError: for an entry without runs, found or expected, and for runs that cannot be
            compared.
    """
    keys = ordered(map(entry_key, sweep.runs))
    for key in pair:
        if key not in keys:
            raise AnalysisError(f"No run is of {key}: --pair takes two of {', '.join(keys)}.")
    if pair[0] == pair[1]:
        raise AnalysisError(f"--pair {pair[0]} {pair[1]} names one algorithm twice.")
    chosen = [run for run in sweep.runs if entry_key(run) in pair]
    check_entries(chosen)
    check_equal(chosen, lambda run: None, lambda key: key == "recipe")
    runs = frame(chosen, settings.episodes, entry_key)
    return _compared(runs, pair, settings).assign(step=chosen[0].steps)[list(COLUMNS)], runs


def _compared(runs: pd.DataFrame, pair: tuple[str, str], settings: Settings) -> pd.DataFrame:
    """`COLUMNS` but the step."""
    there = cells(runs, ["task", "row"], settings).set_index(["task", "row"]).to_dict("index")
    done = runs[runs["hole"] == ""].sort_values("seed").astype({"seed": str})
    seeds = done.groupby(["task", "row"])["seed"].agg(" ".join).to_dict()
    values, lines, common = [strata(runs, key) for key in pair], [], typical_by_task(runs)
    for task in sorted(set(runs["task"])):
        rng, both = stream(settings.seed, task, *pair), [v.get(task, np.empty(0)) for v in values]
        x, y = (replicates(one, common.get(task), settings.replicates, rng) for one in both)
        line: dict[str, Any] = {"task": task, **summary(x - y).named("difference", "difference_")}
        sides: list[dict[Any, Any]] = [
            {"algorithm": k, "seeds": seeds.get((task, k), ""), **there.get((task, k), _NO_CELL)}
            for k in pair
        ]
        for name, cell in zip(SIDES, sides, strict=True):
            line |= {f"{key}_{name}": value for key, value in cell.items()}
        known = not np.isnan(line["difference_low"])
        first, second = sides
        below = first["ci_low"] <= second["ci_high"]
        overlap = bool(below and second["ci_low"] <= first["ci_high"])
        holds_zero = line["difference_low"] <= 0 <= line["difference_high"]
        line["intervals_overlap"] = overlap if known else None
        line["difference_holds_zero"] = holds_zero if known else None
        lines.append(line)
    return pd.DataFrame(lines)


def _markdown(table: pd.DataFrame, runs: pd.DataFrame, sweep: Sweep, settings: Settings) -> str:
    first, second = (entry(table[f"algorithm_{side}"].iloc[0]).name for side in SIDES)
    compared = [run for run in sweep.runs if run.run_id in set(runs["run_id"])]
    header = ("Task", first, "Runs", second, "Runs", "Difference", "Intervals overlap")
    overlap = table["intervals_overlap"].dropna()
    seeds = set(table["seeds_first"]) | set(table["seeds_second"])
    found = [
        f"Of {len(table)} tasks, {len(overlap)} have intervals on both sides. They overlap on "
        f"{int(overlap.sum())} of {len(overlap)}; the difference's "
        f"interval holds 0 on {int(table['difference_holds_zero'].dropna().sum())}, which asks "
        "for more.",
        f"Recipe {compared[0].info['recipe']}, {compared[0].steps:,} steps. Return: mean over "
        f"seeds of the mean return of the last {settings.episodes} training episodes, with 95 % "
        f"intervals ({notes.law(settings)}); the two sides "
        "of a difference are independent. No interval for a single run.",
        f"Seeds of either: {seeds.pop()}."
        if len(seeds) == 1
        else "The seeds differ by task or algorithm: agreement.csv has them.",
        *notes.about(sweep.narrowed(compared)),
    ]
    body = tables.markdown(header, map(_row, table.to_dict("records")), "lr")
    return tables.report(f"Agreement of {first} and {second}", body, found, notes.holes(runs))


def _row(line: Line) -> tuple[str, ...]:
    sides = []
    for side in SIDES:
        cell = {name: line[f"{name}_{side}"] for name in _SIDE}
        sides += [estimate(cell), runs_of(cell)]
    overlap = line["intervals_overlap"]
    yes = NOT_KNOWN if overlap is None else ("yes" if overlap else "no")
    return line["task"], *sides, estimate(line, "difference", ends="difference_"), yes


_BOTH = "the two to compare (default: ppo sb3_ppo; both under one recipe)"
_PAIR = cli.option("--pair", _BOTH, nargs=2, default=["ppo", "sb3_ppo"], metavar="ALGORITHM")


@cli.command("agreement", cli.RUNS, cli.OBJECTIVE, cli.BOOTSTRAP, _PAIR)
def command(given: cli.Given) -> cli.Output:
    """Whether two algorithms agree: means, intervals and their difference by task."""
    sweep, settings = with_objective(given.sweep, given.objective), given.settings
    table, runs = build(sweep, tuple(given.pair), settings)
    text = _markdown(table, runs, sweep, settings)
    return cli.Output({"agreement.csv": table, "agreement.md": text}, text)
