"""`search`: which silent switches bring one setting far below the random policy.

The rule of results/table1_search/PLAN.md: a candidate's mean lies between -30,000 and -2,000, and
at least two of its seeds end below the random policy.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis import cli
from analysis.drawing import notes, tables
from analysis.drawing.panels import SEPARATOR, key, separate
from analysis.drawing.style import ALARM, INK, MUTED, scaled
from analysis.drawing.text import amount, between, number, runs_of
from analysis.errors import AnalysisError
from analysis.published.paper import random_returns
from analysis.runs.load import frame
from analysis.runs.run import Run, Sweep
from analysis.runs.selection import check_one_per_seed, facts
from analysis.settings import DEFAULTS, Settings
from analysis.statistics.cells import cells

LOWEST, HIGHEST, BELOW = -30_000.0, -2_000.0, 2
NEEDED = (-17_000.0, -7_000.0)  # of the mean, for the paper's -0.39
_OVER = {"none": "raw", "rollout": "by rollout", "minibatch": "by minibatch", "actor": "by actor"}
_OWN = (  # keys that are no change: named otherwise, or following from another
    *("seed", "recipe.observation_normalization", "recipe.advantage_normalization"),
    *("recipe.advantage_std", "recipe.name", "algorithm.horizon"),
)
CROSSED = ("", "entropy_coef = 0.01")  # the changes of the cross; others are one at a time
COLUMNS = (
    *("filter", "advantages", "change", "n_runs", "n_expected", "return", "ci_low", "ci_high"),
    *("least", "most", "below_random", "candidate"),
)


def placed(sweep: Sweep, settings: Settings = DEFAULTS) -> pd.DataFrame:
    """`load.frame` whose `row` is the cell: filter, advantages and change, a line each.

    The runs have configurations.

    Raises:
        AnalysisError: for runs of several tasks or objectives, or two of a seed in a cell.
    """
    if len({(run.task, run.row) for run in sweep.runs}) != 1:
        raise AnalysisError("A search has one task and one objective: narrow it with --where.")
    named = zip(sweep.runs, _named(list(sweep.runs)), strict=True)
    names = {run.run_id: "\n".join(name) for run, name in named}
    check_one_per_seed(sweep.runs, lambda run: (names[run.run_id],))
    runs = frame(sweep.runs, settings.episodes)
    return runs.assign(row=runs["run_id"].map(names))


def build(runs: pd.DataFrame, random: float, settings: Settings = DEFAULTS) -> pd.DataFrame:
    """`row` and `COLUMNS`, one line a cell of `placed`; `random` is the random policy's return."""
    found = cells(runs, ["task", "row"], settings)
    found[["filter", "advantages", "change"]] = found["row"].str.split("\n", expand=True)
    seeds = runs[runs["hole"] == ""].groupby("row")["return"]
    ends = seeds.agg(least="min", most="max", below_random=lambda own: int((own < random).sum()))
    found = found.join(ends, on="row").fillna({"below_random": 0}).astype({"below_random": int})
    inside = found["return"].between(LOWEST, HIGHEST)
    found["candidate"] = inside & (found["below_random"] >= BELOW)
    found["crossed"] = ~found["change"].isin(CROSSED)
    order = ["crossed", "filter", "advantages", "change"]
    return found.sort_values(order, ignore_index=True)[["row", *COLUMNS]]


def _named(runs: list[Run]) -> list[tuple[str, str, str]]:
    """Filter, advantages, and what else differs from most runs, of each."""
    every = [facts(run) for run in runs]
    keys = [name for name in sorted(set().union(*every)) if name not in _OWN]
    usual = {name: pd.Series([each.get(name, "") for each in every]).mode()[0] for name in keys}
    found = []
    for each in every:
        over = each["recipe.advantage_normalization"]
        centered = each["recipe.advantage_std"] == "none"
        how = "" if over == "none" else ("centred " if centered else "standardized ")
        changed = [
            f"{name.split('.')[-1]} = {each.get(name, 'none')}"
            for name in keys
            if each.get(name, "") != usual[name]
        ]
        filtered = "no" if each["recipe.observation_normalization"] == "none" else "yes"
        found.append((filtered, how + _OVER[over], ", ".join(changed)))
    return found


def markdown(found: pd.DataFrame, sweep: Sweep, settings: Settings) -> str:
    """The table, and what its reader has to know."""
    columns: tables.Columns = {
        "Filter": "filter",
        "Advantages": "advantages",
        "Change": lambda line: line["change"] or "-",
        "Return": number("return", amount),
        "95 % interval": between(amount),
        "Least": number("least", amount),
        "Most": number("most", amount),
        "Below random": lambda line: f"{line['below_random']} of {line['n_runs']}",
        "Runs": runs_of,
        "Candidate": lambda line: "yes" if line["candidate"] else "",
    }
    task = sweep.runs[0].task
    known = [
        f"{task}, {sweep.runs[0].row}, {notes.steps(sweep)} steps. Return: mean over seeds of the "
        f"mean of the last {settings.episodes} training episodes.",
        notes.interval(settings, "cell") + ". Returns of cells that diverge are far from normal: "
        "least and most say more there.",
        f"A candidate lies between {LOWEST:,.0f} and {HIGHEST:,.0f}, with {BELOW} or more seeds "
        "below the random policy; of this many cells one may get there by chance.",
        *notes.about(sweep),
    ]
    body = tables.of(found, "lllr", columns)
    return tables.report("The search for -0.39", body, known, [])


def figure(found: pd.DataFrame, runs: pd.DataFrame, random: float) -> Figure:
    """A line a cell: its seeds as dots, on an axis that is logarithmic beyond 1,000."""
    drawing = Figure(figsize=(8.5, 1.2 + 0.23 * len(found)))
    axes = drawing.subplots()
    axes.axvspan(*NEEDED, color=SEPARATOR, alpha=0.45, linewidth=0)
    axes.axvline(random, color=MUTED, linewidth=1)
    for place, line in enumerate(found.to_dict("records")):
        mine = runs[(runs["row"] == line["row"]) & (runs["hole"] == "")]
        own = mine["return"].to_numpy(float)
        color = ALARM if line["candidate"] else INK
        axes.plot(own, np.full(len(own), place), "o", color=color, markersize=4.5, alpha=0.75)
    labels = [
        f"{'filter' if line['filter'] == 'yes' else 'no filter'}, {line['advantages']}"
        + (f", {line['change']}" if line["change"] else "")
        for line in found.to_dict("records")
    ]
    axes.set_yticks(range(len(found)), labels, fontsize=scaled(7.5))
    axes.invert_yaxis()
    separate(axes, (found["filter"] + found["advantages"]).tolist())
    axes.set_xscale("symlog", linthresh=1_000, subs=[2, 5])
    axes.set_xlim(right=2_000)
    ticks = [-100_000, -10_000, -1_000, 0, 1_000]
    axes.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axes.set_xlabel("return of each seed (linear between -1,000 and 1,000, then logarithmic)")
    handles = [
        key("candidate", marker="o", color=ALARM, linestyle="none"),
        key("random policy", color=MUTED),
        key("what -0.39 needs", color=SEPARATOR, linewidth=7),
    ]
    drawing.legend(handles=handles, loc="outside upper center", ncols=3)
    return drawing


@cli.command("search", cli.RUNS, cli.BOOTSTRAP, cli.REFERENCE)
def command(given: cli.Given) -> cli.Output:
    """Cells of a search over silent switches, and which of them are candidates."""
    kept = [run for run in given.sweep.runs if run.config is not None]
    lost = len(given.sweep.runs) - len(kept)
    sweep = given.sweep.narrowed(kept, f"{lost} runs never started.") if lost else given.sweep
    runs = placed(sweep, given.settings)
    random = random_returns(given.settings.reference, given.settings.random)[sweep.runs[0].task]
    found = build(runs, random, given.settings)
    text = markdown(found, sweep, given.settings)
    files: cli.Files = {
        "search.csv": found[list(COLUMNS)],
        "search.md": text,
        "search.png": partial(figure, found, runs, random),
    }
    return cli.Output(files, text)
