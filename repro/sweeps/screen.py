"""What `python -m repro.status DIR --watch` shows below the table. No torch.

It reads files alone, so that it works beside a sweep, on any machine that sees its directory.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from repro.console import bar
from repro.runs import store
from repro.sweeps import heartbeats
from repro.sweeps.survey import DAMAGED, FAILED, FINISHED, MISSING, RUNNING, Expected

BLOCKS = "▁▂▃▄▅▆▇█"
ASCII = "_.-:=+*#"
BINS = 24  # of a curve, one character each
# Columns that a narrow terminal lacks, the first to go first: speed and bar; runs and returns.
PACK_OPTIONAL, CURVE_OPTIONAL = (5, 2), (4, 3)
Array = np.ndarray[Any, Any]
Points = tuple[Array, Array]


class Curve(NamedTuple):
    """Runs of one task and setting.

    Attributes:
        setting, task: their cell in the table.
        means: [BINS] mean return of training while a share of the steps was taken, over the runs;
            NaN where no episode ended.
        runs: how many have episodes.
    """

    setting: str
    task: str
    means: Array
    runs: int


class Curves:
    """Reads the episodes of runs, each file only when it has changed."""

    def __init__(self) -> None:
        """Nothing is read yet."""
        self._points: dict[str, tuple[int, Points | None]] = {}

    def of(self, runs: Iterable[Expected]) -> list[Curve]:
        """A curve for each task and setting that has episodes, in the order of the table."""
        groups: dict[tuple[str, str], list[Array]] = {}
        for run in runs:
            points = None if run.state in (MISSING, DAMAGED) else self._read(run.directory)
            if points is not None and len(points[0]) and run.steps:
                binned = bins(*points, run.steps)
                groups.setdefault((run.setting, run.task), []).append(binned)
        return [Curve(*key, _means(several), len(several)) for key, several in groups.items()]

    def step(self, run: Expected) -> int:
        """The step at which a run's last episode ended, as far as its table says; else 0."""
        points = None if run.state in (MISSING, DAMAGED) else self._read(run.directory)
        return int(points[0][-1]) if points is not None and len(points[0]) else 0

    def _read(self, directory: str) -> Points | None:
        """Steps and returns of a run's episodes; None where there are none to be read."""
        try:
            changed = (Path(directory) / "episodes.parquet").stat().st_mtime_ns
        except OSError:
            return None
        before = self._points.get(directory)
        if before is None or before[0] != changed:
            try:
                step, returns = (
                    store.read_run_numbers(Path(directory), "episodes", column)
                    for column in ("step", "return")
                )
                before = changed, ((step, returns) if len(step) == len(returns) else None)
            except (OSError, ValueError):  # it is being replaced, or has other columns
                before = changed, None
            self._points[directory] = before
        return before[1]


def bins(step: Array, returns: Array, steps: int) -> Array:
    """Mean returns of the episodes [E] that ended in each of `BINS` shares of a run's steps."""
    place = np.minimum((step - 1) * BINS // steps, BINS - 1).astype(int)
    counts = np.bincount(place, minlength=BINS)
    sums = np.bincount(place, returns, minlength=BINS)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def sparkline(means: Array, levels: str = BLOCKS) -> str:
    """One character a value, from the least to the greatest; a space for NaN."""
    seen = means[np.isfinite(means)]
    if not len(seen):
        return " " * len(means)
    low, span = seen.min(), float(np.ptp(seen)) or 1.0
    places = np.nan_to_num((means - low) / span * (len(levels) - 1)).round().astype(int)
    pairs = zip(means, places, strict=True)
    return "".join(levels[place] if np.isfinite(mean) else " " for mean, place in pairs)


def packs(runs: Iterable[Expected]) -> list[dict[str, Any]]:
    """The last beat of every pack in which some of these runs train."""
    by_id = {run.run_id: run for run in runs}
    parents = dict.fromkeys(Path(run.directory).parent for run in by_id.values())
    beats = [
        heartbeats.read(path)
        for parent in parents
        for path in sorted(parent.glob(heartbeats.BEATS))
    ]
    return [
        beat
        for beat in beats
        if any(by_id[name].state == RUNNING for name in beat.get("run_ids", ()) if name in by_id)
    ]


def time_left(
    runs: Iterable[Expected], beats: Sequence[Mapping[str, Any]], curves: Curves
) -> float | None:
    """Seconds until all runs of a sweep are done, at the speed of now; None if it is not known.

    Runs that have failed stay so.
    """
    if not beats or not all(beat["speed"] for beat in beats):
        return None
    each: list[float] = [(beat["total_steps"] - beat["steps"]) / beat["speed"] for beat in beats]
    training = {name for beat in beats for name in beat["run_ids"]}
    waiting = [
        run for run in runs if run.state not in (*FINISHED, FAILED) and run.run_id not in training
    ]
    rest: float = sum(run.steps - curves.step(run) for run in waiting)
    rest += sum(beat["total_steps"] - beat["steps"] for beat in beats)
    speed: float = sum(beat["speed"] for beat in beats)
    return max(*each, rest / speed)


def lines(
    runs: Sequence[Expected],
    beats: Sequence[Mapping[str, Any]],
    curves: Curves,
    *,
    ascii: bool,
    width: int | None = None,
) -> list[str]:
    """What trains, the curves, and the time left; in a terminal of `width`, what fits there."""
    by_id = {run.run_id: run for run in runs}
    training = [_pack(beat, by_id, ascii) for beat in beats]
    drawn = [_curve(curve, ASCII if ascii else BLOCKS) for curve in curves.of(runs)]
    left = time_left(runs, beats, curves)
    return [
        *_section("training", training, width, PACK_OPTIONAL),
        *([] if left is None else ["", f"about {_duration(left)} left in all"]),
        *_section(
            "return while training, from the first step to the last", drawn, width, CURVE_OPTIONAL
        ),
    ]


def _section(
    title: str, rows: Sequence[Sequence[str]], width: int | None, optional: Sequence[int]
) -> list[str]:
    """A titled table; `optional` are the columns to go first where it does not fit."""
    if not rows:
        return []
    shown = list(range(len(rows[0])))
    for column in optional:
        padded = _padded([[row[place] for place in shown] for row in rows])
        if width is None or max(map(len, padded)) <= width:
            break
        shown.remove(column)
    return ["", f"{title}:", *_padded([[row[place] for place in shown] for row in rows])]


def _padded(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return [f"  {line}".rstrip() for line in padded]


def _pack(beat: Mapping[str, Any], by_id: Mapping[str, Expected], ascii: bool) -> list[str]:
    members = [by_id[name] for name in beat["run_ids"] if name in by_id]
    share = beat["steps"] / beat["total_steps"]
    speed, returns = beat["speed"], beat.get("returns")
    left = (beat["total_steps"] - beat["steps"]) / speed if speed else None
    return [
        members[0].task,
        f"{len(members)} run{'s' * (len(members) > 1)}",
        bar(share, ascii=ascii),
        f"{share:4.0%}",
        "" if returns is None else f"return {returns:,.1f}",
        f"{speed:,.0f} steps/s" if speed else "",
        "" if left is None else f"{_duration(left)} left",
    ]


def _curve(curve: Curve, levels: str) -> list[str]:
    seen = curve.means[np.isfinite(curve.means)]
    runs = f"{curve.runs} run{'s' * (curve.runs > 1)}"
    scores = f"{seen[0]:,.1f} .. {seen[-1]:,.1f}"
    return [curve.task, curve.setting, sparkline(curve.means, levels), scores, runs]


def _means(several: Sequence[Array]) -> Array:
    """The mean over runs in each bin, of those that are finite there."""
    stacked = np.stack(several)
    there = np.isfinite(stacked)
    sums = np.where(there, stacked, 0.0).sum(0)
    return np.where(there.any(0), sums / np.maximum(there.sum(0), 1), np.nan)


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
