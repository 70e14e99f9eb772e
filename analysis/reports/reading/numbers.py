"""The reading in numbers: Table 1 under every convention, what each says, and PPO elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.published.paper import ppo_elsewhere, task_name
from analysis.reports.pilot.numbers import Pilot
from analysis.reports.reading.claims import claims
from analysis.reports.table1 import numbers as table1
from analysis.reports.table1.numbers import Table1
from analysis.runs.load import frame
from analysis.runs.run import Sweep
from analysis.runs.selection import check_table
from analysis.settings import BEST, DEFAULTS, RANDOM_POLICIES, Settings

PPO = "clip_0.2"  # what the paper and others call PPO
OURS = "here"


@dataclass(frozen=True)
class Reading:
    """All numbers of the reading."""

    tables: Mapping[tuple[str, str], Table1]  # by convention (best, random), the main one first
    claims: Mapping[tuple[str, str], Mapping[str, Any]]  # what `claims.claims` says of each
    # One line a task and source: `task, source, kind, version, steps, measure, return, spread,
    # ci_low, ci_high`; the last two for our own runs alone.
    ppo: pd.DataFrame
    pilot: Pilot | None = None  # scores under other switches


def build(sweep: Sweep, settings: Settings = DEFAULTS, pilot: Pilot | None = None) -> Reading:
    """Score the runs of a Table 1 under every convention, and ask each table the same.

    The table of `settings` comes first; `pilot` has runs under other switches of the recipe.

    Raises:
        AnalysisError: for runs that differ in more than objective, task and seed.
    """
    check_table(sweep.runs)
    return score(frame(sweep.runs, settings.episodes), settings, pilot)


def score(runs: pd.DataFrame, settings: Settings, pilot: Pilot | None = None) -> Reading:
    """The reading of `runs` (see `load.frame`)."""
    main = (settings.best, settings.random)
    every = dict.fromkeys([main, *((b, r) for r in RANDOM_POLICIES for b in BEST)])
    tables = {(b, r): table1.score(runs, replace(settings, best=b, random=r)) for b, r in every}
    answers = {key: claims(table) for key, table in tables.items()}
    return Reading(tables, answers, _ppo(tables[main], ppo_elsewhere(settings.reference)), pilot)


def _ppo(table: Table1, others: pd.DataFrame) -> pd.DataFrame:
    """Our clip 0.2, then the others, of the tasks that were run."""
    ours = table.tasks.loc[table.tasks["row"] == PPO, ["task", "return", "ci_low", "ci_high"]]
    version = ours["task"].str.rpartition("-")[2]
    mine = ours.assign(task=ours["task"].map(task_name), version=version, source=OURS, kind="ours")
    there = others[others["task"].isin(mine["task"])]
    return pd.concat([mine, there], ignore_index=True)[[*others.columns, "ci_low", "ci_high"]]


def as_values(reading: Reading) -> dict[str, Any]:
    """The whole reading for `reading.json`."""
    rows = next(iter(reading.tables.values())).rows
    tasks = dict.fromkeys(reading.ppo["task"])
    return {
        "rows": rows.to_dict("records"),
        "conventions": [
            {"best": best, "random": random, **answers}
            for (best, random), answers in reading.claims.items()
        ],
        "ppo_by_task": {task: beside(reading.ppo, task) for task in tasks},
        "switches": None if reading.pilot is None else reading.pilot.scores.to_dict("records"),
    }


def beside(ppo: pd.DataFrame, task: str) -> dict[str, Any]:
    """Our return in a task, the range of the sources of the `same` kind, and whether it is inside.

    Inside means that our interval and the range have something in common.
    """
    mine = ppo[(ppo["task"] == task) & (ppo["kind"] == "ours")].iloc[0]
    same = ppo.loc[(ppo["task"] == task) & (ppo["kind"] == "same"), "return"].astype(float)
    found = {key: float(mine[key]) for key in ("return", "ci_low", "ci_high")}
    lowest, highest = float(same.min()), float(same.max())
    inside = found["ci_low"] <= highest and found["ci_high"] >= lowest
    known = not same.empty and not np.isnan(found["ci_low"])
    spread = {"lowest": lowest, "highest": highest, "sources": len(same)}
    return found | spread | {"inside": inside if known else None}
