"""How figures look: one style, the objectives' names and colors, and PNGs without time stamps.

Colors are Okabe and Ito's, told apart under the common color deficiencies. One hue a family of
objectives, darker for a larger value: gray without penalty, blue for clipping, orange for the
adaptive and green for the fixed KL penalty. The paper's own points are hollow diamonds in ink.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple
from zlib import crc32

import matplotlib.style
import numpy as np
import pandas as pd
from matplotlib import rcParams
from matplotlib.colors import LinearSegmentedColormap, to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

Stroke = Literal["-", "--", "-.", ":"]

COLUMN, PAGE = 3.25, 6.75  # inches, as in the two-column styles of conferences
WIDE = 8.0  # a figure of this width takes the page
LEAST = 0.62  # letters shrink to this share of their size on a screen at most: 6 points

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

# The sizes that a PDF shrinks.
_SIZES = (
    *("font.size", "axes.titlesize", "axes.labelsize", "legend.fontsize"),
    *("xtick.labelsize", "ytick.labelsize", "axes.labelpad", "axes.linewidth", "grid.linewidth"),
    *(f"{axis}tick.major.{what}" for axis in "xy" for what in ("pad", "size", "width")),
    *(f"figure.constrained_layout.{side}_pad" for side in "wh"),
)


class _Kind(NamedTuple):
    """How a kind of objective is named and colored."""

    name: str
    ramp: tuple[str, ...]  # from small values to large ones; the middle one is Okabe and Ito's
    symbol: str = ""  # of its value, in plain text
    tex: str = ""
    # The paper's values, which divide the middle of the ramp evenly; others lie between or beyond.
    values: tuple[float, ...] = (0.1, 0.2, 0.3)


# In the order of tables and legends.
_KINDS = {
    "none": _Kind("No clipping or penalty", ("#4D4D4D", "#4D4D4D")),
    "clip": _Kind("Clipping", ("#74B7E6", "#0072B2", "#00324F"), "ε", r"\epsilon"),
    "clip_log": _Kind("Log-space clipping", ("#E3AACB", "#CC79A7", "#8A3D67"), "ε", r"\epsilon"),
    "kl_adaptive": _Kind(
        *("Adaptive KL", ("#F5A55F", "#D55E00", "#6E3000"), "d_targ", r"d_{\mathrm{targ}}"),
        values=(0.003, 0.01, 0.03),
    ),
    "kl_fixed": _Kind(
        "Fixed KL", ("#5FCBA8", "#009E73", "#00412F"), "β", r"\beta", values=(0.3, 1, 3, 10)
    ),
}
CYCLE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#4D4D4D", "#B29F00", "#56B4E9", "#8A3D67")
_OTHERS = ("#E6D22E", "#B29F00", "#6B6000")  # the ramp of kinds that the table lacks
_FURTHER = ("#00324F", "#F5A55F", "#6E3000", "#5FCBA8", "#00412F", "#E3AACB", "#E6D22E", "#6B6000")


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


def svg(draw: Callable[[], Figure]) -> bytes:
    """As `png`, as SVG; equal figures are equal files."""
    buffer = io.BytesIO()
    with matplotlib.style.context(["default", STYLE, {"svg.hashsalt": "explain"}]):
        draw().savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def pdf(draw: Callable[[], Figure]) -> bytes:
    """The figure for a paper: as wide as a column, or the page if it is wide, fonts embedded."""
    buffer = io.BytesIO()
    with matplotlib.style.context(["default", STYLE, {"pdf.fonttype": 42}]):
        width, height = draw().get_size_inches()
        target = COLUMN if width < WIDE else PAGE
        letters = max(target / width, LEAST)
        sizes: Any = {key: letters * size for key, size in rcParams.items() if key in _SIZES}
        with matplotlib.style.context(sizes):
            figure = draw()
            for line in figure.findobj(Line2D):
                line.set_linewidth(line.get_linewidth() * letters)
                line.set_markersize(line.get_markersize() * letters)
            # Letters that shrink less than the panels need some height of their own.
            figure.set_size_inches(target, height * (target / width + letters) / 2)
            figure.savefig(buffer, format="pdf", metadata={"CreationDate": None, "Producer": None})
    return buffer.getvalue()


def scaled(points: float) -> float:
    """A size that shrinks with the letters of a PDF."""
    return points * float(rcParams["font.size"]) / float(STYLE["font.size"])


def objective_name(kind: str, value: float, math: bool) -> str:
    """`Clipping, ε = 0.2`; with `math` the symbol is TeX, for figures and LaTeX."""
    known = _KINDS.get(kind, _Kind(kind, _OTHERS))
    if np.isnan(value):
        return known.name
    symbol = known.tex if math else known.symbol
    shown = f"{symbol} = {value:g}" if symbol else f"{value:g}"
    return f"{known.name}, ${shown}$" if math and symbol else f"{known.name}, {shown}"


def objective_rows(runs: pd.DataFrame) -> pd.DataFrame:
    """`row, objective, value`, each row once: by kind, in the order of `_KINDS`, then by value."""
    places = {kind: place for place, kind in enumerate(_KINDS)}  # any other kind comes last
    rows = runs[["row", "objective", "value"]].drop_duplicates("row")
    order = rows.assign(place=rows["objective"].map(places))
    order = order.sort_values(["place", "objective", "value", "row"], ignore_index=True)
    return order.drop(columns="place")


def objective_names(rows: pd.DataFrame, math: bool = False) -> dict[str, str]:
    """Name by row, of a frame with `row, objective, value`.

    Rows that differ in a further scalar would have one name; they keep their label.
    """
    named = {
        str(row): objective_name(str(kind), float(value), math)
        for row, kind, value in rows[["row", "objective", "value"]].itertuples(index=False)
    }
    counts = Counter(named.values())
    return {row: name if counts[name] == 1 else row for row, name in named.items()}


def objective_color(kind: str, value: float) -> str:
    """The color of a setting, the same in every figure: darker for larger values."""
    of_kind = _KINDS.get(kind, _Kind(kind, _OTHERS))
    ramp = LinearSegmentedColormap.from_list("", list(of_kind.ramp))
    if not value > 0:  # NaN for a kind without values
        return to_hex(ramp(0.5))
    values = of_kind.values
    known = np.log([values[0] / 30, *values, values[-1] * 30])
    places = [0, *np.linspace(0.15, 0.85, len(values)), 1]
    return to_hex(ramp(float(np.interp(np.log(value), known, places))))


def objective_colors(rows: pd.DataFrame) -> dict[str, str]:
    """Color by row, of a frame with `row, objective, value`."""
    lines = rows[["row", "objective", "value"]].itertuples(index=False)
    return {str(row): objective_color(str(kind), float(value)) for row, kind, value in lines}


def objective_styles(rows: pd.DataFrame) -> dict[str, LineStyle]:
    """Names and colors by family; `rows` as `objective_rows` has them."""
    names, colors = objective_names(rows, math=True), objective_colors(rows)
    return {row: LineStyle(names[row], color) for row, color in colors.items()}


def label_colors(labels: Iterable[str], taken: Collection[str] = ()) -> dict[str, str]:
    """Colors of labels that no table knows, each by its letters alone: the same in every figure.

    Where that color is `taken`, or has gone to an earlier label, a label gets the next free one.
    """
    colors, found = [*CYCLE, *_FURTHER], dict[str, str]()
    for label in sorted(set(labels)):
        first = crc32(label.encode()) % len(colors)
        order = [*colors[first:], *colors[:first]]
        used = {*taken, *found.values()}
        found[label] = next((color for color in order if color not in used), order[0])
    return found
