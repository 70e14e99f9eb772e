"""The report as Markdown."""

from __future__ import annotations

import pandas as pd

from analysis.drawing import notes, tables
from analysis.drawing.style import objective_names
from analysis.drawing.text import (
    between,
    change,
    count,
    estimate,
    measured,
    number,
    of,
    percent,
    score,
)
from analysis.published.paper import task_name
from analysis.reports.seeds.numbers import DRAWS, FIRST, INTERVALS, RUNS, Seeds
from analysis.statistics.intervals import METHODS


def markdown(found: Seeds) -> str:
    """All tables, with what their reader has to know."""
    body = "\n\n".join(
        f"## {title}\n\n{text}"
        for title, text in (
            ("Scores", _scores(found)),
            ("What three seeds would have said", _protocol(found)),
            ("Coverage of intervals of three seeds", _coverage(found)),
            ("What was expected", _expectations(found)),
        )
    )
    return tables.report(
        "Table 1 with more seeds", f"{status(found)}\n\n{body}", (), notes.holes(found.runs)
    )


def status(found: Seeds) -> str:
    """Seeds that are there, of those that are planned."""
    there, drawn = len(found.seeds), f"{RUNS} of {len(found.seeds)}"
    return (
        f"{of(there, found.planned)} seeds are finished in every task and row "
        f"({', '.join(map(str, found.seeds))}). Three seeds are drawn as {drawn}; the target of an "
        f"interval is the mean of the other {there - RUNS}."
    )


def _scores(found: Seeds) -> str:
    names = objective_names(found.rows)
    return tables.of(
        found.rows,
        "lr",
        {
            "Objective": lambda line: names[line["row"]],
            **measured("Score", "score"),
            "Seeds 0 to 2": number("first_three"),
            "Three seeds, 95 % of draws": between(ends="draw_"),
            "with replacement": between(ends="replaced_"),
            "Least to most": lambda line: (
                f"{score(line['draw_least'])} to {score(line['draw_most'])}"
            ),
            "Paper": number("paper_score"),
            "Draws below the paper": lambda line: percent(line["place"]),
        },
    ) + (
        f"\n\nInterval: {METHODS[found.method]}. Draws: {DRAWS:,}, independently by cell, scored "
        "with the best result of the draw. Without replacement draws share runs and vary less than "
        f"fresh seeds: by a factor of {1 - RUNS / len(found.seeds):.2f} in variance. With "
        "replacement they take the runs there are for all there could be."
    )


def _protocol(found: Seeds) -> str:
    said, other = found.protocol, found.protocol["with_replacement"]
    rows: list[tuple[str, ...]] = [
        (name, percent(said[key]), percent(other[key]))
        for name, key in (
            ("The best clipping row is first of all", "clipping_first"),
            ("Families in the printed order, by their mean", "families_by_mean"),
            ("Families in the printed order, by their best row", "families_by_best"),
        )
    ]
    names = objective_names(found.rows)
    for row, share in sorted(said["first"].items(), key=lambda item: -item[1]):
        if share > 0 or row == FIRST:
            rows.append((f"{names[row]} is first", percent(share), percent(other["first"][row])))
    spearman = [estimate(one["spearman"], "median", score, "") for one in (said, other)]
    rows.append(("Spearman's correlation with the printed column", *spearman))
    claims = found.claims
    lines = [
        (title, change(one, ends=""), percent(one["probability"]))
        for title, one in (
            ("Best clipping over best KL", claims["best_clip_over_best_kl"]),
            ("Mean of clipping over mean of KL", claims["mean_clip_over_mean_kl"]),
            ("Clipping at 0.1 over 0.2", claims["clip_0.1_over_0.2"]),
        )
    ]
    first = tables.markdown(("Draws of three seeds", "Share", "with replacement"), rows, "lr")
    second = tables.markdown(("All seeds", "Difference", "Probability above 0"), lines, "lr")
    return f"{first}\n\n{second}"


def _coverage(found: Seeds) -> str:
    wide = found.coverage.pivot_table("coverage", "method", "task").loc[list(METHODS)]
    cells = found.coverage.groupby("method")["coverage"]
    table = pd.DataFrame(wide).rename(columns=task_name)
    columns = [str(task) for task in table]
    named = [METHODS[method] for method in METHODS]
    table = table.assign(name=named, mean=cells.mean(), least=cells.min())
    shown: tables.Columns = {
        "Method": "name",
        "Mean": number("mean", percent),
        **{task: number(task, percent) for task in columns},
        "Worst cell": number("least", percent),
    }
    result = "meets" if found.passed else "does not meet"
    return (
        f"{INTERVALS:,} draws a cell, {count(len(cells.get_group('t')), 'cell')}.\n\n"
        f"{tables.of(table, 'lr', shown)}\n\n"
        f"Chosen by the plan's rule: {METHODS[found.method]}, which {result} it."
    )


def _expectations(found: Seeds) -> str:
    columns: tables.Columns = {
        "No.": lambda line: str(line["number"]),
        "Expected before the runs": "expectation",
        "Found": "found",
        "Verdict": "verdict",
    }
    return tables.of(found.expectations, "rlrl", columns)
