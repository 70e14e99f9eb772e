"""The picture of Figure 3: a panel a task, every algorithm, the paper's curves dashed behind."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

import pandas as pd
from matplotlib.figure import Figure

from analysis.drawing.algorithms import entry, ordered
from analysis.drawing.curves import Dashed, drawn, keys
from analysis.drawing.style import scaled
from analysis.published.paper import Curve, task_name
from analysis.reports.figure3.numbers import Curves


def figure(table: pd.DataFrame, paper: Curves, episodes: int) -> Figure:
    """One panel a task; `table` is `runs.curves.COLUMNS`, the labels are entries."""
    styles = {key: entry(key) for key in ordered(table["label"])}
    said = f"return, mean of the last {episodes} training episodes"
    size, margin, columns = (3.6, 3.1), (1.0, 0.6), min(4, table["task"].nunique() + 1)
    drawing, _, spare = drawn(
        table, styles, said, columns, size, margin, partial(_dashed, styles, paper), blank=1
    )
    spare[0].legend(
        handles=keys(table, styles, "the paper, in the same color" if paper else ""),
        loc="center left",
        title="algorithm (finished of expected runs)",
        alignment="left",
        fontsize=scaled(8.5),
    )
    return drawing


def _dashed(keys: Iterable[str], paper: Curves, task: str) -> Dashed:
    """The paper's curves in a task, each once, in the color of the first entry it stands beside."""
    found: dict[str, tuple[str, Curve]] = {}
    for one in map(entry, keys):
        curve = paper.get(one.paper, {}).get(task_name(task))
        if curve is not None:
            found.setdefault(one.paper, (one.color, curve))
    return list(found.values())
