"""Rows of the benchmarks' results: medians over rounds, as text and as a JSON file."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from repro.runs import provenance
from repro.runs.files import write_json

PHASES = ("env", "forward", "update", "other")
Sample = dict[str, float]  # microseconds per environment step, by name
Row = dict[str, Any]


def summarize(samples: Sequence[Sample]) -> Row:
    """Median, minimum and maximum of `total_us` over rounds, and the phases' medians.

    Args:
        samples: of one contender, one per round: `total_us` of wall time, `cpu_us` of this process.
            Phases that it does not measure are None.
    """
    totals = [sample["total_us"] for sample in samples]
    row: Row = {
        "total_us": statistics.median(totals),
        "low_us": min(totals),
        "high_us": max(totals),
    }
    for key in ("cpu_us", *(f"{phase}_us" for phase in PHASES)):
        values = [sample[key] for sample in samples if key in sample]
        row[key] = statistics.median(values) if values else None
    return row


def ratio(samples: Sequence[Sample], others: Sequence[Sample] | None) -> float | None:
    """Median over rounds of a contender's time over another's in the same round.

    Of processor time where both have it, which hangs less on how busy the machine is.
    """
    if others is None:
        return None
    key = "cpu_us" if "cpu_us" in samples[0] and "cpu_us" in others[0] else "total_us"
    return statistics.median(
        sample[key] / other[key] for sample, other in zip(samples, others, strict=True)
    )


def speedup(samples: Sequence[Sample], others: Sequence[Sample] | None) -> float | None:
    """How many times as fast a contender is as another one."""
    slowdown = ratio(samples, others)
    return None if slowdown is None else 1 / slowdown


def table(rows: Sequence[Row]) -> str:
    """Rows as lines of text."""
    titles = ("total", "cpu", *PHASES, "/physics", "x SB3", "MiB")
    lines = [f"{'':>45}" + "".join(f"{title:>10}" for title in titles)]
    for row in rows:
        name = row["contender"] if row["population"] is None else f"pack of {row['population']}"
        cells = [
            _cell(row[key], 1)
            for key in ("total_us", "cpu_us", *(f"{phase}_us" for phase in PHASES))
        ]
        cells += [_cell(row["over_physics"], 2), _cell(row["over_sb3"], 1)]
        cells.append(_cell(row["memory_mib"], 0))
        lines.append(
            f"{row['env']:>26}{row['algorithm']:>7}{name:>12}"
            + "".join(f"{cell:>10}" for cell in cells)
        )
    return "\n".join(lines)


def save(path: Path, name: str, arguments: Sequence[str], result: Mapping[str, Any]) -> None:
    """Write a result with the command and the machine that made it.

    Args:
        path: the JSON file; its directory is created.
        name: of the benchmark.
        arguments: of the command line.
        result: what was measured.
    """
    command = " ".join(["python -m repro.bench", name, *arguments])
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, {"command": command} | provenance.machine() | dict(result))


def _cell(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
