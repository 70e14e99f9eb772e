"""`reading`: Table 1 beside the paper, statement by statement, with a probability for each."""

from __future__ import annotations

import argparse
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from analysis.cli import (
    Command,
    Output,
    add_bootstrap_arguments,
    add_reference_argument,
    add_runs_arguments,
    add_scale_arguments,
)
from analysis.drawing import text as render
from analysis.published.paper import RANDOM_POLICIES, paper_table1, ppo_elsewhere, random_returns
from analysis.reports.pilot import command as pilot
from analysis.reports.pilot.command import Pilot
from analysis.reports.reading import claims
from analysis.reports.reading import text as reading_text
from analysis.reports.table1 import command as table1
from analysis.reports.table1.command import Table1
from analysis.runs.load import Sweep, frame, load_sweep
from analysis.runs.selection import check_table, selected_sweep, task_name
from analysis.statistics.scoring import BEST

PPO = "clip_0.2"  # what the paper and others call PPO


@dataclass(frozen=True)
class Reading:
    """All numbers of the reading.

    Attributes:
        tables: Table 1 by convention (best, random), the main one first.
        claims: what `claims.claims` says of each.
        ppo: one line a task and source: `task, source, kind, version, steps, measure, return,
            spread, ci_low, ci_high`; the last two for our own runs alone.
        pilot: scores under other switches, or None.
    """

    tables: Mapping[tuple[str, str], Table1]
    claims: Mapping[tuple[str, str], Mapping[str, Any]]
    ppo: pd.DataFrame
    pilot: Pilot | None


def build(
    runs: pd.DataFrame,
    reference: Path,
    main: tuple[str, str] = ("run", "gaussian"),
    count: int = 2000,
    seed: int = 0,
    trial: Pilot | None = None,
) -> Reading:
    """Score `runs` (see `load.frame`) under every convention, and ask each table the same.

    Args:
        runs: expected runs with their returns.
        reference: directory of the paper's and others' numbers.
        main: what is 1 and what is 0 in the main table.
        count: bootstrap replicates.
        seed: of the bootstrap.
        trial: runs under other switches of the recipe.
    """
    paper = paper_table1(reference)
    conventions = [main, *((b, r) for r in RANDOM_POLICIES for b in BEST if (b, r) != main)]
    tables = {
        (best, random): table1.build(
            runs, paper, random_returns(reference, random), best, count, seed
        )
        for best, random in conventions
    }
    answers = {key: claims.claims(table, count, seed) for key, table in tables.items()}
    return Reading(tables, answers, _ppo(tables[main], ppo_elsewhere(reference)), trial)


def _ppo(table: Table1, others: pd.DataFrame) -> pd.DataFrame:
    """Our clip 0.2, then the others, of the tasks that were run."""
    ours = table.tasks[table.tasks["row"] == PPO]
    mine = pd.DataFrame(
        {
            "task": [task_name(str(task)) for task in ours["task"]],
            "source": reading_text.OURS,
            "kind": "ours",
            "version": [str(task).rpartition("-")[2] for task in ours["task"]],
            "return": ours["return"].to_numpy(float),
            "ci_low": ours["ci_low"].to_numpy(float),
            "ci_high": ours["ci_high"].to_numpy(float),
        }
    )
    there = others[others["task"].isin(mine["task"])]
    columns = [*others.columns, "ci_low", "ci_high"]
    return pd.concat([mine, there], ignore_index=True)[columns]


def as_values(reading: Reading) -> dict[str, Any]:
    """The whole reading for `reading.json`."""
    rows = next(iter(reading.tables.values())).rows
    return {
        "rows": [_values(line) for line in rows.to_dict("records")],
        "conventions": [
            {"best": best, "random": random, **answers}
            for (best, random), answers in reading.claims.items()
        ],
        "ppo_by_task": {
            task: reading_text.beside(reading.ppo, task)
            for task in dict.fromkeys(reading.ppo["task"])
        },
        "switches": None
        if reading.pilot is None
        else [_values(line) for line in reading.pilot.scores.to_dict("records")],
    }


def _values(line: Mapping[Hashable, Any]) -> dict[str, Any]:
    return {
        str(key): value.item() if isinstance(value, np.generic) else value
        for key, value in line.items()
    }


def _run(options: argparse.Namespace) -> Output:
    sweep = selected_sweep(options)
    check_table(sweep.runs)
    trial = None
    if options.pilot is not None:
        trial = pilot.from_sweep(pilot.placed(load_sweep(options.pilot)), (), options)
    main = (options.best, options.random)
    runs = frame(sweep.runs, options.episodes)
    reading = build(runs, options.reference, main, options.replicates, options.seed, trial)
    return _output(reading, sweep, options)


def _output(reading: Reading, sweep: Sweep, options: argparse.Namespace) -> Output:
    text = reading_text.markdown(reading, sweep, options)
    files = {
        "reading.md": (text + "\n").encode(),
        "reading.json": render.json(as_values(reading)),
        "ppo_by_task.csv": render.csv(reading.ppo),
    }
    return Output(files, text)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_runs_arguments(parser)
    add_bootstrap_arguments(parser)
    add_reference_argument(parser)
    add_scale_arguments(parser)
    parser.add_argument(
        "--pilot",
        type=Path,
        metavar="DIR",
        help="runs under other switches of the recipe, shown beside",
    )


COMMAND = Command(
    "reading", "the paper's statements on Table 1, each with its probability", _add_arguments, _run
)
