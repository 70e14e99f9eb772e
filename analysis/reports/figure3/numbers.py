"""Figure 3 in numbers: by task beside the published values, over all tasks, and as ranks."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.drawing.algorithms import LINEUPS, entry, lineup_of, ordered
from analysis.published.paper import (
    Curve,
    baselines_curves,
    paper_figure3,
    random_returns,
    task_name,
)
from analysis.runs.comparison import check_entries, entry_key
from analysis.runs.load import frame
from analysis.runs.run import Sweep
from analysis.settings import DEFAULTS, Settings
from analysis.statistics.aggregate import (
    improvement,
    improvement_interval,
    interquartile_interval,
    interquartile_mean,
)
from analysis.statistics.bootstrap import FloatArray, stream
from analysis.statistics.cells import CELL, cells, strata
from analysis.statistics.ranks import Agreement, agreement, overall, ranks
from analysis.statistics.scoring import Scores, paper_score

_PUBLISHED = ("step", "paper", "baselines", "rank", "paper_rank", "ranked", "lineup")
COLUMNS = ("task", "algorithm", *CELL, *_PUBLISHED)
AGGREGATES = (
    *("algorithm", "n_runs", "n_expected", "n_tasks", "iqm", "iqm_low", "iqm_high", "mean"),
    *("ppo_better", "ppo_better_low", "ppo_better_high", "ppo_better_tasks"),
)
ORDERS = ("lineup", "task", "ranked", "spearman", "kendall")
BETTER = "ppo"  # whose probability of improvement over each other entry is asked
MEAN_OVER_TASKS = "mean over tasks"
OF_MEAN_RANKS = "of mean ranks"

Curves = Mapping[str, Mapping[str, Curve]]  # by algorithm, then by task without version


@dataclass(frozen=True)
class Figure3:
    """All numbers of the comparison.

    Attributes:
        tasks: `COLUMNS`, one row a task and entry that was expected. `step` is that at which
            `paper` and `baselines` are read; `rank` and `paper_rank` are among the `ranked`
            members of the `lineup` that finished.
        aggregates: `AGGREGATES`, one row an entry: interquartile mean and mean of the normalized
            scores, and the probability that PPO improves on it, over the tasks in which both have
            runs.
        orders: `ORDERS`; `task` may be `MEAN_OVER_TASKS` or `OF_MEAN_RANKS`.
        scores: what `paper_score` made of the finished runs.
        runs: `load.frame` of the runs expected, with the entry as its `row`.
        paper: the paper's curves of the entries.
    """

    tasks: pd.DataFrame
    aggregates: pd.DataFrame
    orders: pd.DataFrame
    scores: Scores
    runs: pd.DataFrame
    paper: Curves


def build(sweep: Sweep, settings: Settings = DEFAULTS) -> Figure3:
    """Every table of the comparison, of runs of PPO with one objective.

    See `comparison.with_objective`.

    Raises:
        AnalysisError: for runs that cannot be compared, or a reference file that lacks a curve.
    """
    check_entries(sweep.runs)
    runs, reference = frame(sweep.runs, settings.episodes, entry_key), settings.reference
    entries = [entry(key) for key in ordered(runs["row"])]
    paper = {e.paper: paper_figure3(reference, e.paper) for e in entries if e.paper}
    others = {e.baselines: baselines_curves(reference, e.baselines) for e in entries if e.baselines}
    finished = runs.loc[runs["hole"] == "", ["task", "row", "seed", "return"]]
    random = random_returns(reference, settings.random)
    scores = paper_score(finished, random, settings.best)
    tasks = _tasks(runs, sweep.runs[0].steps, (paper, others), settings)
    aggregates = _aggregates(runs, scores, settings)
    return Figure3(tasks, aggregates, _orders(tasks), scores, runs, paper)


def _tasks(
    runs: pd.DataFrame, step: int, published: tuple[Curves, Curves], settings: Settings
) -> pd.DataFrame:
    table = cells(runs, ["task", "row"], settings)
    order = pd.Categorical(table["row"], ordered(table["row"]))
    table = table.assign(place=order.codes).sort_values(["task", "place"], ignore_index=True)
    table = table.rename(columns={"row": "algorithm"})
    keys = list(zip(table["algorithm"], table["task"], strict=True))
    table = table.assign(
        step=step,
        paper=[_at(published[0], entry(key).paper, task, step) for key, task in keys],
        baselines=[_at(published[1], entry(key).baselines, task, step) for key, task in keys],
        lineup=table["algorithm"].map(lineup_of),
        **{"rank": np.nan, "paper_rank": np.nan, "ranked": 0},
    )
    for task, lineup in itertools.product(set(table["task"]), LINEUPS):
        members = _members(table, task, lineup)
        own = members.index[members["lineup"] == lineup]
        table.loc[own, "rank"] = ranks(members["return"]).loc[own]
        table.loc[own, "paper_rank"] = ranks(members["paper"]).loc[own]
        table.loc[own, "ranked"] = len(members)
    return table[list(COLUMNS)]


def _at(curves: Curves, algorithm: str, task: str, step: int) -> float:
    curve = curves.get(algorithm, {}).get(task_name(task))
    return float("nan") if curve is None else curve.at(step)


def _members(table: pd.DataFrame, task: str, lineup: str) -> pd.DataFrame:
    """The rows of a lineup's algorithms in a task, those without a finished run left out."""
    there = (table["task"] == task) & table["algorithm"].isin(LINEUPS[lineup])
    return table[there & table["return"].notna()]


def _aggregates(runs: pd.DataFrame, scores: Scores, settings: Settings) -> pd.DataFrame:
    means = scores.rows.set_index("row")["score"]
    ppo = strata(scores.runs, BETTER)
    lines = []
    for key in ordered(runs["row"]):
        mine = list(strata(scores.runs, key, "score").values())
        theirs = {} if key == BETTER else strata(scores.runs, key)
        pairs = [(ppo[task], theirs[task]) for task in ppo if task in theirs]
        counts = (sum(map(len, mine)), int((runs["row"] == key).sum()), len(mine))
        rng = stream(settings.seed, "iqm", key)
        iqm = (interquartile_mean(mine), *interquartile_interval(mine, settings.replicates, rng))
        rng = stream(settings.seed, "improvement", key)
        better = (improvement(pairs), *improvement_interval(pairs, settings.replicates, rng))
        mean = means.get(key, float("nan"))
        lines.append((key, *counts, *iqm, mean, *better, len(pairs)))
    return pd.DataFrame(lines, columns=list(AGGREGATES))


def _orders(tasks: pd.DataFrame) -> pd.DataFrame:
    """Agreement with the paper's order, for each lineup that has members of its own."""
    lines = []
    for lineup in LINEUPS:
        if not ((tasks["lineup"] == lineup) & tasks["return"].notna()).any():
            continue
        names = dict.fromkeys(tasks["task"].tolist())
        found = {task: _members(tasks, task, lineup) for task in names}
        each = [agreement(*_values(rows)) for rows in found.values()]
        mean = pd.DataFrame(each).mean()
        over_tasks = Agreement(mean["spearman"], mean["kendall"], max(one.ranked for one in each))
        agreements = [*each, over_tasks, _overall(list(found.values()))]
        for task, one in zip([*names, MEAN_OVER_TASKS, OF_MEAN_RANKS], agreements, strict=True):
            lines.append((lineup, task, one.ranked, one.spearman, one.kendall))
    return pd.DataFrame(lines, columns=list(ORDERS))


def _values(rows: pd.DataFrame) -> tuple[FloatArray, FloatArray]:
    return rows["return"].to_numpy(float), rows["paper"].to_numpy(float)


def _overall(tasks: Sequence[pd.DataFrame]) -> Agreement:
    """Agreement of mean ranks, over the tasks in which every algorithm finished that did in any."""
    most = len(set().union(*(rows["algorithm"] for rows in tasks)))
    whole = [rows for rows in tasks if len(rows) == most and rows["paper"].notna().all()]
    if not whole:
        return Agreement(float("nan"), float("nan"), 0)
    ours, theirs = zip(*map(_values, whole), strict=True)
    return overall(np.stack(ours), np.stack(theirs))
