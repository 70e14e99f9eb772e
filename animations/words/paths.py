"""Film 9: three algorithms on one landscape."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from analysis.reports.explain.numbers import read
from animations.script import Line, Script, rounded

STARTS = ("flat", "cliff")
ALGORITHMS = ("vpg_0.1", "vpg_3", "trpo", "ppo")
NAMED = {"flat": "A", "cliff": "B"}  # the starts, on the screen
FIGURE3 = {"ppo": "PPO", "trpo": "TRPO", "vpg": "VPG, adaptive"}


def divergences(results: Path) -> pd.DataFrame:
    """`algorithm, start, seed, iteration, value`: KL of each update, in nats."""
    table = read(results / "explain", "paths_seeds")
    return table[table["measure"] == "kl"]


def figure3(results: Path) -> pd.DataFrame:
    """`iqm`, `ppo_better` and their intervals by algorithm, over tasks and seeds."""
    table = pd.read_csv(results / "figure3_medium" / "figure3_aggregates.csv")
    return table.set_index("algorithm").loc[list(FIGURE3)]


def script(results: Path) -> Script:
    """From `python -m repro.explain paths`, and the runs of Figure 3."""
    kl = divergences(results).groupby("algorithm")["value"].agg(["min", "max"])
    seeds = read(results / "explain", "paths_seeds")
    last = seeds["iteration"].max()
    ends = seeds.query("measure == 'return' and iteration == @last")
    ends = ends.set_index(["algorithm", "start", "seed"])["value"].sort_index()
    returns = ends.groupby(["algorithm", "start"]).mean()
    fates = sorted(ends.xs(("vpg_3", "cliff")))
    span = {name: "–".join(rounded(x) for x in kl.loc[name]) for name in ALGORITHMS}
    scores = figure3(results)
    begin = seeds.query("measure == 'return' and iteration == 0").groupby("start")["value"].mean()
    highest = read(results / "explain", "paths_grid")["value"].max()
    labels = {
        "start": "return: " + ", ".join(f"{NAMED[x]} {begin[x]:.0f}" for x in STARTS),
        "highest": f"{highest:.0f}",
        **{f"kl_{name}": f"KL {span[name]}" for name in ALGORITHMS},
        **{
            f"end_{name}": "return: "
            + ", ".join(f"{NAMED[x]} {returns[name, x]:.0f}" for x in STARTS)
            for name in ALGORITHMS
        },
        **{f"score_{name}": f"{scores['iqm'][name]:.2f}" for name in FIGURE3},
    }

    def picture(name: str) -> str:
        both = " and ".join(f"{returns[name, start]:.0f} from {NAMED[start]}" for start in STARTS)
        return (
            f"Two paths of {last} updates, means of 3 seeds, and the KL of each update of each "
            f"seed, {span[name]} nats. Mean returns at the end: {both}."
        )

    lines = (
        Line(
            "A policy with two gains balances a pole. Darker: a higher return.",
            "Returns measured on a grid of gains, with a plateau of high ones and cliffs around "
            "it. Two starts are marked: A where all is flat, B beyond a cliff.",
            6.0,
        ),
        Line(
            "VPG, small steps: KL happens to stay low. Nothing ensures it.",
            picture("vpg_0.1"),
            6.5,
        ),
        Line(
            f"VPG, steps 30 times as large: from B, three seeds end at {fates[0]:.0f}, "
            f"{fates[1]:.0f} and {fates[2]:.0f}.",
            picture("vpg_3") + " Here the paths are those of the seeds; one leaves the picture.",
            7.0,
        ),
        Line(
            f"TRPO bounds the KL of an update: {rounded(kl['max']['trpo'])} nats at most.",
            picture("trpo"),
            6.0,
        ),
        Line(
            f"PPO only clips ratios, and comes close: {rounded(kl['max']['ppo'])} nats at most.",
            picture("ppo"),
            6.0,
        ),
        Line(
            "Over three MuJoCo tasks: "
            + ", ".join(
                f"{text.split(',')[0]} {scores['iqm'][x]:.2f}" for x, text in FIGURE3.items()
            )
            + ".",
            "Normalized returns, interquartile means over 3 tasks and 3 seeds with 95 % "
            "intervals: "
            + ", ".join(f"{FIGURE3[name]} {scores['iqm'][name]:.2f}" for name in FIGURE3)
            + ". A run of PPO beats one of TRPO with probability "
            + f"{scores['ppo_better']['trpo']:.2f}.",
            6.5,
        ),
    )
    sources = (
        *("explain/paths_grid.csv", "explain/paths.csv", "explain/paths_seeds.csv"),
        "figure3_medium/figure3_aggregates.csv",
    )
    return Script("paths", "Three ways to take a step", lines, labels, sources)
