"""`table1`: the paper's Table 1 from runs, beside the paper's own scores, and task by task."""

from __future__ import annotations

import argparse
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

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
from analysis.drawing.style import objective_name
from analysis.published.paper import paper_table1, random_returns
from analysis.reports.table1 import figure
from analysis.reports.table1 import text as table1_notes
from analysis.runs.load import Sweep, frame
from analysis.runs.selection import check_table, selected_sweep
from analysis.statistics.bootstrap import stratified_interval, stream
from analysis.statistics.scoring import Scores, paper_score

COLUMNS = (
    "objective",
    "value",
    "n_runs",
    "n_expected",
    "score",
    "ci_low",
    "ci_high",
    "paper_score",
)
TASK_COLUMNS = (
    "task",
    "objective",
    "value",
    "n_runs",
    "n_expected",
    "return",
    "ci_low",
    "ci_high",
    "score",
    "random",
    "best",
    "note",
)


@dataclass(frozen=True)
class Table1:
    """All of Table 1's numbers.

    Attributes:
        rows: `row` and `COLUMNS`, the paper's rows first.
        tasks: `row` and `TASK_COLUMNS`, one line a task and row that was expected.
        scores: what `paper_score` made of the finished runs.
        runs: `load.frame` of the runs expected.
    """

    rows: pd.DataFrame
    tasks: pd.DataFrame
    scores: Scores
    runs: pd.DataFrame


def build(
    runs: pd.DataFrame,
    paper: pd.DataFrame,
    random: dict[str, float],
    best: str = "run",
    replicates: int = 2000,
    seed: int = 0,
) -> Table1:
    """Score `runs` (see `load.frame`) and put them beside `paper` (see `paper_table1`)."""
    finished = runs.loc[runs["hole"] == "", ["task", "row", "seed", "return"]]
    scores = paper_score(finished, random, best)
    order = _row_order(runs, paper)
    return Table1(
        _rows(order, runs, scores, replicates, seed),
        _tasks(order, runs, scores, replicates, seed),
        scores,
        runs,
    )


def _row_order(runs: pd.DataFrame, paper: pd.DataFrame) -> pd.DataFrame:
    """The paper's rows in its order, then the others by kind and value."""
    others = runs.loc[~runs["row"].isin(paper["row"]), ["row", "objective", "value"]]
    others = others.drop_duplicates("row").sort_values(["objective", "value"], kind="stable")
    if others.empty:
        return paper
    return pd.concat([paper, others.assign(paper_score=float("nan"))], ignore_index=True)


def _rows(
    order: pd.DataFrame, runs: pd.DataFrame, scores: Scores, replicates: int, seed: int
) -> pd.DataFrame:
    expected = runs["row"].value_counts()
    scored = scores.runs.dropna(subset="score")
    averages = scores.rows.set_index("row")["score"]
    lines = []
    for line in order.to_dict("records"):
        row = str(line["row"])
        mine = scored[scored["row"] == row]
        strata = [group.to_numpy(float) for _, group in mine.groupby("task")["score"]]
        interval = stratified_interval(strata, replicates, stream(seed, "row", row))
        lines.append(
            line
            | {
                "n_runs": len(mine),
                "n_expected": int(expected.get(row, 0)),
                "score": averages.get(row, float("nan")),
                "ci_low": interval.low,
                "ci_high": interval.high,
            }
        )
    return pd.DataFrame(lines)[["row", *COLUMNS]]


def _tasks(
    order: pd.DataFrame, runs: pd.DataFrame, scores: Scores, replicates: int, seed: int
) -> pd.DataFrame:
    scales = scores.tasks.set_index("task").to_dict("index")
    lines = []
    for task, of_task in runs.groupby("task"):
        scale = scales.get(str(task), {})
        for line in order.to_dict("records"):
            row = str(line["row"])
            cell = of_task[of_task["row"] == row]
            if cell.empty:
                continue
            done = scores.runs[(scores.runs["task"] == task) & (scores.runs["row"] == row)]
            values = done["return"].to_numpy(float)
            interval = stratified_interval([values], replicates, stream(seed, str(task), row))
            excluded = str(scale.get("excluded", ""))
            lines.append(
                line
                | {
                    "task": task,
                    "n_runs": len(done),
                    "n_expected": len(cell),
                    "return": done["return"].mean(),
                    "ci_low": interval.low,
                    "ci_high": interval.high,
                    "score": done["score"].mean(),
                    "random": scale.get("random", float("nan")),
                    "best": scale.get("best", float("nan")),
                    "note": f"not scored: {excluded}" if excluded else "",
                }
            )
    return pd.DataFrame(lines)[["row", *TASK_COLUMNS]]


def markdown(table: Table1) -> str:
    """Table 1 as Markdown, without title and notes."""
    rows = [
        (
            objective_name(str(line["objective"]), float(line["value"])),
            render.score(line["score"]),
            render.interval(line["ci_low"], line["ci_high"]),
            render.of(line["n_runs"], line["n_expected"]),
            _paper(line["paper_score"]),
        )
        for line in table.rows.to_dict("records")
    ]
    header = ("Objective", "Score", "95 % interval", "Runs", "Paper")
    return render.markdown_table(header, rows, "lrrrr")


def _paper(value: float) -> str:
    return "" if pd.isna(value) else render.score(value)


def latex(table: Table1) -> str:
    """Table 1 as a booktabs tabular."""
    rows = []
    for line in table.rows.to_dict("records"):
        kind, value = str(line["objective"]), float(line["value"])
        name = objective_name(kind, value, math=True)
        numbers = (
            render.score(line["score"]),
            render.interval(line["ci_low"], line["ci_high"]),
            render.of(line["n_runs"], line["n_expected"]),
            _paper(line["paper_score"]),
        )
        cells = [f"${text}$" if "-" in text else text for text in numbers]
        rows.append((name if "$" in name else render.latex_text(name), *cells))
    header = ("Objective", "Score", "95\\,\\% interval", "Runs", "Paper")
    return render.latex_table(header, rows, "lrrrr")


def task_markdown(table: Table1) -> str:
    """Returns, one column a task: mean, interval and n of N in each cell."""
    tasks = sorted(set(table.runs["task"]))
    lines = {(line["task"], line["row"]): line for line in table.tasks.to_dict("records")}
    rows = []
    for line in table.rows.to_dict("records"):
        name = objective_name(str(line["objective"]), float(line["value"]))
        rows.append((name, *(_task_cell(lines.get((task, line["row"]))) for task in tasks)))
    return render.markdown_table(("Objective", *tasks), rows, "l" + "r" * len(tasks))


def _task_cell(line: Mapping[Hashable, Any] | None) -> str:
    if line is None:
        return "not run"
    value, low, high = (float(line[key]) for key in ("return", "ci_low", "ci_high"))
    text = "" if pd.isna(value) else f"{render.amount(value)} "
    between = "" if pd.isna(low) else f"[{render.amount(low)}, {render.amount(high)}] "
    return f"{text}{between}{line['n_runs']}/{line['n_expected']}"


def scale_markdown(table: Table1) -> str:
    """What 0 and 1 are in each task."""
    rows = [
        (
            str(line["task"]),
            render.amount(line["random"]),
            render.amount(line["best"]),
            str(line["best_row"]),
            str(line["excluded"]) and f"not scored: {line['excluded']}",
        )
        for line in table.scores.tasks.to_dict("records")
    ]
    header = ("Task", "Random = 0", "Best = 1", "Best is of", "Note")
    return render.markdown_table(header, rows, "lrrll")


def _run(options: argparse.Namespace) -> Output:
    sweep = selected_sweep(options)
    check_table(sweep.runs)
    table = build(
        frame(sweep.runs, options.episodes),
        paper_table1(options.reference),
        random_returns(options.reference, options.random),
        options.best,
        options.replicates,
        options.seed,
    )
    return _output(table, sweep, options)


def _output(table: Table1, sweep: Sweep, options: argparse.Namespace) -> Output:
    notes = table1_notes.notes(table, sweep, options)
    holes = table1_notes.holes(table.runs)
    tail = render.bullets("Notes", notes) + render.bullets("Missing runs", holes)
    title = "# Table 1: surrogate objectives, average normalized score\n\n"
    main = f"{title}{markdown(table)}\n{tail}"
    per_task = (
        f"# Table 1 by task: mean return of the last {options.episodes} training episodes\n\n"
        f"Mean over seeds, 95 % interval, finished/expected runs.\n\n{task_markdown(table)}\n\n"
        f"## Scale\n\n{scale_markdown(table)}\n{tail}"
    )
    files = {
        "table1.csv": render.csv(table.rows[list(COLUMNS)]),
        "table1.md": main.encode(),
        "table1.tex": latex(table).encode(),
        "table1.png": figure.score_figure(table.rows, table1_notes.subtitle(table, sweep)),
        "table1_per_task.csv": render.csv(table.tasks[list(TASK_COLUMNS)]),
        "table1_per_task.md": per_task.encode(),
        "table1_per_task.png": figure.task_figure(table.tasks, table.scores, options.episodes),
    }
    return Output(files, main.rstrip("\n"))


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_runs_arguments(parser)
    add_bootstrap_arguments(parser)
    add_reference_argument(parser)
    add_scale_arguments(parser)


COMMAND = Command(
    "table1", "the paper's Table 1: scores, intervals, and returns by task", _add_arguments, _run
)
