"""How figures look: one style, the objectives' names and colors, and PNGs without time stamps.

Colors are Okabe and Ito's, told apart under the common color deficiencies. One hue a family of
objectives, darker for a larger value: gray without penalty, blue for clipping, orange for the
adaptive and green for the fixed KL penalty. The paper's own points are hollow diamonds in ink.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

Stroke = Literal["-", "--", "-.", ":"]

INK = "#1A1A1A"
MUTED = "#6B6B6B"
ALARM = "#B00020"  # for counts with a hole in them
GRID = "#E3E3E3"
PAPER: Mapping[str, Any] = {
    "marker": "D",
    "markersize": 6.5,
    "markerfacecolor": "white",
    "markeredgecolor": INK,
    "markeredgewidth": 1.2,
    "linestyle": "none",
}

STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 9.5,
    "axes.linewidth": 0.8,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "legend.fontsize": 9,
    "lines.linewidth": 1.6,
    **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor"), INK),
    **dict.fromkeys(("axes.edgecolor", "xtick.color", "ytick.color"), MUTED),
    **dict.fromkeys(("axes.spines.top", "axes.spines.right", "legend.frameon"), False),
    **dict.fromkeys(("axes.grid", "axes.axisbelow", "figure.constrained_layout.use"), True),
    **dict.fromkeys((f"figure.constrained_layout.{side}_pad" for side in "wh"), 0.08),
    **dict.fromkeys(("xtick.labelsize", "ytick.labelsize"), 8.5),
    **dict.fromkeys(("figure.dpi", "savefig.dpi"), 160),
}

# kind -> (name, symbol of its value in plain text, the same as math)
# In the order in which tables and legends have them.
_NAMES: dict[str, tuple[str, str, str]] = {
    "none": ("No clipping or penalty", "", ""),
    "clip": ("Clipping", "ε", r"\epsilon"),
    "clip_log": ("Log-space clipping", "ε", r"\epsilon"),
    "kl_adaptive": ("Adaptive KL", "d_targ", r"d_{\mathrm{targ}}"),
    "kl_fixed": ("Fixed KL", "β", r"\beta"),
}
# From the smallest value of a family to its largest; the middle one is Okabe and Ito's.
_RAMPS: dict[str, tuple[str, str, str]] = {
    "none": ("#4D4D4D", "#4D4D4D", "#4D4D4D"),
    "clip": ("#74B7E6", "#0072B2", "#00324F"),
    "kl_adaptive": ("#F5A55F", "#D55E00", "#6E3000"),
    "kl_fixed": ("#5FCBA8", "#009E73", "#00412F"),
    "clip_log": ("#E3AACB", "#CC79A7", "#8A3D67"),
}
_OTHER_RAMP = ("#E6D22E", "#B29F00", "#6B6000")
CYCLE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#4D4D4D", "#B29F00", "#56B4E9", "#8A3D67")


@dataclass(frozen=True)
class LineStyle:
    """How a label is named and drawn."""

    name: str
    color: str
    line: Stroke = "-"  # dashed is the paper's


def png(draw: Callable[[], Figure]) -> bytes:
    """The figure that `draw` makes, in the style of the reports, whatever the user's matplotlibrc.

    No date or version is inside, so equal figures are equal files.
    """
    buffer = io.BytesIO()
    with matplotlib.style.context(["default", STYLE]):
        draw().savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def objective_name(kind: str, value: float, math: bool = False) -> str:
    """`Clipping, ε = 0.2`; with `math` the symbol is TeX, for figures and LaTeX."""
    name, plain, tex = _NAMES.get(kind, (kind, "", ""))
    if np.isnan(value):
        return name
    if not plain:
        return f"{name}, {value:g}"
    return f"{name}, ${tex} = {value:g}$" if math else f"{name}, {plain} = {value:g}"


def objective_rows(runs: pd.DataFrame) -> pd.DataFrame:
    """`row, objective, value`, each row once: by kind, in the order of `_NAMES`, then by value."""
    places = {kind: place for place, kind in enumerate(_NAMES)}  # any other kind comes last
    rows = runs[["row", "objective", "value"]].drop_duplicates("row")
    order = rows.assign(place=rows["objective"].map(places))
    order = order.sort_values(["place", "objective", "value", "row"], ignore_index=True)
    return order.drop(columns="place")


def objective_names(rows: pd.DataFrame, math: bool = False) -> dict[str, str]:
    """Name by row, of a frame with `row, objective, value`."""
    return {
        str(row): objective_name(str(kind), float(value), math)
        for row, kind, value in rows[["row", "objective", "value"]].itertuples(index=False)
    }


def objective_colors(rows: pd.DataFrame) -> dict[str, str]:
    """Color by row, of a frame with `row, objective, value`: darker for larger values."""
    colors: dict[str, str] = {}
    for kind, family in rows.groupby("objective", sort=False):
        names = family.sort_values(["value", "row"])["row"].tolist()
        ramp = LinearSegmentedColormap.from_list("", list(_RAMPS.get(str(kind), _OTHER_RAMP)))
        places = [0.5] if len(names) == 1 else np.linspace(0, 1, len(names)).tolist()
        colors |= {row: to_hex(ramp(place)) for row, place in zip(names, places, strict=True)}
    return {row: colors[row] for row in rows["row"]}


def steps_axis(axes: Axes) -> None:
    """Environment steps as 0, 200k, ... 1M."""
    axes.set_xlabel("environment steps")
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_xlim(left=0)
