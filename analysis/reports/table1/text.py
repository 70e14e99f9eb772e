"""Table 1 as Markdown and LaTeX, and what its reader has to know."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.drawing import notes, tables
from analysis.drawing.style import objective_name, objective_names
from analysis.drawing.text import Line, amount, count, interval, runs_of
from analysis.drawing.text import score as as_score
from analysis.published.paper import PAPER_TASKS, task_name
from analysis.reports.table1.numbers import Table1
from analysis.runs.run import Sweep
from analysis.settings import Settings


def markdown(table: Table1, sweep: Sweep, settings: Settings) -> str:
    """Table 1 with its notes."""
    title = "Table 1: surrogate objectives, average normalized score"
    header = ("Objective", "Score", "95 % interval", "Runs", "Paper")
    names = objective_names(table.rows)
    rows = [(names[line["row"]], *_numbers(line)) for line in table.rows.to_dict("records")]
    return tables.report(title, tables.markdown(header, rows, "lr"), *_tail(table, sweep, settings))


def task_markdown(table: Table1, sweep: Sweep, settings: Settings) -> str:
    """Returns, one column a task, and the scale of each task; with the same notes."""
    body = (
        "Mean over seeds, 95 % interval, finished/expected runs.\n\n"
        f"{_returns(table)}\n\n## Scale\n\n{_scale(table)}"
    )
    title = f"Table 1 by task: mean return of the last {settings.episodes} training episodes"
    return tables.report(title, body, *_tail(table, sweep, settings))


def latex(table: Table1) -> str:
    """Table 1 as a booktabs tabular."""
    rows = []
    for line in table.rows.to_dict("records"):
        name = objective_name(str(line["objective"]), float(line["value"]), math=True)
        numbers = [f"${text}$" if "-" in text else text for text in _numbers(line)]
        rows.append((name if "$" in name else tables.latex_text(name), *numbers))
    header = ("Objective", "Score", "95\\,\\% interval", "Runs", "Paper")
    return tables.latex(header, rows, "lrrrr")


def _numbers(line: Line) -> tuple[str, ...]:
    shown = as_score(line["score"]), interval(line["ci_low"], line["ci_high"]), runs_of(line)
    return *shown, "" if pd.isna(line["paper_score"]) else as_score(line["paper_score"])


def _returns(table: Table1) -> str:
    tasks = sorted(set(table.runs["task"]))
    lines = {(line["task"], line["row"]): line for line in table.tasks.to_dict("records")}
    rows = [
        (name, *(_return(lines.get((task, row))) for task in tasks))
        for row, name in objective_names(table.rows).items()
    ]
    return tables.markdown(("Objective", *tasks), rows, "lr")


def _return(line: Line | None) -> str:
    if line is None:
        return "not run"
    parts = ["" if pd.isna(line["return"]) else amount(line["return"])]
    parts.append(
        "" if pd.isna(line["ci_low"]) else interval(line["ci_low"], line["ci_high"], amount)
    )
    return " ".join([*filter(None, parts), f"{line['n_runs']}/{line['n_expected']}"])


def _scale(table: Table1) -> str:
    """What 0 and 1 are in each task."""
    rows = [
        (
            str(line["task"]),
            amount(line["random"]),
            amount(line["best"]),
            str(line["best_row"]),
            line["excluded"] and f"not scored: {line['excluded']}",
        )
        for line in table.scores.tasks.to_dict("records")
    ]
    return tables.markdown(("Task", "Random = 0", "Best = 1", "Best is of", "Note"), rows, "lrrll")


def subtitle(table: Table1, sweep: Sweep) -> str:
    """What the figure shows, in a line."""
    tasks, seeds = table.runs["task"].nunique(), table.runs["seed"].nunique()
    scored = int(table.rows["n_runs"].sum())
    return (
        f"{count(tasks, 'task')}, {count(seeds, 'seed')}, "
        f"{notes.steps(sweep)} steps; {scored} of {len(table.runs)} runs scored"
    )


def _tail(table: Table1, sweep: Sweep, settings: Settings) -> tuple[Sequence[str], Sequence[str]]:
    return what_to_know(table, sweep, settings), notes.holes(table.runs)


def what_to_know(table: Table1, sweep: Sweep, settings: Settings) -> list[str]:
    """One sentence or two each: first how the numbers were made, then what is wrong with them."""
    return [
        notes.convention(settings),
        f"Interval: 95 %, bootstrap with {settings.replicates} replicates (seed {settings.seed}); "
        "seeds are resampled within each task and setting, deviations widened by sqrt(n/(n-1)), "
        "and the scale (0 and 1 of each task) is held fixed. At 3 seeds a task it covers about "
        "93 % for a row over 7 tasks, and about 80 % for one task alone. The paper gives no "
        "spread.",
        notes.protocol(sweep),
        *sweep.notes,
        *notes.provenance(sweep.runs),
        *_tasks(table),
        *_incomplete_rows(table),
        *_no_interval(table),
        *_short_runs(table, settings.episodes),
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


def _incomplete_rows(table: Table1) -> list[str]:
    tasks_of = table.scores.runs.dropna(subset="score").groupby("row")["task"].agg(set)
    every = set().union(*tasks_of)
    found = [
        f"{row} has no scored run of {', '.join(sorted(every - tasks_of[row]))}: its score "
        "averages the other tasks, so it does not compare with the rows that have them."
        for row in table.rows["row"]
        if row in tasks_of and every - tasks_of[row]
    ]
    if (table.runs["hole"] != "").any():
        found.append(
            "Rows with fewer runs than expected average the runs there are. Runs that fail are "
            "often the bad ones, so such a score may flatter its row."
        )
    return found


def _no_interval(table: Table1) -> list[str]:
    rows = table.rows[(table.rows["n_runs"] > 0) & table.rows["ci_low"].isna()]["row"]
    if rows.empty:
        return []
    return [
        f"No interval for {', '.join(rows)}: at least one task has a single scored run, which "
        "says nothing about spread."
    ]


def _short_runs(table: Table1, episodes: int) -> list[str]:
    short = notes.short_runs(table.runs, episodes)
    if short.empty:
        return []
    tasks = ", ".join(sorted(set(short["task"])))
    return [
        f"{count(len(short), 'run')} finished fewer than {episodes} episodes (the shortest "
        f"{short['episodes'].min()}; {tasks}): all their episodes count, the earliest included."
    ]


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
