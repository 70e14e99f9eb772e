"""`pilot`: which silent switch of the recipe moves the comparison of surrogate objectives."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from analysis.cli import (
    Command,
    Output,
    add_bootstrap_arguments,
    add_reference_argument,
    add_runs_arguments,
    add_scale_arguments,
)
from analysis.drawing import text as render
from analysis.published.paper import random_returns
from analysis.reports.pilot import figure
from analysis.reports.pilot import text as pilot_text
from analysis.runs.load import Sweep, frame
from analysis.runs.selection import parse_condition, selected_sweep
from analysis.runs.variants import Variant, check_variants, variants
from analysis.statistics.bootstrap import FloatArray, bounds, replicate_means, stream
from analysis.statistics.scoring import Scores, paper_score

GAP = ("clip_0.2", "none")  # the paper's best row less its worst
GAP_NAME = " - ".join(GAP)
_INTERVALS = ("ci_low", "ci_high", "difference", "difference_low", "difference_high")
COLUMNS = ("variant", "changed", "task", "row", "n_runs", "n_expected", "return", *_INTERVALS)
SCORE_COLUMNS = ("variant", "changed", "quantity", "n_runs", "n_expected", "score", *_INTERVALS)


@dataclass(frozen=True)
class Estimate:
    """A number with its bootstrap replicates `[B]`, NaN where a single run gives no spread."""

    value: float
    replicates: FloatArray

    def minus(self, other: Estimate) -> Estimate:
        """The difference of two independent estimates."""
        return Estimate(self.value - other.value, self.replicates - other.replicates)

    def scaled(self, zero: float, span: float) -> Estimate:
        """As a score: `zero` becomes 0, `zero + span` becomes 1."""
        return Estimate((self.value - zero) / span, (self.replicates - zero) / span)

    def interval(self) -> tuple[float, float]:
        """95 %, or NaN twice."""
        if np.isnan(self.replicates).any():
            return float("nan"), float("nan")
        low, high = bounds(self.replicates)
        return float(low), float(high)


def mean_of(estimates: Iterable[Estimate]) -> Estimate:
    """The mean of independent estimates."""
    listed = list(estimates)
    values = [estimate.value for estimate in listed]
    replicates = np.mean([estimate.replicates for estimate in listed], axis=0)
    return Estimate(float(np.mean(values)), np.asarray(replicates))


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


def build(
    runs: pd.DataFrame,
    by_run: Mapping[str, Variant],
    random: Mapping[str, float],
    best: str = "run",
    replicates: int = 2000,
    seed: int = 0,
) -> Pilot:
    """Estimate every cell, score it and subtract the base's.

    Args:
        runs: from `load.frame`.
        by_run: from `variants`.
        random: return of the random policy by task.
        best: as for `paper_score`.
        replicates: B.
        seed: of the bootstrap.
    """
    listed = tuple(dict.fromkeys(by_run.values()))
    runs = runs.assign(variant=[by_run[name].name for name in runs["run_id"]])
    done = runs[runs["hole"] == ""]
    # A setting under a variant is a row of its own: "best mean" is the best of these.
    rows = done.assign(row=done["variant"] + "\n" + done["row"])
    scale = paper_score(rows[["task", "row", "seed", "return"]], random, best)
    cells = {
        (str(variant), str(task), str(row)): _estimate(
            group["return"].to_numpy(float),
            replicates,
            stream(seed, *map(str, (variant, task, row))),
        )
        for (variant, task, row), group in done.groupby(["variant", "task", "row"])
    }
    return Pilot(
        listed, _returns(listed, runs, cells), _scores(listed, runs, cells, scale), scale, runs
    )


def _estimate(values: FloatArray, replicates: int, rng: np.random.Generator) -> Estimate:
    if len(values) < 2:
        return Estimate(float(values.mean()), np.full(replicates, np.nan))
    return Estimate(float(values.mean()), replicate_means(values, replicates, rng))


Cells = Mapping[tuple[str, str, str], Estimate]


def row_order(runs: pd.DataFrame) -> list[str]:
    """The settings, by kind and value: without penalty, clipping, KL."""
    order = {kind: place for place, kind in enumerate(("none", "clip", "kl_adaptive", "kl_fixed"))}
    rows = runs.drop_duplicates("row")
    keys = [
        (order.get(kind, len(order)), kind, value, row)
        for kind, value, row in zip(rows["objective"], rows["value"], rows["row"], strict=True)
    ]
    return [row for *_, row in sorted(keys)]


def _returns(listed: Sequence[Variant], runs: pd.DataFrame, cells: Cells) -> pd.DataFrame:
    lines = []
    for variant in listed:
        for task in sorted(set(runs["task"])):
            for row in row_order(runs):
                here = runs[(runs["variant"] == variant.name) & (runs["task"] == task)]
                here = here[here["row"] == row]
                mine, base = (
                    cells.get((name, task, row)) for name in (variant.name, listed[0].name)
                )
                lines.append(
                    _head(variant, here)
                    | {"task": task, "row": row, "return": mine.value if mine else np.nan}
                    | _intervals(mine, base, variant is listed[0])
                )
    return pd.DataFrame(lines)[list(COLUMNS)]


def _scores(
    listed: Sequence[Variant], runs: pd.DataFrame, cells: Cells, scale: Scores
) -> pd.DataFrame:
    """Scores average the tasks that a variant has; differences need all tasks of the base."""
    scored = _scored(cells, scale)
    lines = []
    for variant in listed:
        here = runs[runs["variant"] == variant.name]
        for quantity, rows in _quantities(runs).items():
            mine, base = (_by_task(scored, name, rows) for name in (variant.name, listed[0].name))
            total = mean_of(mine.values()) if mine else None
            whole = mine.keys() == base.keys()
            differences = [mine[task].minus(base[task]) for task in mine] if whole else []
            lines.append(
                _head(variant, here[here["row"].isin(rows)])
                | {"quantity": quantity, "score": total.value if total else np.nan}
                | _difference(total, differences, variant is listed[0])
            )
    return pd.DataFrame(lines)[list(SCORE_COLUMNS)]


def _quantities(runs: pd.DataFrame) -> dict[str, tuple[str, ...]]:
    rows = row_order(runs)
    quantities: dict[str, tuple[str, ...]] = {row: (row,) for row in rows}
    if set(GAP) <= set(rows):
        quantities[GAP_NAME] = GAP
    return quantities


def _scored(cells: Cells, scale: Scores) -> dict[tuple[str, str, str], Estimate]:
    tasks = scale.tasks[scale.tasks["excluded"] == ""]
    names = tasks["task"].astype(str).tolist()
    zeros = dict(zip(names, tasks["random"].astype(float), strict=True))
    spans = dict(zip(names, (tasks["best"] - tasks["random"]).astype(float), strict=True))
    return {
        (variant, task, row): cell.scaled(zeros[task], spans[task])
        for (variant, task, row), cell in cells.items()
        if task in zeros
    }


def _by_task(cells: Cells, variant: str, rows: Sequence[str]) -> dict[str, Estimate]:
    """The estimate of a quantity by task: of one row, or of one less another."""
    tasks = {task for name, task, row in cells if name == variant}
    found = {}
    for task in sorted(tasks):
        parts = [cells.get((variant, task, row)) for row in rows]
        there = [part for part in parts if part is not None]
        if len(there) == len(rows):
            found[task] = there[0] if len(there) == 1 else there[0].minus(there[1])
    return found


def _head(variant: Variant, runs: pd.DataFrame) -> dict[str, object]:
    return {
        "variant": variant.name,
        "changed": " ".join(f"{key}={value}" for key, value in variant.changed),
        "n_runs": int((runs["hole"] == "").sum()),
        "n_expected": len(runs),
    }


def _intervals(mine: Estimate | None, base: Estimate | None, is_base: bool) -> dict[str, float]:
    return _difference(mine, [mine.minus(base)] if mine and base else [], is_base)


def _difference(
    mine: Estimate | None, differences: Sequence[Estimate], is_base: bool
) -> dict[str, float]:
    values = dict.fromkeys(_INTERVALS, float("nan"))
    if mine is not None:
        values["ci_low"], values["ci_high"] = mine.interval()
    if differences and not is_base:
        difference = mean_of(differences)
        low, high = difference.interval()
        values |= {
            "difference": difference.value,
            "difference_low": low,
            "difference_high": high,
        }
    return values


def placed(sweep: Sweep) -> Sweep:
    """Without the runs that never started and left no configuration."""
    kept = tuple(run for run in sweep.runs if run.config is not None)
    lost = [run.run_id for run in sweep.runs if run.config is None]
    if not lost:
        return sweep
    note = f"In no variant, for they never started and left no configuration: {', '.join(lost)}."
    return Sweep(kept, (*sweep.notes, note))


def from_sweep(sweep: Sweep, base: Sequence[str], options: argparse.Namespace) -> Pilot:
    """The pilot of the runs of `sweep`, which have configurations.

    Args:
        sweep: from `placed`.
        base: `KEY=VALUE` conditions that choose the base; empty for the most frequent values.
        options: with `add_bootstrap_arguments`, `add_reference_argument`, `add_scale_arguments`.

    Raises:
        AnalysisError: for runs that differ in more than switches, or not in any.
    """
    by_run = variants(sweep.runs, [parse_condition(text) for text in base])
    check_variants(sweep.runs, by_run)
    return build(
        frame(sweep.runs, options.episodes),
        by_run,
        random_returns(options.reference, options.random),
        options.best,
        options.replicates,
        options.seed,
    )


def _run(options: argparse.Namespace) -> Output:
    sweep = placed(selected_sweep(options))
    pilot = from_sweep(sweep, options.base, options)
    text = pilot_text.markdown(pilot, sweep, options)
    files = {
        "pilot.csv": render.csv(pilot.returns),
        "pilot_scores.csv": render.csv(pilot.scores),
        "pilot.json": render.json(pilot_text.answers(pilot)),
        "pilot.md": (text + "\n").encode(),
        "pilot.png": figure.figure(pilot),
    }
    return Output(files, text)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_runs_arguments(parser)
    add_bootstrap_arguments(parser)
    add_reference_argument(parser)
    add_scale_arguments(parser)
    parser.add_argument(
        "--base",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="the variant that the others are compared with (default: the one with the most "
        "frequent value of every switch); repeatable",
    )


COMMAND = Command(
    "pilot", "which switches of the recipe move the comparison of objectives", _add_arguments, _run
)
