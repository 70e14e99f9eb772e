"""`collect`: run directories -> three tables that stand for them and are small enough to keep."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from analysis.cli import Command, Output, integer_from
from analysis.drawing import text
from analysis.errors import AnalysisError
from analysis.runs import collected
from analysis.runs.collected import Entry
from analysis.runs.load import MISSING, Run, found_twice, load_sweep, read_columns
from repro.runs import store


def gather(directories: Sequence[Path]) -> list[Run]:
    """The runs of all `directories` in the order of their ids.

    A run that one directory expects and another holds is one run.

    Raises:
        AnalysisError: for a run that two of them hold, and as `load_sweep`.
    """
    runs: dict[str, Run] = {}
    for directory in directories:
        for run in load_sweep(directory).runs:
            other = runs.get(run.run_id)
            runs[run.run_id] = run if other is None else _one(other, run)
    return [run for _, run in sorted(runs.items())]


def _one(first: Run, second: Run) -> Run:
    if first.directory and second.directory:
        raise found_twice(first, second)
    held = first if first.directory else second
    return replace(held, listed=first.listed or second.listed)


def tables(runs: Sequence[Run], kept: int) -> dict[str, bytes]:
    """The files that stand for `runs`, by name.

    Args:
        runs: in the order in which they are numbered.
        kept: rows of progress to keep for each run.

    Raises:
        AnalysisError: for a damaged table, or runs that are collected already.
    """
    entries = [
        Entry(number, run.listed, run.directory is not None, run.info, run.config)
        for number, run in enumerate(runs)
    ]
    ended = [run for run in runs if collected.has_tables(run.directory is not None, run.info)]
    numbers = {run.run_id: entry.number for run, entry in zip(runs, entries, strict=True)}
    episodes = {numbers[run.run_id]: _table(run, "episodes", store.EPISODES) for run in ended}
    progress = {numbers[run.run_id]: _table(run, "progress", store.PROGRESS) for run in ended}
    return collected.encode(entries, episodes, progress, kept)


def _table(run: Run, name: str, columns: Iterable[str]) -> pd.DataFrame:
    assert run.directory is not None
    if run.collected is not None:
        raise AnalysisError(
            f"{run.directory} is collected already: give --runs the run directories behind it."
        )
    return read_columns(run.directory / f"{name}.parquet", list(columns))


def _run(options: argparse.Namespace) -> Output:
    runs = gather(options.runs)
    files = tables(runs, options.progress_rows)
    return Output(files, _text(runs, files))


def _text(runs: Sequence[Run], files: dict[str, bytes]) -> str:
    counts = Counter(run.status for run in runs)
    order = (store.DONE, store.FAILED, store.PREEMPTED, store.RUNNING, MISSING)
    states = ", ".join(f"{counts[status]} {status}" for status in order if counts[status])
    size = sum(len(content) for content in files.values()) / 1e6
    done = text.of(counts[store.DONE], len(runs))
    return f"{done} runs are done ({states}); {size:.1f} MB."


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--runs",
        type=Path,
        required=True,
        nargs="+",
        metavar="DIR",
        help="directories that hold run directories",
    )
    parser.add_argument(
        "--progress-rows",
        type=integer_from(2),
        default=collected.KEPT,
        help="iterations of each run to keep: the first, the last and evenly spaced ones",
    )


COMMAND = Command(
    "collect",
    "run directories as three tables, which every other command takes in their place",
    _add_arguments,
    _run,
)
