"""`origin`: what was run, with which code, on what, how long, and what SB3 would have taken."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from analysis import cli
from analysis.drawing import tables
from analysis.drawing.text import NOT_KNOWN
from analysis.reports import speed
from analysis.runs.load import read_times
from analysis.runs.run import Run, hole_of
from analysis.runs.selection import show
from analysis.settings import DEFAULT_REFERENCE

BENCH = DEFAULT_REFERENCE.parent / "speed" / "tasks.json"
# What all runs of a table should share, by its name in run.json.
_SHARED = ("git_revision", "git_dirty", "versions", "host", "cpu", "cores", "device", "engine")


def origin(runs: Sequence[Run], sb3_us: Mapping[str, float]) -> dict[str, Any]:
    """All of it as values; `sb3_us` are microseconds a step of SB3 by environment."""
    found = [run for run in runs if run.directory is not None]
    starts, ends = (
        [datetime.fromisoformat(str(run.info[key])) for run in found if run.info.get(key)]
        for key in ("started_at", "finished_at")
    )
    elapsed = (max(ends) - min(starts)).total_seconds() / 3600 if starts and ends else None
    seconds = pd.DataFrame([read_times(run) for run in found])
    done = [(_steps(run), str(run.info.get("env_name"))) for run in found if not hole_of(run)]
    known = bool(done) and all(name in sb3_us for _, name in done)
    sb3 = sum(steps * sb3_us[name] for steps, name in done) / 3.6e9 if known else None
    return {
        "runs": dict(Counter(run.status for run in runs)),
        "steps": sum(steps for steps, _ in done),
        "first_start": min(starts).isoformat() if starts else None,
        "last_finish": max(ends).isoformat() if ends else None,
        "elapsed_hours": elapsed,
        "core_hours": float(seconds.to_numpy().sum()) / 3600,
        "core_hours_by_phase": {name: total / 3600 for name, total in seconds.sum().items()},
        "sb3_core_hours": sb3,
        "interrupted_and_resumed": sum(bool(run.info.get("resumed")) for run in found),
        "resumed_approximately": sum(bool(run.info.get("approximate")) for run in found),
        **{key: dict(Counter(show(run.info.get(key)) for run in found)) for key in _SHARED},
    }


def each(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """One line a run: `run_id, status, steps, seconds, seconds_by_phase, us_per_step`.

    The seconds are those of the training process, interruptions left out; 0 of what is not done.
    """
    lines = []
    for run in runs:
        line: dict[str, Any] = {"run_id": run.run_id, "status": run.status}
        steps, phases = 0 if hole_of(run) else _steps(run), read_times(run)
        seconds = sum(phases.values())
        line |= {"steps": steps, "seconds": seconds, "seconds_by_phase": phases}
        lines.append(line | {"us_per_step": 1e6 * seconds / steps if steps else None})
    return lines


def _steps(run: Run) -> int:
    return int(run.info.get("steps") or run.steps)


def sb3_speed(path: Path) -> dict[str, float]:
    """Microseconds a step of Stable-Baselines3 by environment, from a file of the benchmark."""
    table = speed.load([path])
    chosen = table[(table["contender"] == "sb3") & (table["overrides"] == "")]
    return dict(zip(chosen["env"].astype(str), chosen["total_us"].astype(float), strict=True))


def markdown(values: Mapping[str, Any], bench: Path) -> str:
    """The whole report."""
    text = f"# Origin of the runs\n\n{table(values, bench)}"
    return text + (f"\n\n## Each run\n\n{_each(values['each'])}" if "each" in values else "")


def table(values: Mapping[str, Any], bench: Path | None = None) -> str:
    """The values as a table; with the speed of SB3 where `bench` has it."""
    training = f"{_hours(values['core_hours'])} ({_phases(values['core_hours_by_phase'])})"
    sb3 = _hours(values["sb3_core_hours"])
    rows = [
        ("Runs", ", ".join(f"{count} {status}" for status, count in values["runs"].items())),
        ("Environment steps of the runs that are done", f"{values['steps']:,}"),
        ("First start", str(values["first_start"] or NOT_KNOWN)),
        ("Last finish", str(values["last_finish"] or NOT_KNOWN)),
        ("From one to the other", _hours(values["elapsed_hours"])),
        ("Time of the training processes", training),
        *([(f"Stable-Baselines3 on one core, at the speed in {bench.name}", sb3)] if bench else []),
        ("Runs interrupted and taken up again", str(values["interrupted_and_resumed"])),
        ("... with something changed", str(values["resumed_approximately"])),
        *(
            (key.replace("_", " "), _counts({_shown(v): n for v, n in values[key].items()}))
            for key in _SHARED
        ),
    ]
    return tables.markdown(("What", "Value"), rows, "ll")


def _each(lines: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for line in lines:
        known = line["us_per_step"] is not None
        time = _hours(line["seconds"] / 3600 if known else None)
        speed = f"{line['us_per_step']:,.0f}" if known else NOT_KNOWN
        phases = _phases(line["seconds_by_phase"]) if known else ""
        rows.append((line["run_id"], line["status"], f"{line['steps']:,}", time, speed, phases))
    header = ("Run", "Status", "Steps", "Time of training", "us a step", "")
    return tables.markdown(header, rows, "llrrrl")


def _hours(hours: float | None) -> str:
    if hours is None:
        return NOT_KNOWN
    return f"{hours:.1f} hours" if hours >= 2 else f"{60 * hours:.0f} minutes"


def _phases(phases: Mapping[str, float]) -> str:
    total = sum(phases.values()) or 1.0
    return ", ".join(
        f"{k.removeprefix('time_')} {100 * v / total:.0f} %" for k, v in phases.items()
    )


def _shown(value: str) -> str:
    """`torch 2.13.0, numpy 2.4.6` of a JSON object; any other value as it is."""
    if not value.startswith("{"):
        return value
    return ", ".join(f"{name} {version}" for name, version in json.loads(value).items())


def _counts(values: Mapping[str, int]) -> str:
    if len(values) == 1:
        return next(iter(values))
    return "; ".join(f"{value} ({count} runs)" for value, count in values.items())


_SPEED = "file of python -m repro.bench with SB3's speed (default: results/speed/tasks.json)"
_EACH = cli.option("--each", "with the time of every run", action="store_true")
_BENCH = cli.option("--bench", _SPEED, type=Path, default=BENCH, metavar="FILE")


@cli.command("origin", cli.RUNS, _EACH, _BENCH)
def command(given: cli.Given) -> cli.Output:
    """What was run, with which code, on what and how long."""
    runs = given.sweep.runs
    values = origin(runs, sb3_speed(given.bench))
    if given.each:
        values["each"] = each(runs)
    text = markdown(values, given.bench)
    return cli.Output({"origin.md": text, "origin.json": values}, text)
