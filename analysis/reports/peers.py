"""`peers`: the file of `python -m repro.bench peers` as a table and a figure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from analysis import cli
from analysis.drawing import tables
from analysis.drawing.style import CYCLE, MUTED, scaled
from analysis.drawing.text import blank
from analysis.errors import reading
from repro.runs import store

NAMES = {
    "ours": "this project, one run",
    "ours_33": "this project, a pack of 33",
    "sb3": "Stable-Baselines3",
    "sbx": "SBX (JAX)",
    "cleanrl": "CleanRL",
    "ours_step": "this project",
    "envpool": "EnvPool, one thread",
    "gymnasium": "Gymnasium, SyncVectorEnv",
    "dummy_vec_env": "Stable-Baselines3, DummyVecEnv",
}
WHAT = {"training": "Training with PPO", "simulation": "Simulators alone"}


def load(path: Path) -> tuple[pd.DataFrame, Mapping[str, Any]]:
    """The rows (`repro.bench.peers.measure`), and the whole file: command, machine, versions.

    Raises:
        AnalysisError: a file that is missing, or not the benchmark's.
    """
    with reading(path, "give --bench a file of python -m repro.bench peers --out"):
        result = store.read_json(path)
        table = pd.DataFrame(result["rows"])
        table["name"] = table["contender"].map(NAMES)
        # Files without the column are older: they have 32.
        envs = table["envs"] if "envs" in table else pd.Series(32.0, table.index)
        table["envs"] = envs.where(table["what"] == "simulation")
        return table.dropna(subset=["steps_per_second", "cores", "name"]), result


def figure(table: pd.DataFrame) -> Figure:
    """Steps a second on one core: a panel for training and one for most simulators alone."""
    one = table[table["cores"] == table["cores"].min()]
    one = one[one["envs"].isna() | (one["envs"] == one["envs"].max())]
    kinds = [what for what in WHAT if (one["what"] == what).any()]
    drawing = Figure(figsize=(8.0, 3.4))
    for axes, what in zip(np.atleast_1d(drawing.subplots(1, len(kinds))), kinds, strict=True):
        _panel(axes, one[one["what"] == what])
        axes.set_title(WHAT[what])
    return drawing


def _panel(axes: Axes, rows: pd.DataFrame) -> None:
    tasks, names = list(dict.fromkeys(rows["env"])), list(dict.fromkeys(rows["name"]))
    height = 0.8 / len(names)
    for number, (name, color) in enumerate(zip(names, CYCLE, strict=False)):
        part = rows[rows["name"] == name].set_index("env").reindex(tasks)
        at = np.arange(len(tasks)) + (number - (len(names) - 1) / 2) * height
        rates = part["steps_per_second"].to_numpy(dtype=float)
        spread = np.abs(part[["low", "high"]].to_numpy(dtype=float).T - rates)
        axes.barh(at, rates, height * 0.9, xerr=spread, color=color, label=name,
                  error_kw={"elinewidth": 0.8, "ecolor": MUTED})  # fmt: skip
    axes.set_yticks(range(len(tasks)), [str(task).replace("_", " ") for task in tasks])
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_xlabel("environment steps a second, one core")
    axes.grid(visible=False, axis="y")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), fontsize=scaled(8))


def text(table: pd.DataFrame, about: Mapping[str, Any]) -> str:
    """A table for training and one for simulators, and the machine."""
    columns: tables.Columns = {
        "task": "env",
        "program": "name",
        "cores": "cores",
        "environments": lambda row: blank(row["envs"], ".0f"),
        "steps a second": lambda row: f"{row['steps_per_second']:,.0f}",
        "range": lambda row: f"{row['low']:,.0f} to {row['high']:,.0f}",
        "ratio": lambda row: blank(row["over_baseline"], ".2f"),
    }
    parts = [
        f"## {title}\n\n{tables.of(rows, 'llrr', columns)}\n"
        for what, title in WHAT.items()
        if len(rows := table[table["what"] == what])
    ]
    machine = f"{about['cpu']}; `{about['command']}`; medians of {about['rounds']} rounds."
    ratio = "Ratios are to Stable-Baselines3, of the rounds, for the same number of cores."
    return "\n".join([*parts, f"{machine} {ratio}"])


_FILE = "file that python -m repro.bench peers --out wrote"


@cli.command("peers", cli.option("--bench", _FILE, type=Path, required=True, metavar="FILE"))
def command(given: cli.Given) -> cli.Output:
    """Steps a second beside other libraries."""
    table, about = load(given.bench)
    written = text(table, about)
    files: cli.Files = {
        "peers.png": lambda: figure(table),
        "peers.csv": table.drop(columns="name"),
        "peers.md": written,
    }
    return cli.Output(files, written)
