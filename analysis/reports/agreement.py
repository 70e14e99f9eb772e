"""`agreement`: two algorithms that should do the same, task by task, such as PPO and SB3's PPO."""

from __future__ import annotations

import numpy as np
import pandas as pd

from analysis import cli
from analysis.drawing import notes, tables
from analysis.drawing.algorithms import entry, ordered
from analysis.drawing.text import NOT_KNOWN, Line, estimate, of
from analysis.errors import AnalysisError
from analysis.runs.comparison import check_entries, entry_key, with_objective
from analysis.runs.load import frame
from analysis.runs.run import Sweep
from analysis.runs.selection import check_equal
from analysis.settings import DEFAULTS, Settings
from analysis.statistics.bootstrap import means, stream, summary
from analysis.statistics.cells import cells, strata

_SIDE = ("algorithm", "return", "ci_low", "ci_high", "n_runs", "n_expected", "seeds")
COLUMNS = (
    *("task", "step", *(f"{name}_first" for name in _SIDE), *(f"{name}_second" for name in _SIDE)),
    *("difference", "difference_low", "difference_high"),
    *("intervals_overlap", "difference_holds_zero"),
)


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
    tasks, by = sorted(set(runs["task"])), ["task", "row"]
    done = runs[runs["hole"] == ""].sort_values("seed").astype({"seed": str})
    seeds = done.groupby(by)["seed"].agg(" ".join).rename("seeds")
    every = pd.MultiIndex.from_product([tasks, pair], names=by)
    found = cells(runs, by, settings).join(seeds, on=by).set_index(by).reindex(every)
    found = found.fillna({"n_runs": 0, "n_expected": 0, "seeds": ""})
    found = found.astype({"n_runs": int, "n_expected": int})
    sides = [
        found.xs(key, level="row").assign(algorithm=key).add_suffix(f"_{side}")
        for key, side in zip(pair, ("first", "second"), strict=True)
    ]
    values, apart = [strata(runs, key) for key in pair], []
    for task in tasks:
        rng, both = stream(settings.seed, task, *pair), [v.get(task, np.empty(0)) for v in values]
        x, y = (means(one, settings.replicates, rng) for one in both)
        apart.append(summary(x - y))
    names = ["difference", "difference_low", "difference_high"]
    table = pd.concat([*sides, pd.DataFrame(apart, tasks).set_axis(names, axis=1)], axis=1)
    low, high = table["difference_low"], table["difference_high"]
    below = table["ci_low_first"] <= table["ci_high_second"]
    overlap = below & (table["ci_low_second"] <= table["ci_high_first"])
    table = table.assign(
        intervals_overlap=overlap.astype(object).where(low.notna(), None),
        difference_holds_zero=((low <= 0) & (high >= 0)).astype(object).where(low.notna(), None),
    )
    compared: pd.DataFrame = table.reset_index(names="task")
    return compared


def _markdown(table: pd.DataFrame, runs: pd.DataFrame, sweep: Sweep, settings: Settings) -> str:
    first, second = (entry(table[f"algorithm_{side}"].iloc[0]).name for side in ("first", "second"))
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
        f"bootstrap intervals ({notes.bootstrap(settings)}); of the "
        "difference, each side is resampled by itself. No interval for a single run.",
        f"Seeds of either: {seeds.pop()}."
        if len(seeds) == 1
        else "The seeds differ by task or algorithm: agreement.csv has them.",
        *sweep.notes,
        *notes.provenance(compared),
    ]
    body = tables.markdown(header, map(_row, table.to_dict("records")), "lr")
    return tables.report(f"Agreement of {first} and {second}", body, found, notes.holes(runs))


def _row(line: Line) -> tuple[str, ...]:
    overlap = line["intervals_overlap"]
    sides = [
        text
        for side in ("first", "second")
        for text in (
            estimate(line, f"return_{side}", bounds=(f"ci_low_{side}", f"ci_high_{side}")),
            of(line[f"n_runs_{side}"], line[f"n_expected_{side}"]),
        )
    ]
    difference = estimate(line, "difference", bounds=("difference_low", "difference_high"))
    yes = NOT_KNOWN if overlap is None else ("yes" if overlap else "no")
    return (str(line["task"]), *sides, difference, yes)


_BOTH = "the two to compare (default: ppo sb3_ppo; both under one recipe)"
_PAIR = cli.option("--pair", _BOTH, nargs=2, default=["ppo", "sb3_ppo"], metavar="ALGORITHM")


@cli.command("agreement", cli.RUNS, cli.OBJECTIVE, cli.BOOTSTRAP, _PAIR)
def command(given: cli.Given) -> cli.Output:
    """Whether two algorithms agree: means, intervals and their difference by task."""
    sweep, settings = with_objective(given.sweep, given.objective), given.settings
    table, runs = build(sweep, tuple(given.pair), settings)
    text = _markdown(table, runs, sweep, settings)
    return cli.Output({"agreement.csv": table, "agreement.md": text}, text)
