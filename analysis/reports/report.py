"""`report`: a whole sweep on one page: what was run, scores, curves, comparisons, origin."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import pandas as pd

from analysis import cli
from analysis.drawing import curves as drawing
from analysis.drawing import notes, tables
from analysis.drawing.page import page
from analysis.drawing.style import svg
from analysis.drawing.text import (
    NOT_KNOWN,
    Line,
    amount,
    count,
    estimate,
    measured,
    percent,
    score,
)
from analysis.reports import curves, origin, updates
from analysis.reports.table1.figure import task_figure
from analysis.reports.table1.numbers import Table1
from analysis.reports.table1.numbers import score as scores_of
from analysis.runs.curves import label_of
from analysis.runs.load import frame
from analysis.runs.run import Sweep
from analysis.settings import DEFAULTS, Settings
from analysis.statistics.aggregate import improvement
from analysis.statistics.bootstrap import stream, summary
from analysis.statistics.cells import cells, strata

CURVES, RETURNS = "curves.png", "returns.png"
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
    names = curves.names(sweep, by)
    for row, other in itertools.combinations(names, 2):
        ours, theirs = strata(runs, row), strata(runs, other)
        pairs = [(ours[task], theirs[task]) for task in ours if task in theirs]
        rng = stream(settings.seed, "improvement", row, other)
        found = summary(improvement(pairs, settings.replicates, rng))
        lines.append((row, other, *found, len(pairs)))
    better = pd.DataFrame(lines, columns=list(BETTER))
    returns = cells(runs, ["task", "row"], settings)
    moved, scores = updates.build(sweep, label), scores_of(runs, settings)
    return Report(names, runs, returns, better, moved, shown, scores)


def markdown(found: Report, sweep: Sweep, settings: Settings, made_by: str, what: str) -> str:
    """The whole page; its figures lie beside it as `CURVES` and `RETURNS`.

    `what` the settings are stands above their column.
    """
    names, scored = found.names, found.scores.rows["score"].notna().any()
    order = found.returns.assign(place=found.returns["row"].map([*names].index))
    setting: tables.Columns = {what: lambda line: names[line["row"]]}
    columns: tables.Columns = {"Task": "task", **setting, **measured("Return", "return", amount)}
    scores: tables.Columns = {**setting, **measured("Score", "score")}
    returns = tables.of(order.sort_values(["task", "place"]), "llr", columns)
    sections = {
        "What was run": _bullets(_about(found, sweep, made_by)),
        "In short": _bullets(_leaders(found)),
        "Scores": tables.of(found.scores.rows, "lr", scores) if scored else "",
        "Returns": f"![Returns by task]({RETURNS})\n\n{returns}",
        "Learning curves": f"![Learning curves]({CURVES})",
        "Probability that a run of A returns more than one of B": _matrix(found),
        "How far an update moves the policy": updates.tables_of(found.updates, names, "###", what),
        "Origin": origin.table(origin.origin(sweep.runs, {})),
    }
    shown = {title: text for title, text in sections.items() if text}
    body = "\n\n".join(f"## {title}\n\n{text}" for title, text in shown.items())
    tasks, seeds = (count(found.runs[key].nunique(), key) for key in ("task", "seed"))
    title = f"Report: {count(len(names), 'setting')}, {tasks}, {seeds}"
    known = _notes(found, sweep, settings, bool(scored))
    return tables.report(title, body, known, notes.holes(found.runs))


def _bullets(lines: Iterator[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _about(found: Report, sweep: Sweep, made_by: str) -> Iterator[str]:
    runs = found.runs
    done = int((runs["hole"] == "").sum())
    yield f"{done} of {len(runs)} runs are done."
    yield notes.protocol(sweep)
    seeds = ", ".join(str(seed) for seed in sorted(set(runs["seed"])))
    yield f"Tasks: {', '.join(sorted(set(runs['task'])))}. Seeds: {seeds}."
    for command in sweep.commands:
        yield f"Trained by `{command}`."
    yield f"This page was made by `{made_by}`."


def _leaders(found: Report) -> Iterator[str]:
    """The best setting and the next, of the scores and of each task: sentences."""
    if len(found.names) < 2:
        return
    scores = found.scores.rows.dropna(subset="score").sort_values("score", ascending=False)
    if len(scores) > 1:
        best, second = scores.to_dict("records")[:2]
        how = estimate(_pair(found, best["row"], second["row"]), "better", percent)
        yield (
            f"Highest score: **{found.names[best['row']]}**, {estimate(best, 'score', score)}, "
            f"then {found.names[second['row']]}, {estimate(second, 'score', score)}; a run of the "
            f"first returns more than one of the second with probability {how}."
        )
    for task, group in found.returns.dropna(subset="return").groupby("task"):
        best, *others = group.sort_values("return", ascending=False).to_dict("records")
        then = f", then {found.names[others[0]['row']]}, {estimate(others[0])}" if others else ""
        yield f"{task}: **{found.names[best['row']]}** returns {estimate(best)}{then}."


def _pair(found: Report, row: str, other: str) -> Line:
    """The line of `better` of two settings, in either order."""
    lines = {(line["row"], line["other"]): line for line in found.better.to_dict("records")}
    if (row, other) in lines:
        return lines[row, other]
    line = lines[other, row]
    turned = {"better": "better", "ci_low": "ci_high", "ci_high": "ci_low"}
    return {name: 1 - line[source] for name, source in turned.items()}


def _matrix(found: Report) -> str:
    """A row for each A, a column for each B; bold where the interval leaves out one half."""
    if len(found.names) < 2:
        return ""

    def cell(row: str, other: str) -> str:
        if row == other:
            return ""
        line = _pair(found, row, other)
        text = percent(line["better"])
        clear = line["ci_low"] > 0.5 or line["ci_high"] < 0.5
        return f"**{text}**" if clear and text != NOT_KNOWN else text

    rows = [
        (f"{place}. {name}", *(cell(row, other) for other in found.names))
        for place, (row, name) in enumerate(found.names.items(), 1)
    ]
    columns = (f"B = {place}" for place in range(1, len(rows) + 1))
    return tables.markdown(("A", *columns), rows, "lr")


def _notes(found: Report, sweep: Sweep, settings: Settings, scored: bool) -> list[str]:
    convention = [notes.convention(settings)] if scored else []
    return [
        *convention,
        f"Return: mean over seeds of the mean of the last {settings.episodes} training episodes.",
        *notes.excluded(found.scores.scores.tasks),
        f"{notes.interval(settings, 'task and setting')}. None for a single run.",
        "Probability: share of the pairs of runs in which A's return is above B's, ties a half, "
        "averaged over the tasks that both have. Bold: its interval (better.csv) leaves out 50 %. "
        "It speaks of these runs: an interval without width says that they are apart.",
        "What is highest of several is so partly by chance: other seeds would say how much.",
        *notes.lacking(found.runs, settings.episodes),
        *notes.about(sweep),
    ]


@cli.command("report", cli.RUNS, cli.BOOTSTRAP, cli.REFERENCE, cli.SCALE, curves.BY)
def command(given: cli.Given) -> cli.Output:
    """A sweep on one page: what was run, returns, curves, comparisons, origin (HTML, Markdown)."""
    settings, by = given.settings, given.by
    sweep = curves.placed(given.sweep, by)
    found, what = build(sweep, by, settings), curves.title(by)
    text = markdown(found, sweep, settings, given.line, what)
    lines, legend = curves.styles(sweep, by), f"{what.lower()} (runs)"
    pictures = {
        CURVES: partial(drawing.figure, found.curves, lines, legend, {}, settings.episodes),
        RETURNS: partial(task_figure, found.scores, settings.episodes, lines),
    }
    files: dict[str, cli.Content] = {
        "report.html": page(text, {name: svg(draw) for name, draw in pictures.items()}),
        "report.md": text,
        "returns.csv": found.returns,
        "better.csv": found.better,
    }
    return cli.Output(files | pictures, text)
