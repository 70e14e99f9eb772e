"""`figure3`: every algorithm on every task, beside the paper's curves, in a picture and tables."""

from __future__ import annotations

import argparse

import pandas as pd

from analysis.cli import (
    Command,
    Output,
    add_bootstrap_arguments,
    add_reference_argument,
    add_runs_arguments,
    add_scale_arguments,
    integer_from,
)
from analysis.drawing import text as render
from analysis.reports import curves
from analysis.reports.algorithms import entry_key, ordered
from analysis.reports.comparison import (
    add_objective_argument,
    check_entries,
    compared_sweep,
    entry_frame,
)
from analysis.reports.figure3 import figure, numbers
from analysis.reports.figure3 import text as figure3_report
from analysis.runs.load import Sweep


def _run(options: argparse.Namespace) -> Output:
    sweep = compared_sweep(options)
    check_entries(sweep.runs)
    keys = ordered(map(entry_key, sweep.runs))
    references = numbers.read_references(options.reference, keys, options.random)
    step = int(sweep.runs[0].info["total_timesteps"])
    runs = entry_frame(sweep.runs, options.episodes)
    found = numbers.build(runs, step, references, options)
    lines = _curves(sweep, options)
    report = figure3_report.markdown(found, sweep, options)
    files = {
        "figure3.png": figure.figure(lines, references.paper, options.episodes),
        "figure3.csv": render.csv(found.tasks),
        "figure3.md": (report + "\n").encode(),
        "figure3_aggregates.csv": render.csv(found.aggregates),
        "figure3_orders.csv": render.csv(found.orders),
        "figure3_curves.csv": render.csv(lines),
    }
    return Output(files, report)


def _curves(sweep: Sweep, options: argparse.Namespace) -> pd.DataFrame:
    """`curves.COLUMNS`, the labels being entries."""
    lines, _ = curves.build(sweep.runs, entry_key, options.points, options.episodes)
    tables = [curves.line_table(line, options.replicates, options.seed) for line in lines]
    return pd.concat(tables, ignore_index=True)[list(curves.COLUMNS)]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_runs_arguments(parser)
    add_objective_argument(parser)
    add_bootstrap_arguments(parser)
    add_scale_arguments(parser)
    add_reference_argument(parser)
    parser.add_argument("--points", type=integer_from(2), default=100, help="steps on the grid")


COMMAND = Command(
    "figure3",
    "the paper's Figure 3: PPO and the algorithms it is compared with",
    _add_arguments,
    _run,
)
