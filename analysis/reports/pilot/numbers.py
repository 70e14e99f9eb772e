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
from analysis.statistics.bootstrap import UNKNOWN, FloatArray, estimate, interval_of, stream
from analysis.statistics.scoring import Scores, paper_score

GAP = ("clip_0.2", "none")  # the paper's best row less its worst
GAP_NAME = " - ".join(GAP)
_INTERVALS = ("ci_low", "ci_high", "difference", "difference_low", "difference_high")
COLUMNS = ("variant", "changed", "task", "row", "n_runs", "n_expected", "return", *_INTERVALS)
SCORE_COLUMNS = ("variant", "changed", "quantity", "n_runs", "n_expected", "score", *_INTERVALS)

Estimates = Mapping[tuple[str, str, str], FloatArray]  # `bootstrap.estimate` by variant, task, row


@dataclass(frozen=True)
class Pilot:
    """All of the pilot's numbers.

    Attributes:
        variants: the base first.
        returns: `COLUMNS`, one line a variant, task and row.
        scores: `SCORE_COLUMNS`, one line a variant and row, and one for the gap between `GAP`.
        scale: what `paper_score` made of all runs together: one scale for all variants.
        runs: `load.frame`, with the column `variant`.
    """

    variants: tuple[Variant, ...]
    returns: pd.DataFrame
    scores: pd.DataFrame
    scale: Scores
    runs: pd.DataFrame


def placed(sweep: Sweep) -> Sweep:
    """Without the runs that never started and left no configuration."""
    kept = [run for run in sweep.runs if run.config is not None]
    lost = ", ".join(run.run_id for run in sweep.runs if run.config is None)
    return sweep.narrowed(
        kept, f"In no variant, for they never started and left no configuration: {lost}."
    )


def build(sweep: Sweep, base: Sequence[str] = (), settings: Settings = DEFAULTS) -> Pilot:
    """Every setting under every variant of the recipe, scored, less the base's.

    Args:
        sweep: runs with configurations; see `placed`.
        base: `KEY=VALUE` conditions that choose the base; empty for the most frequent values.
        settings: what scores 0 and 1, and the bootstrap.

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
    estimates = {
        (str(variant), str(task), str(row)): estimate(
            group["return"].to_numpy(float),
            settings.replicates,
            stream(settings.seed, *map(str, (variant, task, row))),
        )
        for (variant, task, row), group in done.groupby(["variant", "task", "row"])
    }
    scores = _scores(listed, runs, _scaled(estimates, scale))
    return Pilot(listed, _returns(listed, runs, estimates), scores, scale, runs)


def _returns(listed: Sequence[Variant], runs: pd.DataFrame, estimates: Estimates) -> pd.DataFrame:
    lines = []
    tasks, rows = sorted(set(runs["task"])), objective_rows(runs)["row"]
    for variant, task, row in itertools.product(listed, tasks, rows):
        mine, base = (estimates.get((v.name, task, row)) for v in (variant, listed[0]))
        lines.append(
            {"task": task, "row": row}
            | _head(variant, runs[(runs["task"] == task) & (runs["row"] == row)])
            | _values("return", mine, None if variant is listed[0] else _minus(mine, base))
        )
    return pd.DataFrame(lines)[list(COLUMNS)]


def _minus(mine: FloatArray | None, base: FloatArray | None) -> FloatArray | None:
    return None if mine is None or base is None else mine - base


def _scores(listed: Sequence[Variant], runs: pd.DataFrame, scored: Estimates) -> pd.DataFrame:
    """Scores average the tasks that a variant has; differences need all tasks of the base."""
    lines = []
    for variant, (quantity, rows) in itertools.product(listed, _quantities(runs).items()):
        mine, base = (_by_task(scored, v.name, rows) for v in (variant, listed[0]))
        total = np.mean(list(mine.values()), axis=0) if mine else None
        known = bool(mine) and mine.keys() == base.keys() and variant is not listed[0]
        difference = np.mean([mine[task] - base[task] for task in mine], axis=0) if known else None
        lines.append(
            {"quantity": quantity}
            | _head(variant, runs[runs["row"].isin(rows)])
            | _values("score", total, difference)
        )
    return pd.DataFrame(lines)[list(SCORE_COLUMNS)]


def _quantities(runs: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    """Every row, and the gap between two of them."""
    quantities: dict[str, tuple[str, ...]] = {row: (row,) for row in objective_rows(runs)["row"]}
    return quantities | ({GAP_NAME: GAP} if quantities.keys() >= set(GAP) else {})


def _scaled(estimates: Estimates, scale: Scores) -> Estimates:
    """As scores, in the tasks that have a scale."""
    tasks = scale.tasks[scale.tasks["excluded"] == ""].set_index("task")
    zeros, ones = tasks["random"].to_dict(), tasks["best"].to_dict()
    return {
        key: (one - zeros[key[1]]) / (ones[key[1]] - zeros[key[1]])
        for key, one in estimates.items()
        if key[1] in zeros
    }


def _by_task(estimates: Estimates, variant: str, rows: Sequence[str]) -> dict[str, FloatArray]:
    """The estimate of a quantity by task: of one row, or of one less another."""
    found = {}
    for task in sorted({task for name, task, _ in estimates if name == variant}):
        parts = [estimates[variant, task, r] for r in rows if (variant, task, r) in estimates]
        if len(parts) == len(rows):
            found[task] = parts[0] if len(parts) == 1 else parts[0] - parts[1]
    return found


def _head(variant: Variant, runs: pd.DataFrame) -> dict[str, object]:
    """What a line begins with; of the `runs` those of the variant count."""
    mine = runs[runs["variant"] == variant.name]
    return {
        "variant": variant.name,
        "changed": " ".join(f"{key}={value}" for key, value in variant.changed),
        "n_runs": int((mine["hole"] == "").sum()),
        "n_expected": len(mine),
    }


def _values(name: str, mine: FloatArray | None, difference: FloatArray | None) -> dict[str, float]:
    values: dict[str, float] = {}
    for key, bounds, one in ((name, "ci", mine), ("difference", "difference", difference)):
        low, high = UNKNOWN if one is None else interval_of(one[1:])
        value = float("nan") if one is None else float(one[0])
        values |= {key: value, f"{bounds}_low": low, f"{bounds}_high": high}
    return values
