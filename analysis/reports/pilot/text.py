"""The pilot's numbers in words: its tables, what they answer, and what a reader has to know."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from analysis.drawing import notes, tables
from analysis.drawing.style import objective_names
from analysis.drawing.text import (
    NOT_KNOWN,
    Line,
    amount,
    change,
    count,
    estimate,
    runs_of,
    score,
)
from analysis.reports.pilot.numbers import Pilot
from analysis.runs.run import Sweep
from analysis.settings import Settings

Cell = Callable[[Line | None], str]


def movers(scores: pd.DataFrame, quantity: str) -> list[dict[Any, Any]]:
    """The variants by how far they move `quantity` from the base, the farthest first.

    Without those that lack an interval: what a single run moves says nothing.
    """
    lines = scores[(scores["quantity"] == quantity) & scores["difference_low"].notna()]
    order = lines.sort_values("difference", key=np.abs, ascending=False, kind="stable")
    return order.to_dict("records")


def answers(pilot: Pilot) -> dict[str, Any]:
    """What the pilot was made for, as values: for each quantity the variants by their effect."""
    base, *others = pilot.variants
    scores = pilot.scores[pilot.scores["variant"] == base.name].set_index("quantity")["score"]
    keys = ("variant", "score", "difference", "difference_low", "difference_high")
    found: dict[str, dict[str, Any]] = {}
    for quantity, own in scores.items():
        lines = movers(pilot.scores, str(quantity))
        each = [{key: x[key] for key in keys} | {"beyond_noise": _beyond_noise(x)} for x in lines]
        found[str(quantity)] = {"base": float(own), "effects": each}
    variants = {variant.name: dict(variant.changed) for variant in others}
    return {"base": base.name, "variants": variants, "scores": found}


def _beyond_noise(line: Line) -> bool:
    return bool(line["difference_low"] > 0 or line["difference_high"] < 0)


def markdown(pilot: Pilot, sweep: Sweep, settings: Settings) -> str:
    """The whole text."""
    body = [
        *_sentences(pilot),
        "\n## Scores\n",
        "Average normalized score with its 95 % interval, and n of N runs where one is missing; "
        "below it the difference from the first line.\n",
        score_table(pilot, "Score", partial(_value, "score", score)),
        "",
        score_table(pilot, "Change of the score by", partial(_difference, score), first=1),
        "\n## Returns\n",
        f"Mean of the last {settings.episodes} training episodes, over seeds.\n",
        _return_table(pilot, partial(_value, "return", amount)),
        "\nDifference from the base, task by task:\n",
        _return_table(pilot, partial(_difference, amount), first=1),
    ]
    title = "Pilot: which silent switches move the comparison"
    found = _notes(pilot, sweep, settings)
    return tables.report(title, "\n".join(body), found, notes.holes(pilot.runs))


def _sentences(pilot: Pilot) -> list[str]:
    """What moves the row without clipping or penalty, and the last quantity: the gap, if any."""
    sentences = []
    for quantity in dict.fromkeys(("none", pilot.scores["quantity"].iloc[-1])):
        lines = movers(pilot.scores, quantity)
        if not lines:
            continue
        moved, *others = (
            f"{line['variant']} ({change(line)})"
            for line in lines
            if line is lines[0] or _beyond_noise(line)
        )
        also = f"beyond noise are also {', '.join(others)}"
        also = also if others else "no other change is beyond noise"
        noise = "" if _beyond_noise(lines[0]) else ", which is within noise"
        sentences.append(f"- What moves `{quantity}` most: {moved}{noise}; {also}.")
    return sentences


def score_table(pilot: Pilot, title: str, cell: Cell, first: int = 0) -> str:
    """A line a variant from the `first` on, a column a quantity."""
    names = {variant.name: variant.name for variant in pilot.variants[first:]}
    quantities = pilot.scores["quantity"].drop_duplicates().tolist()
    return tables.pivot(title, names, quantities, pilot.scores, ("variant", "quantity"), cell)


def _return_table(pilot: Pilot, cell: Cell, first: int = 0) -> str:
    names, tasks = objective_names(pilot.runs), sorted(set(pilot.returns["task"]))
    lines = pilot.returns.set_index(["variant", "row", "task"]).to_dict("index")
    rows = [
        (variant.name, names[row], *(cell(lines[variant.name, row, task]) for task in tasks))
        for row in pilot.returns["row"].drop_duplicates()
        for variant in pilot.variants[first:]
    ]
    return tables.markdown(("Variant", "Setting", *tasks), rows, "llr")


def _value(key: str, how: Callable[[float], str], line: Line | None) -> str:
    if line is None or not line["n_expected"]:
        return "not run"
    whole = line["n_runs"] == line["n_expected"]
    return estimate(line, key, how) + ("" if whole else f" ({runs_of(line)})")


def _difference(how: Callable[[float], str], line: Line | None) -> str:
    if line is None or np.isnan(line["difference"]):
        return NOT_KNOWN
    return change(line, how) + (" *" if _beyond_noise(line) else "")


def _notes(pilot: Pilot, sweep: Sweep, settings: Settings) -> list[str]:
    short = notes.absent_tasks(pilot.runs)
    scale = [
        f"{line['task']}: 0 is {amount(line['random'])}, 1 is {amount(line['best'])} "
        f"({str(line['best_row']).replace(chr(10), ', ')})"
        for line in pilot.scale.tasks.to_dict("records")
    ]
    return [
        notes.convention(settings) + " One scale for all variants: the best is that of all runs "
        "here, and the random policy is the same even where actions are clipped.",
        f"Scale: {'; '.join(scale)}.",
        notes.interval(settings, "variant, setting and task") + ", and the scale is held fixed. "
        "Differences treat the two sides as independent; * marks those whose interval leaves "
        "out 0. Of many such marks some are chance.",
        f"{notes.steps(sweep)} steps a run, {count(pilot.runs['task'].nunique(), 'task')}"
        + (f"; of the paper's tasks not {', '.join(short)}" if short else "")
        + ": these scores do not compare with the paper's Table 1, but say where to look.",
        *notes.about(sweep),
        *notes.excluded(pilot.scale.tasks),
        *_incomplete(pilot),
    ]


def _incomplete(pilot: Pilot) -> list[str]:
    lacking = pilot.returns[pilot.returns["n_runs"] == 0]
    if lacking.empty:
        return []
    cells = "; ".join(lacking["variant"] + ", " + lacking["task"] + ", " + lacking["row"])
    return [
        f"Without a run: {cells}. Scores average the tasks there are, so such a score does not "
        "compare, and has no difference."
    ]
