"""What a reader of Table 1 has to know: its convention, and everything that is not as expected."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

import pandas as pd

from analysis.published.paper import PAPER_TASKS, RANDOM_POLICIES
from analysis.runs.load import Run, Sweep
from analysis.runs.selection import show, task_name

if TYPE_CHECKING:
    from analysis.reports.table1.command import Table1


def notes(table: Table1, sweep: Sweep, options: argparse.Namespace) -> list[str]:
    """One sentence or two each: first how the numbers were made, then what is wrong with them."""
    return [
        convention(options),
        _interval(options),
        protocol(sweep),
        *sweep.notes,
        *provenance(sweep.runs),
        *_tasks(table),
        *_incomplete_rows(table),
        *_no_interval(table),
        *_short_runs(table.runs, options.episodes),
        *_outside_best(table),
    ]


def holes(runs: pd.DataFrame) -> list[str]:
    """One line a run that enters no score, with the reason."""
    lines = runs[runs["hole"] != ""].sort_values("run_id")
    return [f"{line['run_id']}: {line['hole']}" for line in lines.to_dict("records")]


def subtitle(table: Table1, sweep: Sweep) -> str:
    """What the figure shows, in a line."""
    tasks, seeds = table.runs["task"].nunique(), table.runs["seed"].nunique()
    scored = int(table.rows["n_runs"].sum())
    return (
        f"{count(tasks, 'task')}, {count(seeds, 'seed')}, "
        f"{steps(sweep)} steps; {scored} of {len(table.runs)} runs scored"
    )


def count(number: int, noun: str) -> str:
    """`1 task`, `2 tasks`."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def steps(sweep: Sweep) -> str:
    """How long each run is: `1,000,000`."""
    return f"{int(sweep.runs[0].info['total_timesteps']):,}"


def convention(options: argparse.Namespace) -> str:
    """What a score is."""
    best = {"run": "the best single run", "mean": "the best setting's mean over its seeds"}
    return (
        f"Score of a run: mean return of its last {options.episodes} training episodes; per task, "
        f"0 is the random policy ({RANDOM_POLICIES[options.random]}) and 1 is "
        f"{best[options.best]} in this table; a row is the mean over tasks of the mean over seeds."
    )


def _interval(options: argparse.Namespace) -> str:
    return (
        f"Interval: 95 %, bootstrap with {options.replicates} replicates (seed {options.seed}); "
        "seeds are resampled within each task and setting, deviations widened by sqrt(n/(n-1)), "
        "and the scale (0 and 1 of each task) is held fixed. At 3 seeds a task it covers about "
        "93 % for a row over 7 tasks, and about 80 % for one task alone. The paper gives no spread."
    )


def protocol(sweep: Sweep) -> str:
    """What was run."""
    info = sweep.runs[0].info
    return (
        f"Runs: {info['algorithm']}, recipe {info['recipe']}, {steps(sweep)} steps, "
        f"{count(int(info['num_envs']), 'environment')} a run."
    )


def provenance(runs: tuple[Run, ...]) -> list[str]:
    """A note for each circumstance, harmless to the configuration, that the runs do not share."""
    found = []
    for key in ("git_revision", "versions", "device", "engine"):
        values = sorted({show(run.info[key]) for run in runs if key in run.info})
        if len(values) > 1:
            found.append(f"The runs differ in {key}: {'; '.join(values)}.")
    return found


def _tasks(table: Table1) -> list[str]:
    found = []
    there = {task_name(task) for task in table.runs["task"]}
    absent = [task for task in PAPER_TASKS if task not in there]
    if absent:
        found.append(
            f"The paper averages 7 tasks; not in these runs: {', '.join(absent)}. Scores are "
            "averages over the others, so they do not compare with the paper's."
        )
    extra = sorted(there - set(PAPER_TASKS))
    if extra:
        found.append(f"Not among the paper's 7 tasks, but averaged here: {', '.join(extra)}.")
    for line in table.scores.tasks.to_dict("records"):
        if line["excluded"]:
            found.append(
                f"{line['task']} is excluded from every score: {line['excluded']}, so nothing "
                "can be set to 1. Its returns are in the table by task."
            )
    return found


def _incomplete_rows(table: Table1) -> list[str]:
    scored = table.scores.runs.dropna(subset="score")
    tasks = set(scored["task"])
    found = []
    for line in table.rows[table.rows["n_runs"] > 0].to_dict("records"):
        lacking = sorted(tasks - set(scored.loc[scored["row"] == line["row"], "task"]))
        if lacking:
            found.append(
                f"{line['row']} has no scored run of {', '.join(lacking)}: its score averages the "
                "other tasks, so it does not compare with the rows that have them."
            )
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


def _short_runs(runs: pd.DataFrame, episodes: int) -> list[str]:
    short = runs[(runs["hole"] == "") & (runs["episodes"] < episodes)]
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
