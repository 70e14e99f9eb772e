"""Table 1 as Markdown and LaTeX, and what its reader has to know."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd

from analysis.drawing import notes, tables
from analysis.drawing.style import objective_names
from analysis.drawing.text import Line, amount, count, estimate, measured, number, score
from analysis.published.paper import PAPER_TASKS, task_name
from analysis.reports.table1.numbers import Table1
from analysis.runs.run import Sweep
from analysis.settings import Settings


def markdown(table: Table1, sweep: Sweep, settings: Settings) -> str:
    """Table 1 with its notes."""
    title = "Table 1: surrogate objectives, average normalized score"
    names = objective_names(table.rows)
    shown = tables.of(table.rows, "lr", {"Objective": lambda line: names[line["row"]], **_NUMBERS})
    known = what_to_know(table, sweep, settings)
    return tables.report(title, shown, known, notes.holes(table.runs))


def task_markdown(table: Table1, sweep: Sweep, settings: Settings) -> str:
    """Returns, one column a task, and the scale of each task; with the same notes."""
    tasks, rows = sorted(set(table.runs["task"])), objective_names(table.rows)
    returns = tables.pivot("Objective", rows, tasks, table.tasks, ("row", "task"), _return)
    columns: tables.Columns = {
        "Task": "task",
        "Random = 0": number("random", amount),
        "Best = 1": number("best", amount),
        "Best is of": "best_row",
        "Note": lambda line: line["excluded"] and f"not scored: {line['excluded']}",
    }
    body = (
        "Mean over seeds, 95 % interval, finished/expected runs.\n\n"
        f"{returns}\n\n## Scale\n\n{tables.of(table.scores.tasks, 'lrrll', columns)}"
    )
    title = f"Table 1 by task: mean return of the last {settings.episodes} training episodes"
    known = what_to_know(table, sweep, settings)
    return tables.report(title, body, known, notes.holes(table.runs))


_NUMBERS: dict[str, Callable[[Line], str]] = {
    **measured("Score", "score"),
    "Paper": lambda line: "" if pd.isna(line["paper_score"]) else score(line["paper_score"]),
}


def latex(table: Table1) -> str:
    """Table 1 as a booktabs tabular."""
    rows, names = [], objective_names(table.rows, math=True)
    for line in table.rows.to_dict("records"):
        name = names[str(line["row"])]
        numbers = [how(line) for how in _NUMBERS.values()]
        numbers = [f"${text}$" if "-" in text else text for text in numbers]
        rows.append((name if "$" in name else tables.latex_text(name), *numbers))
    header = ("Objective", "Score", "95\\,\\% interval", "Runs", "Paper")
    return tables.latex(header, rows, "lrrrr")


def _return(line: Line | None) -> str:
    if line is None:
        return "not run"
    shown: str = "" if pd.isna(line["return"]) else f"{estimate(line)} "
    return f"{shown}{line['n_runs']}/{line['n_expected']}"


def subtitle(table: Table1, sweep: Sweep) -> str:
    """What the figure shows, in two lines."""
    tasks, seeds = table.runs["task"].nunique(), table.runs["seed"].nunique()
    scored = int(table.rows["n_runs"].sum())
    return (
        f"{count(tasks, 'task')}, {count(seeds, 'seed')}, "
        f"{notes.steps(sweep)} steps\n{scored} of {len(table.runs)} runs scored"
    )


def what_to_know(table: Table1, sweep: Sweep, settings: Settings) -> list[str]:
    """One sentence or two each: first how the numbers were made, then what is wrong with them."""
    return [
        notes.convention(settings),
        notes.interval(settings, "task and setting")
        + ", and the scale (0 and 1 of each task) is held fixed. How often such intervals of 3 "
        "seeds hold the mean of other seeds is counted in results/table1_ten_seeds. The paper "
        "gives no spread.",
        notes.protocol(sweep),
        *notes.about(sweep),
        *_tasks(table),
        *_incomplete(table),
        *notes.lacking(table.runs, settings.episodes),
        *_outside_best(table),
    ]


def _tasks(table: Table1) -> list[str]:
    found = []
    if absent := notes.absent_tasks(table.runs):
        found.append(
            f"The paper averages 7 tasks; not in these runs: {', '.join(absent)}. Scores are "
            "averages over the others, so they do not compare with the paper's."
        )
    extra = sorted({task_name(task) for task in table.runs["task"]} - set(PAPER_TASKS))
    if extra:
        found.append(f"Not among the paper's 7 tasks, but averaged here: {', '.join(extra)}.")
    more = ", so nothing can be set to 1. Its returns are in the table by task"
    return found + notes.excluded(table.scores.tasks, more)


def _incomplete(table: Table1) -> list[str]:
    """Rows that average fewer tasks than others, or have no interval."""
    tasks_of = table.scores.runs.dropna(subset="score").groupby("row")["task"].agg(set)
    every = set().union(*tasks_of)
    found = [
        f"{row} has no scored run of {', '.join(sorted(every - tasks_of[row]))}: its score "
        "averages the other tasks, so it does not compare with the rows that have them."
        for row in table.rows["row"]
        if row in tasks_of and every - tasks_of[row]
    ]
    alone = table.rows.loc[(table.rows["n_runs"] > 0) & table.rows["ci_low"].isna(), "row"]
    if not alone.empty:
        found.append(
            f"No interval for {', '.join(alone)}: at least one task has a single scored run, which "
            "says nothing about spread."
        )
    return found


def _outside_best(table: Table1) -> list[str]:
    ours = set(table.rows.loc[table.rows["paper_score"].isna(), "row"])
    tasks = table.scores.tasks[table.scores.tasks["best_row"].isin(ours)]
    if tasks.empty:
        return []
    names = ", ".join(f"{line['best_row']} in {line['task']}" for line in tasks.to_dict("records"))
    return [
        f"The best result is of a row outside the paper's table ({names}), which lowers the "
        "paper's rows beside it; leave it out, such as with --where "
        f"'objective_label!={tasks['best_row'].iloc[0]}', to compare with the paper."
    ]
