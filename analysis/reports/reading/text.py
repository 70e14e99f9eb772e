"""The reading as Markdown."""

from __future__ import annotations

import argparse
from collections.abc import Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.drawing import text as render
from analysis.drawing.style import objective_name
from analysis.reports.reading.claims import PAPERS_BEST, SURE, verdict
from analysis.reports.table1 import text as table1_notes
from analysis.runs.load import Sweep

if TYPE_CHECKING:
    from analysis.reports.reading.command import Reading

OURS = "here"
Answers = Mapping[str, Any]
_BEST = {"run": "best run", "mean": "best mean"}
_RANDOM = {"gaussian": "Gaussian", "gaussian_clipped": "Gaussian, clipped", "uniform": "uniform"}


def markdown(reading: Reading, sweep: Sweep, options: argparse.Namespace) -> str:
    """The whole text."""
    main = next(iter(reading.tables.values()))
    answers = next(iter(reading.claims.values()))
    parts = [
        "# Reading of Table 1\n",
        "## Scores beside the paper's\n",
        _scores(main.rows, answers),
        "",
        _correlation(answers),
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
    tail = render.bullets("Notes", [*_NOTES, *table1_notes.notes(main, sweep, options)])
    tail += render.bullets("Missing runs", table1_notes.holes(main.runs))
    return ("\n".join(parts) + "\n" + tail).rstrip("\n")


_NOTES = (
    "A probability is the share of the bootstrap replicates behind Table 1's intervals for which "
    f"the statement is true; it holds from {100 * SURE:.0f} % on, fails from "
    f"{100 * (1 - SURE):.0f} % down, and between lies within noise. It speaks of other seeds on "
    "the scale printed here, not of other tasks or settings.",
    "`Same` sources run the paper's settings or close to them for 1M steps and report training "
    "returns, of other versions of the tasks; `other` ones differ in recipe, length or measure.",
)


def _scores(rows: pd.DataFrame, answers: Answers) -> str:
    best = answers["probability_best"]
    lines = []
    for line in _lines(rows):
        difference = float(line["score"]) - float(line["paper_score"])
        lines.append(
            (
                objective_name(str(line["objective"]), float(line["value"])),
                render.score(line["score"]),
                render.interval(line["ci_low"], line["ci_high"]),
                render.of(line["n_runs"], line["n_expected"]),
                render.score(line["paper_score"]),
                render.signed(render.score(difference)),
                _inside(line),
                _percent(best.get(line["row"], np.nan)),
            )
        )
    header = ("Objective", "Score", "95 % interval", "Runs", "Paper", "Difference")
    return render.markdown_table((*header, "Paper is", "Best row"), lines, "lrrrrrlr")


def _inside(line: Mapping[Hashable, Any]) -> str:
    low, high, paper = (float(line[key]) for key in ("ci_low", "ci_high", "paper_score"))
    if np.isnan([low, high, paper]).any():
        return render.NOT_KNOWN
    return "inside" if low <= paper <= high else "above" if paper > high else "below"


def _correlation(answers: Answers) -> str:
    every, some = (answers[key] for key in ("rank_correlation", "rank_correlation_without_none"))
    return (
        f"Spearman's rank correlation with the paper's column: {_rho(every)}; without the row "
        f"without clipping or penalty: {_rho(some)}."
    )


def _rho(found: Answers) -> str:
    between = render.interval(found["low"], found["high"])
    p = render.NOT_KNOWN if np.isnan(found["p"]) else f"{found['p']:.2g}"
    return f"{render.score(found['rho'])} {between} over {found['rows']} rows (p = {p})"


def statements(answers: Answers) -> list[tuple[str, str, float]]:
    """The paper's statements: in words, what these runs have, and the probability."""
    found = []
    best = answers["probability_best"]
    found.append(
        (
            "Clipping at 0.2 is best of all",
            f"best here: {answers['best_row'] or render.NOT_KNOWN}",
            float(best.get(PAPERS_BEST, np.nan)),
        )
    )
    words = {
        "best": "The best clipping beats the best KL penalty",
        "named": "... and so do the two rows that are best here",
        "mean": "... and so does the mean of the clipping rows that of the KL rows",
    }
    for key, text in words.items():
        one = answers["clip_over_kl"].get(key)
        if one is not None:
            rows = f" ({' - '.join(one['rows'])})" if "rows" in one else ""
            between = render.interval(one["low"], one["high"])
            difference = f"{render.signed(render.score(one['difference']))} {between}{rows}"
            found.append((text, difference, float(one["probability"])))
    none = answers["none"]
    if none:
        score = f"{render.score(none['score'])} {render.interval(none['low'], none['high'])}"
        found.append(("Without clipping or penalty the score is negative", score, none["negative"]))
        found.append(_one_task(none))
    return found


def _one_task(none: Answers) -> tuple[str, str, float]:
    """The statement that the task whose loss raises the score most makes it negative."""
    text, without = "... and that is one task's doing", none["without"]
    if not without:
        return text, render.NOT_KNOWN, float("nan")
    task = max(without, key=lambda name: without[name]["score"])
    rest = without[task]
    between = render.interval(rest["low"], rest["high"])
    return text, f"without {task} {render.score(rest['score'])} {between}", rest["its_doing"]


def _statements(answers: Answers) -> str:
    rows = [
        (text, shown, _percent(probability), verdict(probability))
        for text, shown, probability in statements(answers)
    ]
    header = ("The paper's statement", "These runs", "Probability", "Verdict")
    return render.markdown_table(header, rows, "llrl")


def _without(answers: Answers) -> str:
    none = answers["none"]
    if not none:
        return "No interval for that row."
    rows = [
        (
            task,
            render.score(one["of_task"]),
            render.score(one["score"]),
            render.interval(one["low"], one["high"]),
            _percent(one["negative"]),
        )
        for task, one in none["without"].items()
    ]
    header = ("Task", "Score in it", "Score without it", "95 % interval", "Negative")
    return render.markdown_table(header, rows, "lrrrr")


def _conventions(reading: Reading) -> str:
    main = next(iter(reading.tables.values()))
    names = [_convention(key) for key in reading.tables]
    tables = [table.rows.set_index("row") for table in reading.tables.values()]
    rows = []
    for line in _lines(main.rows):
        scores = [render.score(_number(table, line["row"], "score")) for table in tables]
        name = objective_name(str(line["objective"]), float(line["value"]))
        rows.append((name, *scores, render.score(line["paper_score"])))
    header = ("Objective", *names, "Paper")
    return render.markdown_table(header, rows, "l" + "r" * (len(names) + 1))


def _number(table: pd.DataFrame, row: object, column: str) -> float:
    return float(table[column].to_dict()[row])


def _convention(key: tuple[str, str]) -> str:
    return f"{_BEST[key[0]]}, {_RANDOM[key[1]]}"


def _answers(reading: Reading) -> str:
    """One line a question, one column a convention."""
    every = list(reading.claims.values())
    names = [_convention(key) for key in reading.claims]
    lists = [{text: probability for text, _, probability in statements(a)} for a in every]
    texts = list(lists[0])
    rows: list[Sequence[str]] = [
        ("Spearman's correlation", *(render.score(a["rank_correlation"]["rho"]) for a in every)),
        ("Best row", *(str(a["best_row"] or render.NOT_KNOWN) for a in every)),
        *((text, *(_percent(one.get(text, np.nan)) for one in lists)) for text in texts),
    ]
    return render.markdown_table(("Question", *names), rows, "l" + "r" * len(names))


def _switches(reading: Reading) -> list[str]:
    """What the pilot says of other switches, the clipping of actions among them."""
    if reading.pilot is None:
        return []
    scores = reading.pilot.scores
    quantities = scores["quantity"].drop_duplicates().tolist()
    lines = {(line["variant"], line["quantity"]): line for line in _lines(scores)}
    rows = [
        (variant.name, *(_switched(lines[variant.name, quantity]) for quantity in quantities))
        for variant in reading.pilot.variants
    ]
    tasks = sorted(set(reading.pilot.runs["task"]))
    return [
        "\n## Under other switches of the recipe\n",
        f"Scores of the pilot ({', '.join(tasks)}; shorter runs, a scale of its own, so only its "
        "lines compare with one another); the change from its first line in brackets.\n",
        render.markdown_table(("Recipe", *quantities), rows, "l" + "r" * len(quantities)),
    ]


def _switched(line: Mapping[Hashable, Any]) -> str:
    text = f"{render.score(line['score'])} {render.interval(line['ci_low'], line['ci_high'])}"
    if np.isnan(line["difference"]):
        return text
    return f"{text} ({render.signed(render.score(line['difference']))})"


def beside(ppo: pd.DataFrame, task: str) -> dict[str, Any]:
    """Our return in a task, the range of the sources of the `same` kind, and whether it is inside.

    Inside means that our interval and the range have something in common.
    """
    mine = ppo[(ppo["task"] == task) & (ppo["kind"] == "ours")].iloc[0]
    same = ppo.loc[(ppo["task"] == task) & (ppo["kind"] == "same"), "return"].astype(float)
    low, high = float(mine["ci_low"]), float(mine["ci_high"])
    known = not same.empty and not np.isnan(low)
    return {
        "return": float(mine["return"]),
        "ci_low": low,
        "ci_high": high,
        "lowest": float(same.min()) if len(same) else float("nan"),
        "highest": float(same.max()) if len(same) else float("nan"),
        "sources": len(same),
        "inside": bool(low <= same.max() and high >= same.min()) if known else None,
    }


def _ranges(ppo: pd.DataFrame) -> list[str]:
    lines = []
    for task in dict.fromkeys(ppo["task"].astype(str)):
        one = beside(ppo, task)
        if one["inside"] is None:
            continue
        place = "inside" if one["inside"] else "outside"
        between = render.amounts(one["lowest"], one["highest"])
        lines.append(
            f"- {task}: {render.amount(one['return'])} "
            f"{render.amounts(one['ci_low'], one['ci_high'])} is {place} the range of the "
            f"{one['sources']} sources of the same kind, {between}."
        )
    return lines


def _elsewhere(ppo: pd.DataFrame) -> str:
    tasks = list(dict.fromkeys(ppo["task"].astype(str)))
    rows = []
    keys = ["source", "kind", "version", "steps"]
    for key, mine in ppo.fillna({"steps": 0.0}).groupby(keys, sort=False):
        source, kind, version, steps = key
        cells = {str(line["task"]): _cell(line) for line in _lines(mine)}
        length = f"{float(str(steps)) / 1e6:g}M" if steps else ""
        names = (str(source), str(kind), str(version), length)
        rows.append((*names, *(cells.get(task, "") for task in tasks)))
    header = ("Source", "Kind", "Tasks", "Steps", *tasks)
    return render.markdown_table(header, rows, "llll" + "r" * len(tasks))


def _cell(line: Mapping[Hashable, Any]) -> str:
    text = render.amount(float(line["return"]))
    if line["kind"] == "ours" and not np.isnan(line["ci_low"]):
        return f"{text} {render.amounts(line['ci_low'], line['ci_high'])}"
    return text if pd.isna(line["spread"]) else f"{text} ± {render.amount(float(line['spread']))}"


def _percent(probability: float) -> str:
    """`97 %`; what is not certain is never written as 0 or 100."""
    if np.isnan(probability):
        return render.NOT_KNOWN
    if 0 < probability < 0.01:
        return "< 1 %"
    return "> 99 %" if 0.99 < probability < 1 else f"{100 * probability:.0f} %"


def _lines(table: pd.DataFrame) -> list[dict[Hashable, Any]]:
    return table.to_dict("records")
