"""`speed`: files of `python -m repro.bench` as a table and a figure, against the physics floor."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis import cli
from analysis.drawing import tables
from analysis.drawing.style import CYCLE, INK, MUTED, scaled
from analysis.drawing.text import Line, blank
from analysis.errors import reading
from repro.runs import store

PPO = "ppo"  # the algorithm of a row that names none
PHASES = ("env", "forward", "update", "other")
TABLE1_TASKS = 7
TABLE1_STEPS = 33 * 999_424  # of a task: 11 settings, 3 seeds, 488 updates of 2048 steps
_COLORS = dict(zip(PHASES, ("#9A9A9A", CYCLE[2], CYCLE[0], CYCLE[1]), strict=True))


def load(paths: Sequence[Path], name: str = "speed") -> pd.DataFrame:
    """The rows of all files (`repro.bench.speed.measure`), with `file` and `overrides` in front.

    Contenders are only ever compared within a file: the machine may differ from one to the next.

    Args:
        paths: of files of one benchmark.
        name: the benchmark's.

    Raises:
        AnalysisError: a file that is missing, or not the benchmark's.
    """
    rows: list[dict[str, Any]] = []
    for path in paths:
        with reading(path, f"give --bench a file of python -m repro.bench {name} --out"):
            result = store.read_json(path)
            about = {"file": path.name, "overrides": " ".join(result["overrides"])}
            rows += [about | {"algorithm": PPO} | row for row in result["rows"]]
    return pd.DataFrame(rows)


def _tasks(table: pd.DataFrame) -> pd.DataFrame:
    """Of each task PPO's rows in the first file that has a pack of 33 of it, with no overrides."""
    plain = table[(table["overrides"] == "") & (table["algorithm"] == PPO)]
    first = plain[plain["population"] == 33].groupby("env")["file"].first()
    return plain[plain["file"] == plain["env"].map(first)]


def packs_of_33(table: pd.DataFrame) -> pd.DataFrame:
    """Our packs of 33, one a task: of the first file that has it with no overrides."""
    chosen = _tasks(table)
    return chosen[chosen["population"] == 33]


def figures(table: pd.DataFrame) -> dict[str, Callable[[], Figure]]:
    """By name: time by phase of packs of 33, and throughput against the size of the pack.

    Each is of the first file that has it: files may be of different machines.
    """
    plain = table[(table["overrides"] == "") & (table["algorithm"] == PPO)]
    sizes = plain[plain["contender"] == "ours"].groupby(["file", "env"])["population"].nunique()
    chosen = {
        "speed.png": (_phases, _tasks(table)["file"]),
        "population.png": (_throughput, sizes[sizes > 2].reset_index()["file"]),
    }
    return {
        name: partial(_figure, draw, plain[plain["file"] == files.iloc[0]])
        for name, (draw, files) in chosen.items()
        if len(files)
    }


def _figure(draw: Callable[[Axes, pd.DataFrame], None], table: pd.DataFrame) -> Figure:
    drawing = Figure(figsize=(5.4, 3.6))
    draw(drawing.add_subplot(), table)
    return drawing


def _phases(axes: Axes, table: pd.DataFrame) -> None:
    packs = table[table["population"] == 33].sort_values("total_us")
    names = packs["env"].tolist()
    at, start = np.arange(len(names)), np.zeros(len(names))
    for phase in PHASES:
        spent = packs[f"{phase}_us"].to_numpy(dtype=float)
        axes.barh(at, spent, left=start, color=_COLORS[phase], label=phase, height=0.62)
        start += spent
    physics = table[table["contender"] == "physics"].set_index("env")["total_us"]
    floor = [float(physics.get(name, np.nan)) for name in names]
    axes.vlines(floor, at - 0.42, at + 0.42, color=INK, linewidth=1.8, label="physics alone")
    axes.set_yticks(at, [_task(name) for name in names])
    axes.set_xlabel("microseconds per environment step, one core")
    axes.set_title("Where the time of a pack of 33 goes")
    axes.legend(loc="lower right")
    axes.grid(visible=False, axis="y")


def _throughput(axes: Axes, table: pd.DataFrame) -> None:
    packs = table[table["contender"] == "ours"]
    sizes = packs.groupby("env")["population"].nunique()
    for env, color in zip(sizes[sizes > 2].index, itertools.cycle(CYCLE), strict=False):
        rows = table[table["env"] == env].sort_values("population", kind="stable")
        steps = 1e6 / rows["total_us"]
        own = rows["contender"] == "ours"
        axes.plot(rows["population"][own], steps[own], "o-", color=color, label=_task(env))
        for contender, line in (("physics", "--"), ("sb3", ":")):
            for level in steps[rows["contender"] == contender].head(1):
                axes.axhline(level, color=color, linestyle=line)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    ticks = sorted({int(p) for p in packs["population"]})
    axes.set_xticks(ticks, [str(size) for size in ticks])
    axes.set_xlabel("runs in the pack, P")
    axes.set_title("Environment steps a second, one core")
    axes.text(0.98, 0.1, "dashed: physics alone, dotted: Stable-Baselines3", ha="right",
              transform=axes.transAxes, fontsize=scaled(8), color=MUTED)  # fmt: skip
    axes.legend(loc="center right")


def _task(env: str) -> str:
    """`half_cheetah` as people write it: `HalfCheetah`."""
    return "".join(part[:1].upper() + part[1:] for part in env.split("_"))


def text(table: pd.DataFrame) -> str:
    """The table in Markdown, and Table 1's hours."""
    columns: tables.Columns = {
        "task": "env",
        "algorithm": "algorithm",
        "with": "overrides",
        "contender": contender,
        "µs a step": lambda row: f"{row['total_us']:.1f}",
        "range": lambda row: f"{row['low_us']:.1f} to {row['high_us']:.1f}",
        "x physics": lambda row: blank(row["over_physics"], ".2f"),
        "x SB3": lambda row: blank(row["over_sb3"], ".1f"),
        "MiB": lambda row: blank(row["memory_mib"], ".0f"),
    }
    lines = [tables.of(table, "llllr", columns), *_against_sb3(table)]
    packs = packs_of_33(table)
    if len(packs) > 1 and packs["over_physics"].notna().all():
        mean = packs["over_physics"].mean()
        lines.append(f"\nPacks of 33, mean over {len(packs)} tasks: {mean:.2f} x physics alone.")
    if len(packs) >= TABLE1_TASKS:
        hours = float((packs["total_us"] * TABLE1_STEPS).sum()) / 1e6 / 3600
        lines.append(
            f"The whole of Table 1 (231 runs) at these speeds: {hours:.1f} core-hours, "
            f"{hours / 2:.1f} hours on two cores."
        )
    return "\n".join(lines)


def _against_sb3(table: pd.DataFrame) -> list[str]:
    ours = table[(table["contender"] == "ours") & (table["overrides"] == "")]
    ours = ours.dropna(subset="over_sb3")
    if ours["algorithm"].nunique() < 2:
        return []
    lines = [""]
    for algorithm, rows in ours.groupby("algorithm", sort=False):
        ranges = [
            f"{part['over_sb3'].min():.1f} to {part['over_sb3'].max():.1f} (pack of {size:g})"
            for size, part in rows.groupby("population")
        ]
        speedups = ", ".join(ranges)
        lines.append(f"{algorithm} against Stable-Baselines3's, times as fast: {speedups}.")
    return lines


def contender(row: Line) -> str:
    """`pack of 33`, or the name of what is no pack."""
    return str(row["contender"]) if pd.isna(row["population"]) else f"pack of {row['population']:g}"


_FILES = "files that python -m repro.bench speed --out wrote"


@cli.command("speed", cli.option("--bench", _FILES, **cli.MANY | {"metavar": "FILE"}))
def command(given: cli.Given) -> cli.Output:
    """Time per step by phase, against physics alone and SB3."""
    table = load(given.bench)
    written = text(table)
    return cli.Output({**figures(table), "speed.csv": table, "speed.md": written}, written)
