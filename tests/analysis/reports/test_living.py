"""The living figures hold the committed runs, and compute what the reports do."""

from __future__ import annotations

import json
import shutil
import subprocess
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.__main__ import main
from analysis.published.paper import paper_table1, task_name
from analysis.reports.living import WEB, numbers
from analysis.reports.table1 import numbers as table1
from analysis.runs.load import load_sweep
from analysis.settings import BEST, DEFAULTS, RANDOM_POLICIES
from analysis.statistics.bootstrap import stream, summary
from analysis.statistics.cells import strata, typical_by_task
from analysis.statistics.estimates import replicates

RESULTS = DEFAULTS.reference.parent
NODE = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed: apt install nodejs")


@pytest.fixture(scope="module")
def data() -> dict[str, Any]:
    return numbers.read_table1(RESULTS)


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    return table1.build(load_sweep(RESULTS / "table1")).runs


def test_every_run_is_there(data: dict[str, Any], runs: pd.DataFrame) -> None:
    assert len(data["runs"]) == len(runs) == 231
    tasks, rows = sorted(set(runs["task"])), paper_table1(DEFAULTS.reference)["row"].tolist()
    expected = runs.set_index(["row", "task", "seed"])["return"]
    for run in data["runs"]:
        result = expected[rows[run["row"]], tasks[run["task"]], run["seed"]]
        assert run["result"] == pytest.approx(result, rel=1e-8)
        assert run["curve"][-1] == pytest.approx(result, rel=1e-3)


def rows_in_node(data: dict[str, Any], asked: list[Any], folder: Path) -> Any:
    """`rowsOf` for each of many (tasks, random, best)."""
    path = folder / "data.json"
    path.write_text(json.dumps({"data": data, "asked": asked}))
    script = (
        "globalThis.window = globalThis;"
        f"const f = require({json.dumps(str(WEB / 'living.js'))});"
        f"const {{data, asked}} = JSON.parse(require('fs').readFileSync({json.dumps(str(path))}));"
        "console.log(JSON.stringify(asked.map((x) => f.rowsOf(data, ...x))));"
    )
    assert NODE is not None
    done = subprocess.run([NODE, "-e", script], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@needs_node
def test_the_score_is_the_reports_under_every_convention(
    data: dict[str, Any], runs: pd.DataFrame, tmp_path: Path
) -> None:
    conventions = list(product(RANDOM_POLICIES, BEST))
    every = list(range(len(data["tasks"])))
    found = rows_in_node(data, [[every, *convention] for convention in conventions], tmp_path)
    for (random, best), rows in zip(conventions, found, strict=True):
        expected = table1.score(runs, replace(DEFAULTS, random=random, best=best)).rows
        ours = pd.DataFrame(rows)
        np.testing.assert_allclose(ours["score"], expected["score"], rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(ours["low"], expected["ci_low"], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(ours["high"], expected["ci_high"], rtol=1e-5, atol=1e-6)
        assert ours["runs"].tolist() == expected["n_runs"].tolist()


@needs_node
def test_a_choice_of_tasks_is_a_mean_over_these(
    data: dict[str, Any], runs: pd.DataFrame, tmp_path: Path
) -> None:
    kept = [0, 3, 6]
    (rows,) = rows_in_node(data, [[kept, "uniform", "run"]], tmp_path)
    table = table1.score(runs, replace(DEFAULTS, random="uniform"))
    common = typical_by_task(table.scores.runs, column="score")
    for row, own in zip(table.rows["row"], rows, strict=True):
        rng = stream(DEFAULTS.seed, "row", row)
        values = strata(table.scores.runs, row, "score")
        draws = [
            replicates(each, common[task], DEFAULTS.replicates, rng)
            for task, each in values.items()
        ]
        expected = summary(np.mean([draws[task] for task in kept], axis=0))
        np.testing.assert_allclose(
            [own["score"], own["low"], own["high"]], expected, rtol=1e-5, atol=1e-6
        )
        assert own["runs"] == 9


def test_figure3_ends_with_the_committed_returns() -> None:
    found = numbers.read_figure3(RESULTS)
    table = pd.read_csv(RESULTS / "figure3_medium" / "figure3.csv")
    assert len(found["rows"]) * len(found["tasks"]) == len(table)
    names = {task: place for place, task in enumerate(found["tasks"])}
    order = list(dict.fromkeys(table["algorithm"]))
    for line in table.to_dict("records"):
        task, row = names[task_name(line["task"])], order.index(line["algorithm"])
        own = [run["result"] for run in found["runs"] if (run["row"], run["task"]) == (row, task)]
        assert np.mean(own) == pytest.approx(line["return"], rel=1e-7)
        assert found["rows"][row]["paper"][task][-1] == pytest.approx(line["paper"], rel=1e-3)


def test_the_command_writes_both_pages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["living", "--out", str(tmp_path)]) == 0
    for name in ("table1.html", "figure3.html"):
        text = (tmp_path / name).read_text()
        assert "default-src 'none'" in text and len(text) < 800_000
    assert main(["living", "--results", str(tmp_path), "--out", str(tmp_path / "o")]) == 2
    assert "is no directory" in capsys.readouterr().err
