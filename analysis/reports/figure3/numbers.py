"""Figure 3 in numbers: by task beside the published values, over all tasks, and as ranks."""

from __future__ import annotations

from collections.abc import Mapping
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
from analysis.statistics.aggregate import improvement, interquartile
from analysis.statistics.bootstrap import stream, summary
from analysis.statistics.cells import CELL, cells, strata
from analysis.statistics.ranks import Agreement, agreement, overall
from analysis.statistics.scoring import Scores, paper_score

_PUBLISHED = ("step", "paper", "baselines", "rank", "paper_rank", "ranked", "lineup")
COLUMNS = ("task", "algorithm", *CELL, *_PUBLISHED)
AGGREGATES = (
    *("algorithm", "n_runs", "n_expected", "n_tasks", "iqm", "iqm_low", "iqm_high", "mean"),
    *("ppo_better", "ppo_better_low", "ppo_better_high", "ppo_better_tasks"),
)
ORDERS = ("lineup", "task", "ranked", "spearman", "kendall")
BETTER = "ppo"  # the entry that is compared with each other one: P(it is better)
MEAN_OVER_TASKS = "mean over tasks"
OF_MEAN_RANKS = "of mean ranks"

Curves = Mapping[str, Mapping[str, Curve]]  # by algorithm, then by task without version


@dataclass(frozen=True)
class Figure3:
    """All numbers of the comparison."""

    # `COLUMNS`, one row a task and entry that was expected. `step` is that at which `paper` and
    # `baselines` are read; the ranks are among the `ranked` members of the `lineup` that finished.
    tasks: pd.DataFrame
    # `AGGREGATES`, one row an entry: interquartile mean and mean of the normalized scores, and the
    # probability that PPO improves on it, over the tasks in which both have runs.
    aggregates: pd.DataFrame
    orders: pd.DataFrame  # `ORDERS`; `task` may be `MEAN_OVER_TASKS` or `OF_MEAN_RANKS`
    scores: Scores  # of the finished runs
    runs: pd.DataFrame  # `load.frame` of the runs expected, with the entry as its `row`
    paper: Curves  # of the entries


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
        rank=np.nan,
        paper_rank=np.nan,
        ranked=0,
    )
    for lineup, members in LINEUPS.items():
        there = table[table["algorithm"].isin(members) & table["return"].notna()]
        own, by_task = there.index[there["lineup"] == lineup], there.groupby("task")
        table.loc[own, "rank"] = by_task["return"].rank(ascending=False).loc[own]
        table.loc[own, "paper_rank"] = by_task["paper"].rank(ascending=False).loc[own]
        table.loc[own, "ranked"] = by_task["return"].transform("size").loc[own]
    return table[list(COLUMNS)]


def _at(curves: Curves, algorithm: str, task: str, step: int) -> float:
    curve = curves.get(algorithm, {}).get(task_name(task))
    return float("nan") if curve is None else curve.at(step)


def _aggregates(runs: pd.DataFrame, scores: Scores, settings: Settings) -> pd.DataFrame:
    score = scores.rows.set_index("row")["score"]
    ppo = strata(scores.runs, BETTER)
    lines = []
    for key in ordered(runs["row"]):
        mine = list(strata(scores.runs, key, "score").values())
        theirs = {} if key == BETTER else strata(scores.runs, key)
        pairs = [(ppo[task], theirs[task]) for task in ppo if task in theirs]
        counts = (sum(map(len, mine)), int((runs["row"] == key).sum()), len(mine))
        rngs = (stream(settings.seed, name, key) for name in ("iqm", "improvement"))
        iqm = summary(interquartile(mine, settings.replicates, next(rngs)))
        better = summary(improvement(pairs, settings.replicates, next(rngs)))
        lines.append((key, *counts, *iqm, score.get(key, np.nan), *better, len(pairs)))
    return pd.DataFrame(lines, columns=list(AGGREGATES))


def _orders(tasks: pd.DataFrame) -> pd.DataFrame:
    """Agreement with the paper's order, for each lineup that has members of its own.

    That of mean ranks is over the tasks in which every algorithm finished that did in any.
    """
    lines, names = [], sorted(set(tasks["task"]))
    finished = tasks[tasks["return"].notna()]
    for lineup, members in LINEUPS.items():
        if lineup not in set(finished["lineup"]):
            continue
        mine = finished[finished["algorithm"].isin(members)].set_index(["task", "algorithm"])
        ours, theirs = (
            mine[name].unstack().reindex(names).to_numpy(float) for name in ("return", "paper")
        )
        found = dict(zip(names, map(agreement, ours, theirs), strict=True))
        mean = pd.DataFrame(found.values()).mean()
        ranked = max(one.ranked for one in found.values())
        found[MEAN_OVER_TASKS] = Agreement(mean["spearman"], mean["kendall"], ranked)
        whole = np.isfinite(ours + theirs).all(axis=1)
        unknown = Agreement(float("nan"), float("nan"), 0)
        found[OF_MEAN_RANKS] = overall(ours[whole], theirs[whole]) if whole.any() else unknown
        lines += [(lineup, task, x.ranked, x.spearman, x.kendall) for task, x in found.items()]
    return pd.DataFrame(lines, columns=list(ORDERS))
