"""Sentences below a table that several reports need: how it was made, and what is missing."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from analysis.drawing.text import count
from analysis.published.paper import PAPER_TASKS, task_name
from analysis.runs.run import Run, Sweep
from analysis.runs.selection import show
from analysis.settings import RANDOM_POLICIES, Settings


def holes(runs: pd.DataFrame) -> list[str]:
    """One line a run that enters no score, with the reason."""
    lines = runs[runs["hole"] != ""].sort_values("run_id")
    return [f"{line['run_id']}: {line['hole']}" for line in lines.to_dict("records")]


def steps(sweep: Sweep) -> str:
    """How long each run is: `1,000,000`."""
    return f"{sweep.runs[0].steps:,}"


def convention(settings: Settings) -> str:
    """What a score is."""
    best = {"run": "the best single run", "mean": "the best setting's mean over its seeds"}
    return (
        f"Score of a run: mean return of its last {settings.episodes} training episodes; per task, "
        f"0 is the random policy ({RANDOM_POLICIES[settings.random]}) and 1 is "
        f"{best[settings.best]} in this table; a row is the mean over tasks of the mean over seeds."
    )


def law(settings: Settings) -> str:
    """How the interval of a mean over seeds is made."""
    return (
        "Student's t with a variance pooled in part over the task's cells, where 4 or more are; "
        f"{settings.replicates} replicates, seed {settings.seed}"
    )


def interval(settings: Settings, within: str) -> str:
    """The same, as the beginning of a sentence."""
    return f"Interval: 95 % for each {within} ({law(settings)})"


def protocol(sweep: Sweep) -> str:
    """What was run."""
    info = sweep.runs[0].info
    return (
        f"Runs: {info['algorithm']}, recipe {info['recipe']}, {steps(sweep)} steps, "
        f"{count(int(info['num_envs']), 'environment')} a run."
    )


def provenance(runs: Sequence[Run]) -> list[str]:
    """A note for each circumstance, harmless to the configuration, that the runs do not share."""
    found = []
    for key in ("git_revision", "versions", "device", "engine"):
        values = sorted({show(run.info[key]) for run in runs if key in run.info})
        if len(values) > 1:
            found.append(f"The runs differ in {key}: {'; '.join(values)}.")
    return found


def about(sweep: Sweep) -> list[str]:
    """What a reader has to know of the runs: which were left out, and how they differ."""
    return [*sweep.notes, *provenance(sweep.runs)]


def absent_tasks(runs: pd.DataFrame) -> list[str]:
    """The paper's tasks that are not among the runs."""
    there = {task_name(task) for task in runs["task"]}
    return [task for task in PAPER_TASKS if task not in there]


def excluded(tasks: pd.DataFrame, more: str = "") -> list[str]:
    """The tasks without a scale, with the reason; `tasks` is from `paper_score`."""
    return [
        f"{line['task']} is excluded from every score: {line['excluded']}{more}."
        for line in tasks[tasks["excluded"] != ""].to_dict("records")
    ]


def lacking(runs: pd.DataFrame, episodes: int) -> list[str]:
    """That runs are missing, or finished fewer episodes than count."""
    found = []
    if (runs["hole"] != "").any():
        found.append(
            "Rows with fewer runs than expected average the runs there are. Runs that fail are "
            "often the bad ones, so such a score may flatter its row."
        )
    short = runs[(runs["hole"] == "") & (runs["episodes"] < episodes)]
    if not short.empty:
        tasks = ", ".join(sorted(set(short["task"])))
        found.append(
            f"{count(len(short), 'run')} finished fewer than {episodes} episodes (the shortest "
            f"{short['episodes'].min()}; {tasks}): all their episodes count, the earliest included."
        )
    return found
