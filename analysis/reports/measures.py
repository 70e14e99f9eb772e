"""`measures`: what policies do on the humanoid tasks, beside a random and an untrained policy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from analysis import cli
from analysis.drawing import notes, tables
from analysis.drawing.text import Line, amount, blank, of
from analysis.errors import AnalysisError
from analysis.published.files import read_csv
from analysis.runs.load import load_sweep, read_evaluations
from analysis.runs.run import Run
from repro.runs import store

RANDOM = "random_humanoids.csv"
UP_LIMIT = 5.0  # s; getting up later does not count
MEANS, SUMS = ("speed", "flags"), ("hits", "withstood")
NUMBERS = ("return", "length", *MEANS, "ground_starts", "got_up", "up_seconds", *SUMS)
COLUMNS = ("task", "policy", "episodes", *NUMBERS)


def build(runs: Sequence[Run], reference: Path) -> pd.DataFrame:
    """`COLUMNS`: of each task the policies of `RANDOM`, then of each run the last evaluation.

    Raises:
        AnalysisError: for a run without such an evaluation, or a damaged file.
    """
    trained = pd.DataFrame([_line(run) for run in runs])
    random = read_csv(reference / RANDOM, *COLUMNS)
    random = random[random["task"].isin(set(trained["task"]))]
    table = pd.concat([random, trained], ignore_index=True).reindex(columns=list(COLUMNS))
    return table.sort_values("task", kind="stable", ignore_index=True)


def _line(run: Run) -> dict[str, object]:
    found = read_evaluations(run)
    last = found[found["evaluation"] == found["evaluation"].max()]
    if last.empty or last["measures"].isna().any():
        raise AnalysisError(
            f"{run.run_id} has no evaluation with measures: python -m repro.evaluate "
            f"{run.directory}, which only env=humanoid* measures."
        )
    measured = pd.DataFrame([json.loads(text) for text in last["measures"]]).astype(float)
    line: dict[str, object] = {
        "task": run.task,
        "policy": f"PPO, {run.steps / 1e6:.1f}M steps, seed {run.info['seed']}",
        "episodes": len(last),
        "return": last["return"].mean(),
        "length": last["length"].mean(),
    }
    line |= {name: measured[name].mean() for name in MEANS if name in measured}
    line |= {name: measured[name].sum() for name in SUMS if name in measured}
    if "up_seconds" in measured:
        times = measured.loc[measured["on_ground"] > 0, "up_seconds"]
        up = times <= UP_LIMIT
        seconds = times[up].mean() if up.any() else np.nan
        line |= {"ground_starts": len(times), "got_up": up.sum(), "up_seconds": seconds}
    return line


def _share(part: str, whole: str, line: Line) -> str:
    return "" if pd.isna(line[whole]) else of(int(line[part]), int(line[whole]))


@cli.command("measures", cli.DIRECTORIES, cli.REFERENCE)
def command(given: cli.Given) -> cli.Output:
    """What policies do on the humanoid tasks: run, reach flags, get up, withstand cubes."""
    runs = [run for run in load_sweep(*given.runs).runs if run.status == store.DONE]
    if not runs:
        raise AnalysisError("There is no run that is done: train one and evaluate it.")
    table = build(runs, given.reference)
    columns: tables.Columns = {
        "Task": lambda line: line["task"].removeprefix("repro/"),
        "Policy": "policy",
        "Episodes": lambda line: str(int(line["episodes"])),
        "Return": lambda line: amount(line["return"]),
        "Steps": lambda line: f"{line['length']:.0f}",
        "Speed (m/s)": lambda line: blank(line["speed"], ".2f"),
        "Flags": lambda line: blank(line["flags"], ".2f"),
        "Got up": lambda line: _share("got_up", "ground_starts", line),
        "after (s)": lambda line: blank(line["up_seconds"], ".2f"),
        "Withstood": lambda line: _share("withstood", "hits", line),
    }
    remarks = [
        "Means over the episodes of an evaluation with sampled actions. Uniform: uniform in the "
        "action box. Untrained: the policy before its first update.",
        f"Got up: starts on the ground after which the torso rose above 0.78 m within {UP_LIMIT:g} "
        "s and stayed there for 0.5 s. Withstood: cubes that hit, and after which the torso stayed "
        "above 0.78 m for 1 s.",
        *notes.provenance(runs),
    ]
    text = tables.report("What the policies do", tables.of(table, "llr", columns), remarks)
    return cli.Output({"measures.csv": table, "measures.md": text}, text)
