"""The reading as Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from analysis.drawing import notes, tables
from analysis.drawing.style import objective_names
from analysis.drawing.text import (
    NOT_KNOWN,
    Line,
    amount,
    between,
    change,
    estimate,
    interval,
    measured,
    number,
    percent,
    score,
    signed,
)
from analysis.reports.pilot.text import score_table
from analysis.reports.reading.claims import PAPERS_BEST, SURE, verdict
from analysis.reports.reading.numbers import Reading, beside
from analysis.reports.table1.text import what_to_know
from analysis.runs.run import Sweep
from analysis.settings import Settings

Answers = Mapping[str, Any]
_BEST = {"run": "best run", "mean": "best mean"}
_RANDOM = {"gaussian": "Gaussian", "gaussian_clipped": "Gaussian, clipped", "uniform": "uniform"}
_NOTES = (
    "A probability is the share of the replicates behind Table 1's intervals for which "
    f"the statement is true; it holds from {100 * SURE:.0f} % on, fails from "
    f"{100 * (1 - SURE):.0f} % down, and between lies within noise. It speaks of other seeds on "
    "the scale printed here, not of other tasks or settings.",
    "`Same` sources run the paper's settings or close to them for 1M steps and report training "
    "returns, of other versions of the tasks; `other` ones differ in recipe, length or measure.",
)


def markdown(reading: Reading, sweep: Sweep, settings: Settings) -> str:
    """The whole text."""
    main = next(iter(reading.tables.values()))
    answers = next(iter(reading.claims.values()))
    body = [
        "## Scores beside the paper's\n",
        _scores(main.rows, answers),
        "",
        f"Spearman's rank correlation with the paper's column: {_rho(answers['rank_correlation'])};"
        " without the row without clipping or penalty: "
        f"{_rho(answers['rank_correlation_without_none'])}.",
        "\n## The paper's statements\n",
        _statements(answers),
        "\n## The row without clipping or penalty, without each task in turn\n",
        _without(answers),
        "\n## Under other conventions\n",
        "Scores of the same runs, by what scores 1 (the best single run, or the best mean over "
        "seeds) and what scores 0 (the random policy):\n",
        _conventions(reading),
        "",
        _answers(reading),
        *_switches(reading),
        "\n## PPO (clipping, ε = 0.2) by task, beside others\n",
        "Return; ours with its 95 % interval, others with the spread that their source gives.\n",
        _elsewhere(reading.ppo),
        "",
        *_ranges(reading.ppo),
    ]
    found = [*_NOTES, *what_to_know(main, sweep, settings)]
    return tables.report("Reading of Table 1", "\n".join(body), found, notes.holes(main.runs))


def _scores(rows: pd.DataFrame, answers: Answers) -> str:
    names, best = objective_names(rows), answers["probability_best"]
    columns: tables.Columns = {
        "Objective": lambda line: names[line["row"]],
        **measured("Score", "score"),
        "Paper": number("paper_score"),
        "Difference": lambda line: signed(line["score"] - line["paper_score"]),
        "Paper is": _inside,
        "Best row": lambda line: percent(best.get(line["row"], np.nan)),
    }
    return tables.of(rows, "lrrrrrlr", columns)


def _inside(line: Line) -> str:
    low, high, paper = (float(line[key]) for key in ("ci_low", "ci_high", "paper_score"))
    if np.isnan([low, high, paper]).any():
        return NOT_KNOWN
    return "inside" if low <= paper <= high else "above" if paper > high else "below"


def _rho(found: Answers) -> str:
    p = NOT_KNOWN if np.isnan(found["p"]) else f"{found['p']:.2g}"
    return f"{estimate(found, 'rho', score, '')} over {found['rows']} rows (p = {p})"


def statements(answers: Answers) -> list[tuple[str, str, float]]:
    """The paper's statements: in words, what these runs have, and the probability."""
    best = answers["probability_best"].get(PAPERS_BEST, np.nan)
    found = [
        ("Clipping at 0.2 is best of all", f"best here: {answers['best_row'] or NOT_KNOWN}", best)
    ]
    words = {
        "best": "The best clipping beats the best KL penalty",
        "named": "... and so do the two rows that are best here",
        "mean": "... and so does the mean of the clipping rows that of the KL rows",
    }
    for key, text in words.items():
        one = answers["clip_over_kl"].get(key)
        if one is not None:
            rows = f" ({' - '.join(one['rows'])})" if "rows" in one else ""
            shown = change(one, ends="") + rows
            found.append((text, shown, one["probability"]))
    if none := answers["none"]:
        negative = "Without clipping or penalty the score is negative"
        found.append((negative, estimate(none, "score", score, ""), none["negative"]))
        found.append(_one_task(none))
    return found


def _one_task(none: Answers) -> tuple[str, str, float]:
    """The statement that the task whose loss raises the score most makes it negative."""
    text, without = "... and that is one task's doing", none["without"]
    if not without:
        return text, NOT_KNOWN, float("nan")
    task = max(without, key=lambda name: without[name]["score"])
    one = without[task]
    return text, f"without {task} {estimate(one, 'score', score, '')}", one["its_doing"]


def _statements(answers: Answers) -> str:
    rows = [
        (text, shown, percent(probability), verdict(probability))
        for text, shown, probability in statements(answers)
    ]
    header = ("The paper's statement", "These runs", "Probability", "Verdict")
    return tables.markdown(header, rows, "llrl")


def _without(answers: Answers) -> str:
    if not answers["none"]:
        return "No interval for that row."
    rows = [
        (task, *map(score, (x["of_task"], x["score"])), between(ends="")(x), percent(x["negative"]))
        for task, x in answers["none"]["without"].items()
    ]
    header = ("Task", "Score in it", "Score without it", "95 % interval", "Negative")
    return tables.markdown(header, rows, "lr")


def _conventions(reading: Reading) -> str:
    each = [table.rows.set_index("row") for table in reading.tables.values()]
    columns = [*(table["score"] for table in each), each[0]["paper_score"]]
    names = objective_names(each[0].reset_index())
    rows = [(name, *(score(column[row]) for column in columns)) for row, name in names.items()]
    return tables.markdown(("Objective", *_names(reading), "Paper"), rows, "lr")


def _names(reading: Reading) -> list[str]:
    return [f"{_BEST[best]}, {_RANDOM[random]}" for best, random in reading.tables]


def _answers(reading: Reading) -> str:
    """One line a question, one column a convention."""
    every = list(reading.claims.values())
    lists = [{text: probability for text, _, probability in statements(a)} for a in every]
    rows = [
        ("Spearman's correlation", *(score(a["rank_correlation"]["rho"]) for a in every)),
        ("Best row", *(str(a["best_row"] or NOT_KNOWN) for a in every)),
        *((text, *(percent(one.get(text, np.nan)) for one in lists)) for text in lists[0]),
    ]
    return tables.markdown(("Question", *_names(reading)), rows, "lr")


def _switches(reading: Reading) -> list[str]:
    """What the pilot says of other switches, the clipping of actions among them."""
    if reading.pilot is None:
        return []
    tasks = sorted(set(reading.pilot.runs["task"]))
    return [
        "\n## Under other switches of the recipe\n",
        f"Scores of the pilot ({', '.join(tasks)}; shorter runs, a scale of its own, so only its "
        "lines compare with one another); the change from its first line in brackets.\n",
        score_table(reading.pilot, "Recipe", _switched),
    ]


def _switched(line: Line | None) -> str:
    assert line is not None
    apart = "" if np.isnan(line["difference"]) else f" ({signed(line['difference'])})"
    return estimate(line, "score", score) + apart


def _ranges(ppo: pd.DataFrame) -> list[str]:
    lines = []
    for task in dict.fromkeys(ppo["task"].astype(str)):
        one = beside(ppo, task)
        if one["inside"] is not None:
            place = "inside" if one["inside"] else "outside"
            lines.append(
                f"- {task}: {estimate(one)} is {place} the range of the {one['sources']} sources "
                f"of the same kind, {interval(one['lowest'], one['highest'], amount)}."
            )
    return lines


def _elsewhere(ppo: pd.DataFrame) -> str:
    tasks = list(dict.fromkeys(ppo["task"].astype(str)))
    rows = []
    keys = ["source", "kind", "version", "steps"]
    for key, mine in ppo.fillna({"steps": 0.0}).groupby(keys, sort=False):
        *names, steps = map(str, key)
        cells = {str(line["task"]): _cell(line) for line in mine.to_dict("records")}
        length = f"{float(steps) / 1e6:g}M" if float(steps) else ""
        rows.append((*names, length, *(cells.get(task, "") for task in tasks)))
    return tables.markdown(("Source", "Kind", "Tasks", "Steps", *tasks), rows, "llllr")


def _cell(line: Line) -> str:
    spread: str = "" if pd.isna(line["spread"]) else f" ± {amount(float(line['spread']))}"
    return estimate(line) + spread
