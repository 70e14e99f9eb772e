"""Figure 3 in numbers: by task beside the published values, over all tasks, and as ranks."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from analysis.published.paper import Curve, baselines_curves, paper_figure3, random_returns
from analysis.reports.algorithms import LINEUPS, entry, lineup_of, ordered
from analysis.reports.comparison import cell
from analysis.runs.selection import task_name
from analysis.statistics.aggregate import (
    improvement,
    improvement_interval,
    interquartile_interval,
    interquartile_mean,
)
from analysis.statistics.bootstrap import FloatArray, stream
from analysis.statistics.ranks import Agreement, agreement, overall, ranks
from analysis.statistics.scoring import Scores, paper_score

COLUMNS = (
    "task",
    "algorithm",
    "n_runs",
    "n_expected",
    "return",
    "ci_low",
    "ci_high",
    "step",
    "paper",
    "baselines",
    "rank",
    "paper_rank",
    "ranked",
    "lineup",
)
BETTER = "ppo"  # whose probability of improvement over each other entry is asked
MEAN_OVER_TASKS = "mean over tasks"
OF_MEAN_RANKS = "of mean ranks"

Curves = Mapping[str, Mapping[str, Curve]]


@dataclass(frozen=True)
class References:
    """What others published: learning curves by algorithm and task, and the random policies'."""

    paper: Curves
    baselines: Curves
    random: Mapping[str, float]


@dataclass(frozen=True)
class Figure3:
    """All numbers of the comparison.

    Attributes:
        tasks: `COLUMNS`, one row a task and entry that was expected. `step` is that at which
            `paper` and `baselines` are read; `rank` and `paper_rank` are among the `ranked`
            members of the `lineup` that finished.
        aggregates: one row an entry: interquartile mean and mean of the normalized scores, and the
            probability that PPO improves on it, over the tasks in which both have runs.
        orders: `lineup, task, ranked, spearman, kendall`; `task` may be `MEAN_OVER_TASKS` or
            `OF_MEAN_RANKS`.
        scores: what `paper_score` made of the finished runs.
        runs: `comparison.entry_frame` of the runs expected.
    """

    tasks: pd.DataFrame
    aggregates: pd.DataFrame
    orders: pd.DataFrame
    scores: Scores
    runs: pd.DataFrame


def read_references(directory: Path, keys: list[str], random: str) -> References:
    """The published curves of the entries `keys`.

    Raises:
        AnalysisError: for a reference file that lacks one.
    """
    entries = [entry(key) for key in keys]
    return References(
        {e.paper: paper_figure3(directory, e.paper) for e in entries if e.paper},
        {e.baselines: baselines_curves(directory, e.baselines) for e in entries if e.baselines},
        random_returns(directory, random),
    )


def build(
    runs: pd.DataFrame, step: int, references: References, options: argparse.Namespace
) -> Figure3:
    """Every table.

    Args:
        runs: from `comparison.entry_frame`.
        step: total environment steps of a run.
        references: of the entries in `runs`.
        options: `best`, `replicates` and `seed` count.
    """
    finished = runs.loc[runs["hole"] == "", ["task", "row", "seed", "return"]]
    scores = paper_score(finished, references.random, options.best)
    tasks = _tasks(runs, step, references, options.replicates, options.seed)
    aggregates = _aggregates(runs, scores, options.replicates, options.seed)
    return Figure3(tasks, aggregates, _orders(tasks), scores, runs)


def _tasks(
    runs: pd.DataFrame, step: int, references: References, replicates: int, seed: int
) -> pd.DataFrame:
    lines = []
    for task in sorted(set(runs["task"])):
        for key in ordered(runs.loc[runs["task"] == task, "row"]):
            shown = entry(key)
            lines.append(
                cell(runs, task, key, replicates, seed)
                | {
                    "task": task,
                    "algorithm": key,
                    "step": step,
                    "paper": _at(references.paper, shown.paper, task, step),
                    "baselines": _at(references.baselines, shown.baselines, task, step),
                    "lineup": lineup_of(key),
                }
            )
    table = pd.DataFrame(lines).assign(rank=np.nan, paper_rank=np.nan, ranked=0)
    for task in set(table["task"]):
        for lineup in LINEUPS:
            _rank(table, task, lineup)
    return table[list(COLUMNS)]


def _at(curves: Curves, algorithm: str, task: str, step: int) -> float:
    curve = curves.get(algorithm, {}).get(task_name(task))
    return float("nan") if curve is None else curve.at(step)


def _members(table: pd.DataFrame, task: str, lineup: str) -> pd.DataFrame:
    """The rows of a lineup's algorithms in a task, those without a finished run left out."""
    there = (table["task"] == task) & table["algorithm"].isin(LINEUPS[lineup])
    return table[there & table["return"].notna()]


def _rank(table: pd.DataFrame, task: str, lineup: str) -> None:
    """Fill in the ranks of the rows that are ranked in this lineup."""
    members = _members(table, task, lineup)
    own = members.index[members["lineup"] == lineup]
    table.loc[own, "rank"] = ranks(members["return"]).loc[own]
    table.loc[own, "paper_rank"] = ranks(members["paper"]).loc[own]
    table.loc[own, "ranked"] = len(members)


def _aggregates(runs: pd.DataFrame, scores: Scores, replicates: int, seed: int) -> pd.DataFrame:
    scored = scores.runs.dropna(subset="score")
    expected = runs["row"].value_counts()
    means = scores.rows.set_index("row")["score"]
    lines = []
    for key in ordered(runs["row"]):
        mine = _strata(scored, key, "score")
        pairs = [] if key == BETTER else _pairs(scores.runs, key)
        strata = list(mine.values())
        iqm = interquartile_interval(strata, replicates, stream(seed, "iqm", key))
        better = improvement_interval(pairs, replicates, stream(seed, "improvement", key))
        lines.append(
            {
                "algorithm": key,
                "n_runs": sum(map(len, strata)),
                "n_expected": int(expected[key]),
                "n_tasks": len(strata),
                "iqm": interquartile_mean(strata),
                "iqm_low": iqm.low,
                "iqm_high": iqm.high,
                "mean": means.get(key, float("nan")),
                "ppo_better": improvement(pairs),
                "ppo_better_low": better.low,
                "ppo_better_high": better.high,
                "ppo_better_tasks": len(pairs),
            }
        )
    return pd.DataFrame(lines)


def _strata(runs: pd.DataFrame, key: str, column: str) -> dict[str, FloatArray]:
    """An entry's values by task."""
    mine = runs[runs["row"] == key]
    return {str(task): group.to_numpy(float) for task, group in mine.groupby("task")[column]}


def _pairs(runs: pd.DataFrame, key: str) -> list[tuple[FloatArray, FloatArray]]:
    """Returns of PPO and of an entry, in each task where both finished."""
    ours, theirs = _strata(runs, BETTER, "return"), _strata(runs, key, "return")
    return [(ours[task], theirs[task]) for task in ours if task in theirs]


def _orders(tasks: pd.DataFrame) -> pd.DataFrame:
    """Agreement with the paper's order, for each lineup that has members of its own."""
    lines = []
    for lineup in LINEUPS:
        if not ((tasks["lineup"] == lineup) & tasks["return"].notna()).any():
            continue
        found = {
            task: _members(tasks, task, lineup) for task in dict.fromkeys(tasks["task"].tolist())
        }
        lines += [
            _order(lineup, task, agreement(rows["return"].to_numpy(), rows["paper"].to_numpy()))
            for task, rows in found.items()
        ]
        mean = pd.DataFrame(lines).query("lineup == @lineup")[["spearman", "kendall"]].mean()
        count = max(len(rows) for rows in found.values())
        lines.append(
            _order(lineup, MEAN_OVER_TASKS, Agreement(mean["spearman"], mean["kendall"], count))
        )
        lines.append(_order(lineup, OF_MEAN_RANKS, _overall(list(found.values()))))
    columns = ["lineup", "task", "ranked", "spearman", "kendall"]
    return pd.DataFrame(lines, columns=columns)


def _order(lineup: str, task: str, found: Agreement) -> dict[str, object]:
    return {
        "lineup": lineup,
        "task": task,
        "ranked": found.ranked,
        "spearman": found.spearman,
        "kendall": found.kendall,
    }


def _overall(tasks: list[pd.DataFrame]) -> Agreement:
    """Agreement of mean ranks, over the tasks in which every algorithm finished that did in any."""
    everyone = set().union(*(rows["algorithm"] for rows in tasks))
    whole = [rows for rows in tasks if len(rows) == len(everyone) and rows["paper"].notna().all()]
    if not whole:
        return Agreement(float("nan"), float("nan"), 0)
    return overall(
        np.stack([rows["return"].to_numpy() for rows in whole]),
        np.stack([rows["paper"].to_numpy() for rows in whole]),
    )
