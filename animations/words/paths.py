"""Film 9: three algorithms on one landscape."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from analysis.reports.explain.numbers import read
from animations.script import Line, Script, rounded

STARTS = ("flat", "cliff")
ALGORITHMS = ("vpg_0.1", "vpg_3", "trpo", "ppo")
FIGURE3 = {"ppo": "PPO", "trpo": "TRPO", "vpg": "Plain gradient"}


def divergences(results: Path) -> pd.DataFrame:
    """`algorithm, start, iteration, value`: KL of each update, mean over seeds, in nats."""
    table = read(results / "explain", "paths")
    return table[table["measure"] == "kl"]


def figure3(results: Path) -> pd.DataFrame:
    """`iqm, iqm_low, iqm_high` by algorithm, over tasks and seeds."""
    table = pd.read_csv(results / "figure3_medium" / "figure3_aggregates.csv")
    return table.set_index("algorithm").loc[list(FIGURE3)]


def script(results: Path) -> Script:
    """From `python -m repro.explain paths`, and the runs of Figure 3."""
    kl = divergences(results).groupby("algorithm")["value"].agg(["min", "max"])
    seeds = read(results / "explain", "paths_seeds")
    last = seeds["iteration"].max()
    ends = seeds.query("measure == 'return' and iteration == @last")
    ends = ends.set_index(["algorithm", "start", "seed"])["value"]
    returns = ends.groupby(["algorithm", "start"]).mean()
    fates = sorted(ends["vpg_3", "cliff"])
    span = {name: " to ".join(rounded(x) for x in kl.loc[name]) for name in ALGORITHMS}
    scores = figure3(results)
    labels = {
        **{f"kl_{name}": f"KL {span[name]}" for name in ALGORITHMS},
        **{
            f"end_{name}": "return " + ", ".join(f"{returns[name, x]:.0f}" for x in STARTS)
            for name in ALGORITHMS
        },
        **{f"score_{name}": f"{scores['iqm'][name]:.2f}" for name in FIGURE3},
    }

    def picture(name: str) -> str:
        both = " and ".join(f"{returns[name, start]:.0f} from {start}" for start in STARTS)
        return (
            f"Two paths of {last} updates on the landscape, and the KL of each update, "
            f"{span[name]} nats. Returns at the end, means of 3 seeds: {both}."
        )

    lines = (
        Line(
            "A policy with two gains balances a pole: darker is a higher return.",
            "Returns measured on a grid of gains, with a plateau of high ones and cliffs around "
            "it. Two starts are marked.",
            6.0,
        ),
        Line(
            "Plain gradient, small steps: they happen to suit here. Who knew the size?",
            picture("vpg_0.1"),
            6.5,
        ),
        Line(
            f"30 times larger: from one start, three seeds end at {fates[0]:.0f}, "
            f"{fates[1]:.0f} and {fates[2]:.0f}.",
            picture("vpg_3") + " Here each seed has a path of its own.",
            7.0,
        ),
        Line(
            f"TRPO bounds the KL itself: at most {rounded(kl['max']['trpo'])} from both starts.",
            picture("trpo"),
            6.0,
        ),
        Line(
            f"PPO only clips ratios, and stays at most {rounded(kl['max']['ppo'])}.",
            picture("ppo"),
            6.0,
        ),
        Line(
            "Three MuJoCo tasks, 307,200 steps: PPO is ahead.",
            "Normalized returns, interquartile means over 3 tasks and 3 seeds with 95 % "
            "intervals: "
            + ", ".join(f"{FIGURE3[name]} {scores['iqm'][name]:.2f}" for name in FIGURE3)
            + ".",
            6.5,
        ),
    )
    sources = (
        *("explain/paths_grid.csv", "explain/paths.csv", "explain/paths_seeds.csv"),
        "figure3_medium/figure3_aggregates.csv",
    )
    return Script("paths", "Three ways to take a step", lines, labels, sources)
