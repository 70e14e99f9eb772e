"""`living`: Table 1 and Figure 3 as pages that can be asked, each run in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from analysis import cli
from analysis.reports.explain.document import choice, controls, document, script, slider
from analysis.reports.living.numbers import read_figure3, read_table1
from analysis.settings import DEFAULTS, RANDOM_POLICIES

WEB = Path(__file__).parent / "web"
_RESULTS = cli.option(
    "--results",
    "the directory of the collected tables (default: results)",
    type=Path,
    default=DEFAULTS.reference.parent,
    metavar="DIR",
)
_TABLE = (
    '<div class="scroll" tabindex="0" role="region" aria-label="{0}">'
    '<table id="table"></table></div>'
)
_BEST = {"run": "the best single run", "mean": "the mean of the best row"}


@cli.command("living", _RESULTS)
def command(given: cli.Given) -> cli.Output:
    """Table 1 and Figure 3 as pages with every run in them."""
    return cli.Output(pages(given.results), f"Pages of the runs in {given.results}.")


def pages(results: Path = DEFAULTS.reference.parent) -> dict[str, bytes]:
    """The pages by name of their files."""
    return {"table1.html": _table1(results), "figure3.html": _figure3(results)}


def write(out: Path) -> None:
    """The pages of the committed runs, in a directory."""
    cli.write_output(cli.Output(pages(), ""), out)


def _tasks(names: list[str]) -> str:
    boxes = "".join(
        f'<label><input type="checkbox" class="task" value="{i}" checked> {name}</label>'
        for i, name in enumerate(names)
    )
    return f'<fieldset class="wide"><legend>Tasks that count</legend>{boxes}</fieldset>'


def _places(names: list[str]) -> dict[str, str]:
    return {str(place): name for place, name in enumerate(names)}


def _scripts(name: str, data: dict[str, Any]) -> list[str]:
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return [script("living", WEB), f"const DATA = {text};", script(name, WEB)]


def _table1(results: Path) -> bytes:
    data = read_table1(results)
    rows, seeds = [row["name"] for row in data["rows"]], sorted({r["seed"] for r in data["runs"]})
    asked = controls(
        choice("best", "Score 1 is", _BEST),
        choice("random", "Score 0 is a random policy with", RANDOM_POLICIES),
        choice("row", "Objective of the curve", _places(rows)),
        choice("of", "Task of the curve", _places(data["tasks"])),
        choice("seed", "Seed of the curve", {str(seed): str(seed) for seed in seeds}),
    )
    return document(
        f"Table 1, alive: {len(data['runs'])} runs of a million steps",
        "Each small dot is a run, each large one a row of the table with its 95 % interval, each "
        "hollow diamond what the paper prints. Touch a run to see its learning curve; leave tasks "
        "out, or change what scores 0 and 1, which the paper leaves open.",
        asked + _tasks(data["tasks"]),
        ("Scores of the runs and rows", "The run's learning curve"),
        (
            ("gray", "● no clipping or penalty"),
            ("blue", "● clipping"),
            ("orange", "● adaptive KL"),
            ("green", "● fixed KL"),
            ("ink", "◇ the paper"),
        ),
        _TABLE.format("Table 1 under these choices"),
        "From <code>results/table1</code>, by <code>python -m analysis living</code>. The "
        "intervals are those of <code>python -m analysis table1</code>, from the same replicates.",
        _scripts("table1", data),
    )


def _figure3(results: Path) -> bytes:
    data = read_figure3(results)
    rows, last = [row["name"] for row in data["rows"]], len(data["steps"]) - 1
    asked = controls(
        choice("task", "Task", _places(data["tasks"])),
        choice("row", "Algorithm", _places(rows)),
        slider("step", "Steps so far", 0, last, 1, last),
    )
    return document(
        f"Figure 3, alive: {len(rows)} algorithms on {len(data['tasks'])} tasks",
        "The chosen algorithm's runs are blue, the paper's curve of it is dashed, and the means of "
        "all others are gray. Move the slider to read every algorithm at an earlier step, beside "
        "the paper at the same step. Touch a line or a dot to learn what it is.",
        asked,
        ("Learning curves", "Returns at this step"),
        (
            ("blue", "● the chosen algorithm"),
            ("gray", "● others"),
            ("orange", "◇ and dashed: the paper"),
        ),
        _TABLE.format("Returns at this step"),
        "From <code>results/figure3_medium</code>, by <code>python -m analysis living</code>; "
        "returns are means of the last 100 training episodes.",
        _scripts("figure3", data),
    )
