"""`search`: cells by filter, advantages and change; candidates by the plan's rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.__main__ import main
from analysis.settings import DEFAULT_REFERENCE
from tests.helpers.synthetic_runs import TASKS, identity, write_run

FOLDER = DEFAULT_REFERENCE.parent / "table1_search"
RAW = {"recipe.advantage_normalization": "none", "recipe.advantage_std": "biased"}
CENTRED = {"recipe.advantage_normalization": "rollout", "recipe.advantage_std": "none"}


def _write(runs: Path, returns: list[float], changes: dict[str, Any]) -> None:
    filtered = {"recipe.observation_normalization": "rollout"} | changes
    for seed, value in enumerate(returns):
        info = identity(TASKS[0], "none", None, seed, **filtered)
        write_run(runs, info, [value] * 5, config_changes=filtered)


def test_candidates_are_those_of_the_rule(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    _write(runs, [-5_000.0, -3_000.0, 100.0], RAW)
    _write(runs, [-9_000.0, 0.0, 0.0], RAW | {"algorithm.learning_rate": 0.01})
    _write(runs, [-900.0, -800.0, -700.0], CENTRED)
    _write(runs, [-90_000.0, -80_000.0, -70_000.0], CENTRED | {"recipe.time_limit": "bootstrap"})
    assert main(["search", "--runs", str(runs), "--out", str(tmp_path / "out")]) == 0
    found = pd.read_csv(tmp_path / "out" / "search.csv", keep_default_na=False)
    cells = found.set_index(["advantages", "change"])
    assert len(cells) == 4
    assert cells["candidate"].to_dict() == {
        ("centred by rollout", ""): False,  # not low enough
        ("raw", ""): True,
        ("centred by rollout", "time_limit = bootstrap"): False,  # too low
        ("raw", "learning_rate = 0.01"): False,  # one seed alone
    }
    assert cells.loc[("raw", ""), ["least", "most", "below_random"]].tolist() == [-5000, 100, 2]
    assert (tmp_path / "out" / "search.png").read_bytes().startswith(b"\x89PNG")


def test_two_tasks_are_no_search(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for task in TASKS[:2]:
        info = identity(task, "none", None, 0)
        write_run(tmp_path / "runs", info, [1.0])
    assert main(["search", "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "o")]) == 2
    assert "one task and one objective" in capsys.readouterr().err
