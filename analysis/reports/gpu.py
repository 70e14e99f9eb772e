"""`gpu`: files of `python -m repro.bench gpu` as a table and a figure, device beside device."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis import cli
from analysis.drawing import tables
from analysis.drawing.style import CYCLE
from analysis.drawing.text import Line, blank
from analysis.errors import AnalysisError
from analysis.reports import speed
from repro.runs import store

PACKS = "half_cheetah"  # the task whose packs of many sizes are measured
CPU = "cpu"
ONE = ("env", "contender", "population")  # what is measured on each device


def compared(table: pd.DataFrame) -> pd.DataFrame:
    """Steps a second of each task, contender and size of pack, by device; one line each.

    Raises:
        AnalysisError: rows that name no device.
    """
    if "device" not in table or table["device"].isna().any():
        raise AnalysisError("--bench: rows name no device; measure by python -m repro.bench gpu.")
    # Packs of different files are of one machine here: `repro.bench gpu` measures all of them.
    filled = table.assign(rate=1e6 / table["total_us"], population=table["population"].fillna(0))
    lines = filled.pivot_table("rate", list(ONE), "device", sort=False).reset_index()
    return lines.assign(population=lines["population"].replace(0, np.nan))


def devices(lines: pd.DataFrame) -> list[str]:
    """The processor last."""
    names = [name for name in lines.columns if name not in ONE]
    return sorted(names, key=lambda name: (name == CPU, name))


def text(lines: pd.DataFrame, about: str) -> str:
    """The table in Markdown."""
    names = devices(lines)
    columns: dict[str, str | Callable[[Line], str]] = {
        "task": "env",
        "contender": speed.contender,
        **{f"steps/s, {name}": _rate(name) for name in names},
    }
    if CPU in names:
        for name in names[:-1]:
            columns[f"{name} over {CPU}"] = _over(name)
    table = tables.of(lines, "ll" + "r" * (len(columns) - 2), columns)
    return f"{about}\n\n{table}\n"


def _rate(name: str) -> Callable[[Line], str]:
    return lambda row: blank(row[name], ",.0f")


def _over(name: str) -> Callable[[Line], str]:
    return lambda row: blank(row[name] / row[CPU], ".2f")


def figure(lines: pd.DataFrame) -> Figure:
    """Packs of one task by size on the left, all other contenders on the right."""
    drawing = Figure(figsize=(7.2, 3.4))
    left, right = drawing.subplots(1, 2)
    packs = lines[(lines["env"] == PACKS) & lines["population"].notna()].sort_values("population")
    others = lines.drop(packs.index)
    colors = dict(zip(devices(lines), CYCLE, strict=False))
    for name, color in colors.items():
        left.plot(packs["population"], packs[name], "o-", color=color, label=name)
    left.set_xscale("log", base=2)
    left.set_yscale("log")
    sizes = packs["population"].astype(int).tolist()
    left.set_xticks(sizes, [str(size) for size in sizes])
    left.set_xlabel("runs in the pack, P")
    left.set_title(f"{PACKS.replace('_', ' ')}: environment steps a second")
    left.legend()
    _bars(right, others, colors)
    return drawing


def _bars(axes: Axes, others: pd.DataFrame, colors: dict[str, str]) -> None:
    at, height = np.arange(len(others)), 0.8 / max(1, len(colors))
    for i, (name, color) in enumerate(colors.items()):
        axes.barh(at + i * height, others[name], height, color=color, label=name)
    labels = [f"{row['env']}, {speed.contender(row)}" for row in others.to_dict("records")]
    axes.set_yticks(at + 0.4 - height / 2, labels)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_title("others: environment steps a second")


def machine(paths: list[Path]) -> str:
    """What measured: processor, and GPU with its driver, as the files say."""
    found = [store.read_json(path) for path in paths]
    cpus = dict.fromkeys(each["cpu"] for each in found if each.get("cpu"))
    gpus = dict.fromkeys(
        f"{each['gpu']} (driver {each['driver']}, CUDA {each['cuda']}, cuDNN {each['cudnn']})"
        for each in found
        if each.get("gpu")
    )
    return "; ".join([*gpus, *cpus, "one process and one thread each"])


_FILES = "files that python -m repro.bench gpu wrote"


@cli.command("gpu", cli.option("--bench", _FILES, **cli.MANY | {"metavar": "FILE"}))
def command(given: cli.Given) -> cli.Output:
    """Speed on a GPU, beside the processor and SB3."""
    lines = compared(speed.load(given.bench, "gpu"))
    written = text(lines, machine(given.bench))
    drawn = {"gpu.png": lambda: figure(lines)}
    return cli.Output({**drawn, "gpu.csv": lines, "gpu.md": written}, written)
