"""`search`: cells by filter, advantages and change; candidates by the plan's rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.__main__ import main
from analysis.drawing.text import amount, estimate
from analysis.reports import search
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


# The reading in results/table1_search/README.md, with what its numbers are.
READING = (
    "{cells} cells, {runs} runs, none failed",
    "Without the observation filter raw advantages end at {raw}; centred by rollout, and not "
    "scaled, they end at {centred}, standardized at {standard}.",
    "With the filter the last two are {f_centred} and {f_standard}, while raw advantages bring one "
    "seed to {worst}.",
    "None of the {n_centred} cells with centred advantages is a candidate, and none of the "
    "{n_standard} with standardized ones; their lowest seed is at {lowest}.",
    "raw advantages end at {bootstrap}, and with a step size of 1e-4 at {slow}.",
    "With the filter the second fits ({f_slow}), and the first does not: there bootstrapping ends "
    "at {f_bootstrap}, lower than without it.",
    "standardized advantages end at {r_standard} without it and at {f_standard} with it.",
    "makes divergence larger, {f_raw} on average",
    "An entropy bonus of 0.01 brings no cell with advantages of mean 0 below {bonus} on average. "
    "With raw ones and no filter it gives {r_bonus}, three of three seeds below the random policy.",
    "with clipped actions the raw cell without a filter ends at {clipped}.",
    "(mean between -30,000 and -2,000, two of three seeds below random): {candidates} of the "
    "cells, all with raw advantages. In the range that -0.39 needs, -17,000 to -7,000, are two of "
    "them: no filter with an entropy bonus, and the filter with a step size of 1e-3, {fast}.",
)


def test_every_number_of_the_reading_is_in_the_table() -> None:
    found = pd.read_csv(FOLDER / "search.csv", keep_default_na=False)
    cells = found.set_index(["filter", "advantages", "change"])
    assert cells.index.is_unique and (found["n_runs"] == found["n_expected"]).all()
    zero = found["advantages"] != "raw"
    assert not found.loc[zero, "candidate"].any()
    needed = found[found["candidate"] & found["return"].between(*search.NEEDED)]
    assert sorted(needed["change"]) == ["entropy_coef = 0.01", "learning_rate = 0.001"]

    def mean(*key: str) -> str:
        return amount(cells.loc[key, "return"])

    def whole(*key: str) -> str:
        return estimate(cells.loc[key].to_dict())

    rollout, bonus = "centred by rollout", "entropy_coef = 0.01"
    assert cells.loc[("no", "raw", bonus), "below_random"] == 3
    values = {
        "cells": len(found),
        "runs": found["n_runs"].sum(),
        "raw": whole("no", "raw", ""),
        "centred": whole("no", rollout, ""),
        "standard": whole("no", "standardized by rollout", ""),
        "f_centred": mean("yes", rollout, ""),
        "f_standard": mean("yes", "standardized by rollout", ""),
        "r_standard": mean("no", "standardized by rollout", ""),
        "f_raw": mean("yes", "raw", ""),
        "worst": amount(cells.loc[("yes", "raw", ""), "least"]),
        "n_centred": found["advantages"].str.startswith("centred").sum(),
        "n_standard": found["advantages"].str.startswith("standard").sum(),
        "lowest": amount(found.loc[zero, "least"].min()),
        "bootstrap": mean("no", "raw", "time_limit = bootstrap"),
        "slow": mean("no", "raw", "learning_rate = 0.0001"),
        "f_bootstrap": mean("yes", "raw", "time_limit = bootstrap"),
        "f_slow": mean("yes", "raw", "learning_rate = 0.0001"),
        "bonus": amount(found.loc[zero & (found["change"] == bonus), "return"].min()),
        "r_bonus": whole("no", "raw", bonus),
        "clipped": mean("no", "raw", "clip_actions = true"),
        "candidates": found["candidate"].sum(),
        "fast": whole("yes", "raw", "learning_rate = 0.001"),
    }
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    text = " ".join(readme.replace("**", "").split())
    for sentence in READING:
        assert sentence.format(**values) in text, sentence.format(**values)
