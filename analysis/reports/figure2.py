"""`figure2`: surrogates on the line from the old to the new parameters, beside the paper's."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from analysis import cli
from analysis.drawing.style import INK, MUTED, PAPER
from analysis.errors import AnalysisError
from analysis.published.paper import paper_figure2
from analysis.runs.load import read_rows
from analysis.runs.run import Run, Sweep, hole_of
from repro.runs import store

_FILE = "interpolation.parquet"
# column -> (label, color)
_CURVES = {
    "kl": (r"$E\,[\,\mathrm{KL}(\theta_{\mathrm{old}}, \theta)]$", "#D55E00"),
    "l_cpi": (r"$L^{\mathrm{CPI}} = E\,[\,r A\,]$", "#0072B2"),
    "l_clipped_ratio": (r"$E\,[\,\mathrm{clip}(r, 1-\epsilon, 1+\epsilon)\,A\,]$", "#009E73"),
    "l_clip": (r"$L^{\mathrm{CLIP}} = E\,[\min(r A,\, \mathrm{clip}(r) A)]$", "#CC79A7"),
}


def checks(curves: pd.DataFrame) -> dict[str, bool]:
    """The shape of the paper's Figure 2: what its caption says, with room for another seed.

    Args:
        curves: the columns of `store.INTERPOLATION`, with x from below 0 to above 1.

    Returns:
        Whether the curves have each of three properties, which are named with what was found.
    """
    table = curves.sort_values("x")
    excess = float((table["l_clip"] - table["l_cpi"]).max())
    top = float(table["x"].to_numpy()[int(np.argmax(table["l_clip"].to_numpy()))])
    kl = float(np.interp(1.0, table["x"], table["kl"]))
    # The two means may be summed in different orders: equality is good to rounding only.
    return {
        f"L_CLIP <= L_CPI everywhere: largest L_CLIP - L_CPI is {excess:.2g}": excess <= 1e-6,
        f"L_CLIP has its maximum at x in [0.8, 1.3]: x = {top:.3g}": 0.8 <= top <= 1.3,
        f"KL at x = 1 is in [0.005, 0.05]: KL = {kl:.3g}": 0.005 <= kl <= 0.05,
    }


def build(sweep: Sweep) -> tuple[Run, pd.DataFrame]:
    """The one run that recorded an interpolation, and its curves.

    Raises:
        AnalysisError: without such a run, with several, or when its table is damaged.
    """
    found = [run for run in sweep.runs if run.directory and (run.directory / _FILE).is_file()]
    if not found:
        raise AnalysisError(
            f"No run there holds an {_FILE}: make one with python -m repro +experiment=figure2."
        )
    if len(found) > 1:
        raise AnalysisError(
            f"Several runs hold an {_FILE} ({', '.join(run.run_id for run in found)}): "
            "choose one with --where, such as --where seed=0."
        )
    run = found[0]
    assert run.directory is not None
    if hole := hole_of(run):
        raise AnalysisError(f"{run.run_id} cannot be shown: it {hole}.")
    table = read_rows(run, "interpolation", store.INTERPOLATION)
    if len(table) < 2 or table.isna().to_numpy().any():
        raise AnalysisError(f"{run.directory / _FILE} has gaps: run that configuration again.")
    return run, table.sort_values("x", ignore_index=True)


def figure(curves: pd.DataFrame, paper: pd.DataFrame, title: str) -> Figure:
    """Four curves against x, the paper's points in the same colors but hollow."""
    drawing = Figure(figsize=(7.6, 4.6))
    axes = drawing.add_subplot()
    for column, (label, color) in _CURVES.items():
        axes.plot(curves["x"], curves[column], color=color, linewidth=2, label=label)
        axes.plot(paper["x"], paper[column], **{**PAPER, "markeredgecolor": color, "markersize": 5})
    for place in (0, 1):
        axes.axvline(place, color=INK, linestyle=":", linewidth=1.2)
    axes.axhline(0, color=MUTED, linewidth=0.8)
    axes.plot([], [], **{**PAPER, "markersize": 5}, label="the paper, digitized")
    axes.set_xlabel(
        r"$x$, in $\theta = \theta_{\mathrm{old}} + x\,(\theta_{\mathrm{new}} - "
        r"\theta_{\mathrm{old}})$"
    )
    axes.set_ylabel("objective, or nats (KL)")
    axes.set_title(title)
    drawing.legend(loc="outside lower center", ncols=2)
    return drawing


@cli.command("figure2", cli.RUNS, cli.REFERENCE)
def command(given: cli.Given) -> cli.Output:
    """The paper's Figure 2: surrogates between old and new parameters."""
    run, curves = build(given.sweep)
    paper = paper_figure2(given.reference)
    title = f"Figure 2: surrogates along the first update, {run.task}, seed {run.info['seed']}"
    found = [f"{'PASS' if ok else 'FAIL'}  {name}" for name, ok in checks(curves).items()]
    text = "\n".join([title, *found])
    files: cli.Files = {"figure2.png": lambda: figure(curves, paper, title), "figure2.csv": curves}
    return cli.Output(files, text)
