"""The pilot's numbers in words: its tables, what they answer, and what a reader has to know."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.drawing import text as render
from analysis.drawing.style import objective_name
from analysis.published.paper import PAPER_TASKS
from analysis.reports.table1.text import convention, count, holes, provenance, steps
from analysis.runs.load import Sweep
from analysis.runs.selection import task_name

if TYPE_CHECKING:
    from analysis.reports.pilot.command import Pilot

Line = Mapping[Hashable, Any]


def movers(scores: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """The variants by how far they move `quantity` from the base, the farthest first.

    Without those that lack an interval: what a single run moves says nothing.
    """
    lines = scores[(scores["quantity"] == quantity) & scores["difference_low"].notna()]
    return lines.sort_values("difference", key=np.abs, ascending=False, kind="stable")


def answers(pilot: Pilot) -> dict[str, Any]:
    """What the pilot was made for, as values: for each quantity the variants by their effect."""
    quantities = pilot.scores["quantity"].drop_duplicates()
    base = pilot.scores[pilot.scores["variant"] == pilot.variants[0].name].set_index("quantity")
    return {
        "base": pilot.variants[0].name,
        "variants": {v.name: dict(v.changed) for v in pilot.variants[1:]},
        "scores": {
            quantity: {
                "base": float(base.loc[quantity, "score"]),
                "effects": [_effect(line) for line in _lines(movers(pilot.scores, quantity))],
            }
            for quantity in quantities
        },
    }


def _effect(line: Line) -> dict[str, Any]:
    keys = ("variant", "score", "difference", "difference_low", "difference_high")
    return {key: line[key] for key in keys} | {"beyond_noise": _beyond_noise(line)}


def _beyond_noise(line: Line) -> bool:
    return bool(line["difference_low"] > 0 or line["difference_high"] < 0)


def markdown(pilot: Pilot, sweep: Sweep, options: argparse.Namespace) -> str:
    """The whole text."""
    parts = [
        "# Pilot: which silent switches move the comparison\n",
        *_sentences(pilot),
        "\n## Scores\n",
        "Average normalized score with its 95 % interval, and n of N runs where one is missing; "
        "below it the difference from the first line.\n",
        _score_table(pilot),
        "",
        _score_table(pilot, difference=True),
        "\n## Returns\n",
        f"Mean of the last {options.episodes} training episodes, over seeds.\n",
        _return_table(pilot),
        "\nDifference from the base, task by task:\n",
        _return_table(pilot, difference=True),
    ]
    tail = render.bullets("Notes", _notes(pilot, sweep, options))
    tail += render.bullets("Missing runs", holes(pilot.runs))
    return ("\n".join(parts) + "\n" + tail).rstrip("\n")


def _sentences(pilot: Pilot) -> list[str]:
    quantities = pilot.scores["quantity"].drop_duplicates().tolist()
    asked = [quantity for quantity in ("none", *quantities[-1:]) if quantity in quantities]
    return [sentence for quantity in dict.fromkeys(asked) if (sentence := _answer(pilot, quantity))]


def _answer(pilot: Pilot, quantity: str) -> str:
    lines = _lines(movers(pilot.scores, quantity))
    if not lines:
        return ""
    first, others = lines[0], [line for line in lines[1:] if _beyond_noise(line)]
    also = (
        "; beyond noise are also " + ", ".join(_moved(line) for line in others)
        if others
        else "; no other change is beyond noise"
    )
    noise = "" if _beyond_noise(first) else ", which is within noise"
    return f"- What moves `{quantity}` most: {_moved(first)}{noise}{also}."


def _moved(line: Line) -> str:
    return (
        f"{line['variant']} ({render.signed(render.score(line['difference']))} "
        f"{render.interval(line['difference_low'], line['difference_high'])})"
    )


def _score_table(pilot: Pilot, difference: bool = False) -> str:
    quantities = pilot.scores["quantity"].drop_duplicates().tolist()
    lines = {(line["variant"], line["quantity"]): line for line in _lines(pilot.scores)}
    chosen = pilot.variants[1:] if difference else pilot.variants
    cell = _difference(render.score, render.interval) if difference else _value("score")
    rows = [
        (variant.name, *(cell(lines[variant.name, quantity]) for quantity in quantities))
        for variant in chosen
    ]
    title = "Change of the score by" if difference else "Score"
    return render.markdown_table((title, *quantities), rows, "l" + "r" * len(quantities))


def _return_table(pilot: Pilot, difference: bool = False) -> str:
    tasks = sorted(set(pilot.returns["task"]))
    lines = {(line["variant"], line["row"], line["task"]): line for line in _lines(pilot.returns)}
    names = {
        row: objective_name(kind, value)
        for row, kind, value in pilot.runs[["row", "objective", "value"]].itertuples(index=False)
    }
    cell = _difference(render.amount, render.amounts) if difference else _value("return")
    chosen = pilot.variants[1:] if difference else pilot.variants
    rows = [
        (variant.name, names[row], *(cell(lines[variant.name, row, task]) for task in tasks))
        for row in pilot.returns["row"].drop_duplicates()
        for variant in chosen
    ]
    return render.markdown_table(("Variant", "Setting", *tasks), rows, "ll" + "r" * len(tasks))


def _value(key: str) -> Callable[[Line], str]:
    number, between = (
        (render.score, render.interval) if key == "score" else (render.amount, render.amounts)
    )

    def cell(line: Line) -> str:
        if not line["n_expected"]:
            return "not run"
        whole = line["n_runs"] == line["n_expected"]
        runs = "" if whole else f" ({render.of(line['n_runs'], line['n_expected'])})"
        if np.isnan(line[key]):
            return f"{render.NOT_KNOWN}{runs}"
        return f"{number(line[key])} {between(line['ci_low'], line['ci_high'])}{runs}"

    return cell


def _difference(
    number: Callable[[float], str], between: Callable[[float, float], str]
) -> Callable[[Line], str]:
    def cell(line: Line) -> str:
        value = float(line["difference"])
        if np.isnan(value):
            return render.NOT_KNOWN
        text = between(line["difference_low"], line["difference_high"])
        mark = " *" if _beyond_noise(line) else ""
        return f"{render.signed(number(value))} {text}{mark}"

    return cell


def _lines(table: pd.DataFrame) -> list[dict[Hashable, Any]]:
    return table.to_dict("records")


def _notes(pilot: Pilot, sweep: Sweep, options: argparse.Namespace) -> list[str]:
    tasks = {task_name(task) for task in pilot.runs["task"]}
    short = [task for task in PAPER_TASKS if task not in tasks]
    scale = [
        f"{line['task']}: 0 is {render.amount(line['random'])}, 1 is {render.amount(line['best'])} "
        f"({str(line['best_row']).replace(chr(10), ', ')})"
        for line in _lines(pilot.scale.tasks)
    ]
    found = [
        convention(options) + " One scale for all variants: the best is that of all runs here, "
        "and the random policy is the same even where actions are clipped.",
        f"Scale: {'; '.join(scale)}.",
        f"Interval: 95 %, bootstrap with {options.replicates} replicates (seed {options.seed}); "
        "seeds are resampled within each variant, setting and task, deviations widened by "
        "sqrt(n/(n-1)), the scale held fixed. For one task of 3 seeds it covers about 80 %. "
        "Differences treat the two sides as independent; * marks those whose interval leaves "
        "out 0. Of many such marks some are chance.",
        f"{steps(sweep)} steps a run, {count(len(tasks), 'task')}"
        + (f"; of the paper's tasks not {', '.join(short)}" if short else "")
        + ": these scores do not compare with the paper's Table 1, but say where to look.",
        *sweep.notes,
        *provenance(sweep.runs),
        *(
            f"{line['task']} is excluded from every score: {line['excluded']}."
            for line in _lines(pilot.scale.tasks)
            if line["excluded"]
        ),
        *_incomplete(pilot),
    ]
    return found


def _incomplete(pilot: Pilot) -> list[str]:
    lacking = pilot.returns[pilot.returns["n_runs"] == 0]
    if lacking.empty:
        return []
    cells = "; ".join(f"{c['variant']}, {c['task']}, {c['row']}" for c in _lines(lacking))
    return [
        f"Without a run: {cells}. Scores average the tasks there are, so such a score does not "
        "compare, and has no difference."
    ]
