"""`report`: a whole sweep on one page: what was run, scores, curves, comparisons, origin."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import pandas as pd
from markdown_it import MarkdownIt

from analysis import cli
from analysis.drawing import curves as drawing
from analysis.drawing import notes, tables
from analysis.drawing.style import objective_names, objective_rows, png
from analysis.drawing.text import amount, between, number, percent, runs_of
from analysis.reports import curves, origin, updates
from analysis.reports.table1.numbers import Table1, score
from analysis.runs.curves import label_of
from analysis.runs.load import frame
from analysis.runs.run import Sweep
from analysis.settings import DEFAULTS, Settings
from analysis.statistics.aggregate import improvement
from analysis.statistics.bootstrap import stream, summary
from analysis.statistics.cells import cells, strata

CURVES = "curves.png"
BETTER = ("row", "other", "better", "ci_low", "ci_high", "n_tasks")


@dataclass(frozen=True)
class Report:
    """All numbers of the page."""

    names: Mapping[str, str]  # of the settings, by row, in their order
    runs: pd.DataFrame  # `load.frame` of the runs expected, with the setting as its `row`
    returns: pd.DataFrame  # `task, row` and `cells.CELL`
    better: pd.DataFrame  # `BETTER`
    updates: pd.DataFrame  # see `updates.build`
    curves: pd.DataFrame  # `runs.curves.COLUMNS`
    scores: Table1  # on the scale of Table 1, in the tasks that have one


def build(sweep: Sweep, by: str = curves.BY_OBJECTIVE, settings: Settings = DEFAULTS) -> Report:
    """Every number of a sweep whose settings are told apart by the key `by`.

    A line of `better` is a pair of settings: the probability that a run of `row` returns more than
    one of `other`, averaged over the tasks in which both finished, with its interval.

    Raises:
        AnalysisError: for runs that differ in more than `by` (and what it brings), task and seed.
    """
    lines, label = [], label_of(by)
    shown, _ = curves.build(sweep, by, settings)
    runs = frame(sweep.runs, settings.episodes, label)
    names = {row: style.name for row, style in curves.styles(sweep, by).items()}
    if by == curves.BY_OBJECTIVE:
        names = objective_names(objective_rows(runs))
    for row, other in itertools.combinations(names, 2):
        ours, theirs = strata(runs, row), strata(runs, other)
        pairs = [(ours[task], theirs[task]) for task in ours if task in theirs]
        rng = stream(settings.seed, "improvement", row, other)
        found = summary(improvement(pairs, settings.replicates, rng))
        lines.append((row, other, *found, len(pairs)))
    better = pd.DataFrame(lines, columns=list(BETTER))
    returns = cells(runs, ["task", "row"], settings)
    moved, scores = updates.build(sweep, label), score(runs, settings)
    return Report(names, runs, returns, better, moved, shown, scores)


def markdown(found: Report, sweep: Sweep, settings: Settings, made_by: str) -> str:
    """The whole page; its figure lies beside it as `CURVES`."""
    runs, names, better = found.runs, found.names, found.better
    order = found.returns.assign(place=found.returns["row"].map(list(names).index))
    columns: tables.Columns = {
        "Task": "task",
        "Setting": lambda line: names[line["row"]],
        "Return": number("return", amount),
        "95 % interval": between(amount),
        "Runs": runs_of,
    }
    scores: tables.Columns = {
        "Setting": lambda line: names[line["row"]],
        "Score": number("score"),
        "95 % interval": between(),
        "Runs": runs_of,
    }
    compared: tables.Columns = {
        "A": lambda line: names[line["row"]],
        "B": lambda line: names[line["other"]],
        "P(A returns more)": number("better", percent),
        "95 % interval": between(percent),
        "Tasks": "n_tasks",
    }
    run, done = sweep.runs[0], int((runs["hole"] == "").sum())
    about = [
        f"- {done} of {len(runs)} runs are done: {len(names)} settings, "
        f"{runs['task'].nunique()} tasks, {runs['seed'].nunique()} seeds, "
        f"{run.steps:,} steps each.",
        f"- {notes.protocol(sweep)}",
        f"- Made by `{made_by}`.",
    ]
    sections = {
        "What was run": "\n".join(about),
        "Scores": tables.of(found.scores.rows, "lr", scores),
        "Returns": tables.of(order.sort_values(["task", "place"]), "llr", columns),
        "Learning curves": f"![Learning curves]({CURVES})",
        "Probability that A returns more than B": tables.of(better, "llr", compared)
        if len(better)
        else "There is one setting.",
        "How far an update moves the policy": updates.tables_of(found.updates, names, "###"),
        "Origin": origin.table(origin.origin(sweep.runs, {})),
    }
    known = [
        notes.convention(settings),
        f"Return: mean over seeds of the mean of the last {settings.episodes} training episodes.",
        *notes.excluded(found.scores.scores.tasks),
        f"{notes.interval(settings, 'task and setting')}. None for a single run.",
        "P(A returns more): share of the pairs of runs in which A's return is above B's, ties a "
        "half, averaged over the tasks that both have. It speaks of these runs: an interval "
        "without width says that they are apart.",
        *notes.lacking(runs, settings.episodes),
        *sweep.notes,
        *notes.provenance(sweep.runs),
    ]
    body = "\n\n".join(f"## {title}\n\n{text}" for title, text in sections.items())
    return tables.report("Report", body, known, notes.holes(runs))


def page(text: str, picture: bytes) -> str:
    """The Markdown of `markdown` as one HTML file, its picture inside: it can be mailed."""
    inside = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
    body = MarkdownIt("commonmark").enable("table").render(text).replace(CURVES, inside)
    return f"<!doctype html>\n<meta charset=utf-8>\n<title>Report</title>\n{_STYLE}\n{body}"


_STYLE = (
    "<style>body{font:15px/1.45 sans-serif;max-width:70em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse}td,th{padding:.15em .8em;border-bottom:1px solid #ddd}"
    "th{text-align:left}img{max-width:100%}</style>"
)


@cli.command("report", cli.RUNS, cli.BOOTSTRAP, cli.REFERENCE, cli.SCALE, curves.BY)
def command(given: cli.Given) -> cli.Output:
    """A sweep on one page: what was run, returns, curves, comparisons, origin (HTML, Markdown)."""
    settings, by = given.settings, given.by
    sweep = curves.placed(given.sweep, by)
    found = build(sweep, by, settings)
    text = markdown(found, sweep, settings, given.line)
    lines, name = curves.styles(sweep, by), "setting (runs)"
    picture = partial(drawing.figure, found.curves, lines, name, {}, settings.episodes)
    files: cli.Files = {
        "report.html": page(text, png(picture)),
        "report.md": text,
        CURVES: picture,
        "returns.csv": found.returns,
        "better.csv": found.better,
    }
    return cli.Output(files, text)
