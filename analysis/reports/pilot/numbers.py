"""The pilot in numbers: every setting under every variant, and its difference from the base."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.drawing.style import objective_rows
from analysis.published.paper import random_returns
from analysis.runs.load import frame
from analysis.runs.run import Sweep
from analysis.runs.variants import Variant, check_variants, variants
from analysis.settings import DEFAULTS, Settings
from analysis.statistics.bootstrap import UNKNOWN, FloatArray, stream, summary
from analysis.statistics.cells import typical_by_task
from analysis.statistics.estimates import replicates
from analysis.statistics.scoring import Scores, paper_score

GAP = ("clip_0.2", "none")  # the paper's best row less its worst
GAP_NAME = " - ".join(GAP)
_INTERVALS = ("ci_low", "ci_high", "difference", "difference_low", "difference_high")
COLUMNS = ("variant", "changed", "task", "row", "n_runs", "n_expected", "return", *_INTERVALS)
SCORE_COLUMNS = ("variant", "changed", "quantity", "n_runs", "n_expected", "score", *_INTERVALS)

Group = tuple[dict[str, str], Sequence[str], str]  # labels of its lines, tasks, and quantity
Estimates = Mapping[tuple[str, str, str], FloatArray]  # `[1 + B]` by variant, task, row


@dataclass(frozen=True)
class Pilot:
    """All of the pilot's numbers."""

    variants: tuple[Variant, ...]  # the base first
    returns: pd.DataFrame  # `COLUMNS`, one line a variant, task and row
    scores: pd.DataFrame  # `SCORE_COLUMNS`, one line a variant and row, and one for `GAP`
    scale: Scores  # of all runs together: one scale for all variants
    runs: pd.DataFrame  # `load.frame`, with the column `variant`


def placed(sweep: Sweep) -> Sweep:
    """Without the runs that never started and left no configuration."""
    kept = [run for run in sweep.runs if run.config is not None]
    lost = ", ".join(run.run_id for run in sweep.runs if run.config is None)
    return sweep.narrowed(
        kept, f"In no variant, for they never started and left no configuration: {lost}."
    )


def build(sweep: Sweep, base: Sequence[str] = (), settings: Settings = DEFAULTS) -> Pilot:
    """Every setting under every variant of the recipe, scored, less the base's.

    The runs have configurations (see `placed`). `base` are `KEY=VALUE` conditions that choose the
    base, empty for the most frequent values.

    Raises:
        AnalysisError: for runs that differ in more than switches, or not in any.
    """
    by_run = variants(sweep.runs, base)
    check_variants(sweep.runs, by_run)
    listed = tuple(dict.fromkeys(by_run.values()))
    runs = frame(sweep.runs, settings.episodes)
    runs = runs.assign(variant=[by_run[name].name for name in runs["run_id"]])
    done = runs[runs["hole"] == ""]
    # A setting under a variant is a row of its own: "best mean" is the best of these.
    rows = done.assign(row=done["variant"] + "\n" + done["row"])
    random = random_returns(settings.reference, settings.random)
    scale = paper_score(rows[["task", "row", "seed", "return"]], random, settings.best)
    estimates, common = {}, typical_by_task(done, ("task", "row", "variant"))
    for key, values in done.groupby(["variant", "task", "row"])["return"]:
        variant, task, row = map(str, key)
        rng = stream(settings.seed, variant, task, row)
        cell = values.to_numpy(float)
        estimates[variant, task, row] = replicates(cell, common[task], settings.replicates, rng)
    tasks, names = sorted(set(runs["task"])), objective_rows(runs)["row"].tolist()
    cells: list[Group] = [({"task": t, "row": r}, [t], r) for t in tasks for r in names]
    returns = _lines("return", listed, cells, runs, estimates)[list(COLUMNS)]
    quantities = [*names, GAP_NAME] if set(names) >= set(GAP) else names
    over_tasks: list[Group] = [({"quantity": q}, tasks, q) for q in quantities]
    scores = _lines("score", listed, over_tasks, runs, _scored(estimates, scale))
    return Pilot(listed, returns, scores[list(SCORE_COLUMNS)], scale, runs)


def _lines(
    name: str,
    listed: Sequence[Variant],
    groups: Sequence[Group],
    runs: pd.DataFrame,
    estimates: Estimates,
) -> pd.DataFrame:
    """Means over the tasks that a variant has; differences need all tasks of the base."""
    lines = []
    for variant, (labels, tasks, quantity) in itertools.product(listed, groups):
        mine, base = (
            {t: estimates[v.name, t, quantity] for t in tasks if (v.name, t, quantity) in estimates}
            for v in (variant, listed[0])
        )
        total = np.mean(list(mine.values()), axis=0) if mine else None
        known = bool(mine) and mine.keys() == base.keys() and variant is not listed[0]
        difference = np.mean([mine[task] - base[task] for task in mine], axis=0) if known else None
        rows = GAP if quantity == GAP_NAME else (quantity,)
        there = runs[(runs["variant"] == variant.name) & runs["row"].isin(rows)]
        there = there[there["task"].isin(tasks)]
        changed = " ".join(f"{key}={value}" for key, value in variant.changed)
        line: dict[str, object] = {**labels, "variant": variant.name, "changed": changed}
        line |= {"n_runs": int((there["hole"] == "").sum()), "n_expected": len(there)}
        for key, ends, one in ((name, "ci_", total), ("difference", "difference_", difference)):
            line |= (UNKNOWN if one is None else summary(one)).named(key, ends)
        lines.append(line)
    return pd.DataFrame(lines)


def _scored(estimates: Estimates, scale: Scores) -> Estimates:
    """As scores, in the tasks that have a scale; the gap, too, where both of its rows are."""
    tasks = scale.tasks[scale.tasks["excluded"] == ""].set_index("task")
    zeros, ones = tasks["random"].to_dict(), tasks["best"].to_dict()
    found = {
        (variant, task, row): (one - zeros[task]) / (ones[task] - zeros[task])
        for (variant, task, row), one in estimates.items()
        if task in zeros
    }
    gaps = {
        (variant, task, GAP_NAME): one - found[variant, task, GAP[1]]
        for (variant, task, row), one in found.items()
        if row == GAP[0] and (variant, task, GAP[1]) in found
    }
    return found | gaps
