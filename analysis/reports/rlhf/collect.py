"""What `rlhf` reads of run directories, in five tables that are small enough to keep.

    DIR/runs.parquet       one row a run
    DIR/progress.parquet   every measured iteration of the policies; the last of reward models
    DIR/best_of_n.parquet  whole
    DIR/positions.parquet  of the last iteration
    DIR/samples.parquet    the responses that the report can show
    DIR/SHA256SUMS         their sums

`run` joins them, nothing is rounded, and the report is the same to the last bit.
"""

from __future__ import annotations

import json

import pandas as pd

from analysis.reports.rlhf import cells, numbers
from analysis.reports.rlhf.numbers import Numbers
from analysis.runs import collected
from analysis.runs.load import read_rows
from repro.runs import language, store
from repro.runs.language import Schema

_TEXT = ("run_id", "stage", "status", "started_at", "finished_at", "git_revision", "digest")
_RUN: Schema = {"run": ("int32", "number of the run in all tables")}
RUNS: Schema = _RUN | {
    "listed": ("bool", "whether a sweep.json expected it"),
    **{name: ("string", "as in run.json; null where it has none") for name in _TEXT},
    "run_json": ("string", "run.json whole; of a run never started, its entry in sweep.json"),
}
_MEASURES = {name: language.POLICY[name] for name in ("iteration", *cells.MEASURES)}
_REWARD = {name: language.REWARD[name] for name in numbers.REWARD_MEASURES}
_SAMPLES = ("iteration", "episode", "position", "token", "kl", "advantage", "gold", "proxy")
TABLES: dict[str, Schema] = {
    "progress": _RUN | _MEASURES | _REWARD,
    "best_of_n": _RUN | language.BEST_OF_N,
    "positions": _RUN | language.POSITIONS,
    "samples": _RUN | {name: language.SAMPLES[name] for name in _SAMPLES},
}


def files(found: Numbers, shown: int) -> dict[str, bytes]:
    """The tables by name, of all runs that `found` was made of; `shown` responses a moment."""
    parts: dict[str, dict[int, pd.DataFrame]] = {name: {} for name in TABLES}
    policies = {run.info["run_id"]: run for run in found.runs}
    for number, each in enumerate(found.stored):
        if each.status != store.DONE:
            continue
        stage, run = each.info["stage"], policies.get(each.info["run_id"])
        if run:
            parts["progress"][number] = numbers.measured(run.table("progress"))
            parts["positions"][number] = numbers.last_positions(run)
            rows, moments = run.table("samples"), numbers.moments(run).values()
            chosen = rows["iteration"].isin(list(moments)) & (rows["episode"] < shown)
            parts["samples"][number] = rows[chosen]
        elif stage == "reward":
            parts["progress"][number] = read_rows(each, "progress").tail(1)
        elif stage == "best_of_n":
            parts["best_of_n"][number] = read_rows(each, "best_of_n")
    lines = [
        {"run": number, "listed": run.listed, "run_json": json.dumps(run.info)}
        | {name: run.info.get(name) for name in _TEXT}
        for number, run in enumerate(found.stored)
    ]
    joined = {name: (collected.joined(parts[name], of), of) for name, of in TABLES.items()}
    runs = {name: [line[name] for line in lines] for name in RUNS}
    return collected.files({"runs": (runs, RUNS), **joined})
