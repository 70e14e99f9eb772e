"""Film 6: one step in the parameters is many steps in policies."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from analysis.reports.explain.numbers import read
from animations.script import Line, Script, rounded

TASKS = {
    "Reacher-v4": "Reacher",
    "InvertedPendulum-v4": "Inverted pendulum",
    "InvertedDoublePendulum-v4": "Double pendulum",
}
ROWS = ("none", "clip_0.2")


def kl(results: Path) -> dict[float, float]:
    """KL of the step by standard deviation of the Gaussian."""
    table = read(results / "explain", "motivation")
    table = table[table["policy"] == "gaussian"]
    return dict(zip(table["at"], table["kl"], strict=True))


def updates(results: Path) -> pd.DataFrame:
    """Median `kl` of an update, in nats, and `std` of the actions by task and row of Table 1."""
    table = pd.read_csv(results / "table1" / "updates.csv")
    table = table[table["task"].isin(TASKS) & table["row"].isin(ROWS)]
    return table.set_index(["task", "row"])[["kl", "std"]]


def script(results: Path) -> Script:
    """From `python -m repro.explain motivation`, and the runs of Table 1."""
    table = read(results / "explain", "motivation_densities")
    wide, narrow = table["sigma"].max(), table["sigma"].min()
    step = float(read(results / "explain", "motivation").query("policy == 'gaussian'")["step"][0])
    found, medians = kl(results), updates(results)
    moved = medians["kl"]
    sigmas = sorted({rounded(x, 1) for x in medians.xs("none", level="row")["std"]})
    times = found[narrow] / found[wide]
    free = [rounded(x) for x in sorted(moved.xs("none", level="row"))]
    held = [rounded(x) for x in sorted(moved.xs("clip_0.2", level="row"))]
    labels = {
        "step": f"step {step:g}",
        "wide": f"σ = {wide:g}",
        "narrow": f"σ = {narrow:g}",
        "kl_wide": f"KL = {rounded(found[wide], 1)}",
        "kl_narrow": f"KL = {rounded(found[narrow], 1)}",
        **{f"{task} {row}": rounded(x) for (task, row), x in moved.items()},
    }
    lines = (
        Line(
            f"A step of {step:g} in the mean hardly moves a wide policy.",
            f"A Gaussian policy with a standard deviation of {wide:g}, before and after. "
            f"KL[old, new] = {rounded(found[wide], 1)} nats.",
            5.5,
        ),
        Line(
            f"The same step moves a narrow policy {times:.0f} times as far.",
            f"The same with a standard deviation of {narrow:g}: {rounded(found[narrow], 1)} nats.",
            5.5,
        ),
        Line(
            "So the size of a step in θ does not say how far the policy goes. KL does.",
            "The KL of this one step against the standard deviation of the policy, on logarithmic "
            "scales: a falling line.",
            6.5,
        ),
        Line(
            f"PPO without clipping: σ falls to {' or '.join(sigmas)}, an update moves {free[0]} "
            f"to {free[-1]} nats.",
            "Table 1, a million steps, medians of the second half: "
            + ", ".join(f"{TASKS[t]} {rounded(moved[t, 'none'])}" for t in TASKS)
            + " nats.",
            7.0,
        ),
        Line(
            f"With clipping at 0.2, it is {held[0]} to {held[-1]}.",
            "The same with clipping: "
            + ", ".join(f"{TASKS[t]} {rounded(moved[t, 'clip_0.2'])}" for t in TASKS)
            + " nats.",
            6.0,
        ),
    )
    sources = (
        *("explain/motivation.csv", "explain/motivation_densities.csv"),
        "table1/updates.csv",
    )
    return Script("motivation", "Why step sizes mislead", lines, labels, sources)
