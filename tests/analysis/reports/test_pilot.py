"""`pilot`: variants found by what differs, effects that are known, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.stats

from analysis.__main__ import main
from repro.runs import store
from tests.helpers.synthetic_runs import TASKS, identity, write_reference, write_run

ROWS: tuple[tuple[str, float | None], ...] = (
    ("none", None),
    ("clip", 0.2),
    ("kl_adaptive", 0.01),
)
BASE = {"none": 20.0, "clip_0.2": 90.0, "kl_adaptive_0.01": 60.0}
ANNEALED = {"recipe.learning_rate_schedule": "linear", "recipe.epsilon_schedule": "linear"}
CONSTANT = dict.fromkeys(ANNEALED, "constant")
CLIPPED = {"recipe.clip_actions": True}


def _write(
    runs_dir: Path, changes: dict[str, Any], shift: dict[str, float], tasks: tuple[str, ...]
) -> None:
    """A variant: seeds at -1, 0 and +1 around `BASE` and `shift`."""
    switches = CONSTANT | changes
    for task in tasks:
        for kind, value in ROWS:
            for seed in range(3):
                info = identity(task, kind, value, seed, **switches)
                row = info["objective_label"]
                level = BASE[row] + shift.get(row, 0.0) + seed - 1
                write_run(runs_dir, info, [level] * 5, config_changes=switches)


@pytest.fixture(scope="module")
def runs_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tasks; annealing helps everything by 3, clipping of actions helps `none` by 30."""
    directory = tmp_path_factory.mktemp("pilot")
    _write(directory, {}, {}, TASKS[:2])
    _write(directory, ANNEALED, dict.fromkeys(BASE, 3.0), TASKS[:2])
    _write(directory, CLIPPED, {"none": 30.0}, TASKS[:2])
    return directory


def _pilot(runs_dir: Path, out: Path, *more: str) -> dict[str, Any]:
    reference = write_reference(out.parent / "reference")
    arguments = ["--runs", str(runs_dir), "--out", str(out), "--reference", str(reference)]
    assert main(["pilot", *arguments, *more]) == 0
    answers: dict[str, Any] = json.loads((out / "pilot.json").read_text())
    return answers


def test_variants_are_what_differs_from_the_most_frequent_values(
    runs_dir: Path, tmp_path: Path
) -> None:
    answers = _pilot(runs_dir, tmp_path / "out")
    assert answers["base"] == "recipe=paper"
    assert answers["variants"] == {
        "actions clipped": {"recipe.clip_actions": "true"},
        "ε annealed, step size annealed": ANNEALED,
    }


def test_effects_are_the_ones_put_in(runs_dir: Path, tmp_path: Path) -> None:
    answers = _pilot(runs_dir, tmp_path / "out")["scores"]
    # The best run of a task is clip 0.2, annealed, seed 2: 90 + 3 + 1, and random is 0.
    none = answers["none"]["effects"]
    assert [effect["variant"] for effect in none] == [
        "actions clipped",
        "ε annealed, step size annealed",
    ]
    assert answers["none"]["base"] == pytest.approx(20 / 94)
    assert [effect["difference"] for effect in none] == pytest.approx([30 / 94, 3 / 94])
    gap = answers["clip_0.2 - none"]
    assert gap["base"] == pytest.approx(70 / 94)
    assert gap["effects"][0]["variant"] == "actions clipped"
    assert gap["effects"][0]["difference"] == pytest.approx(-30 / 94)
    assert gap["effects"][0]["beyond_noise"] and not gap["effects"][1]["beyond_noise"]
    assert gap["effects"][1]["difference"] == pytest.approx(0, abs=1e-12)
    text = (tmp_path / "out" / "pilot.md").read_text()
    assert "What moves `none` most: actions clipped (+0.32 [" in text
    assert "What moves `clip_0.2 - none` most: actions clipped (-0.32 [" in text


def test_every_cell_has_its_mean_interval_and_difference(runs_dir: Path, tmp_path: Path) -> None:
    _pilot(runs_dir, tmp_path / "out")
    table = pd.read_csv(tmp_path / "out" / "pilot.csv")
    assert len(table) == 3 * 2 * 3
    assert (table["n_runs"] == 3).all() and (table["n_expected"] == 3).all()
    cell = table[(table["variant"] == "actions clipped") & (table["row"] == "none")]
    assert cell["changed"].tolist() == ["recipe.clip_actions=true"] * 2
    assert cell["return"].tolist() == [50.0, 50.0]
    assert cell["difference"].tolist() == [30.0, 30.0]
    # Of -1, 0, 1 on each side, as of most of the task's cells: a variance between 1 and 1 / 0.69.
    bound = 2 * scipy.stats.t.ppf(0.975, 4) * np.sqrt(1 / np.log(2) / 3)
    assert ((cell["difference_low"] > 30 - bound) & (cell["difference_low"] < 30)).all()
    assert ((cell["difference_high"] < 30 + bound) & (cell["difference_high"] > 30)).all()
    assert table.loc[table["variant"] == "recipe=paper", "difference"].isna().all()
    assert (tmp_path / "out" / "pilot.png").read_bytes().startswith(b"\x89PNG")


def test_the_base_can_be_named(runs_dir: Path, tmp_path: Path) -> None:
    answers = _pilot(runs_dir, tmp_path / "out", "--base", "recipe.clip_actions=true")
    assert answers["base"] == "recipe=paper"
    names = {tuple(changed) for changed in answers["variants"].values()}
    assert ("recipe.clip_actions",) in names and len(names) == 2
    assert answers["scores"]["none"]["effects"][0]["difference"] < 0


def test_whole_recipes_are_variants_with_the_settings_they_bring(tmp_path: Path) -> None:
    _write(tmp_path / "runs", {}, {}, TASKS[:1])
    ppo2 = {"recipe.name": "ppo2", "recipe.clip_actions": True, "algorithm.learning_rate": 1e-3}
    for seed in range(3):
        changes = CONSTANT | ppo2
        info = identity(TASKS[0], "none", None, seed, recipe="ppo2", **changes)
        write_run(tmp_path / "runs", info, [10.0 + seed] * 5, config_changes=changes)
    answers = _pilot(tmp_path / "runs", tmp_path / "out", "--base", "recipe=paper")
    assert list(answers["variants"]) == ["recipe=ppo2"]
    assert answers["scores"]["none"]["effects"][0]["difference"] == pytest.approx(-9 / 91)


def test_a_hole_is_counted_and_a_lost_task_takes_the_difference(tmp_path: Path) -> None:
    _write(tmp_path / "runs", {}, {}, TASKS[:2])
    _write(tmp_path / "runs", CLIPPED, {}, TASKS[:1])
    switches = CONSTANT | CLIPPED
    lost = identity(TASKS[1], "none", None, 0, **switches)
    write_run(tmp_path / "runs", lost, [1e6], status=store.FAILED, config_changes=switches)
    _pilot(tmp_path / "runs", tmp_path / "out", "--base", "recipe.clip_actions=false")
    scores = pd.read_csv(tmp_path / "out" / "pilot_scores.csv")
    line = scores[(scores["variant"] == "actions clipped") & (scores["quantity"] == "none")]
    assert line[["n_runs", "n_expected"]].to_numpy().tolist() == [[3, 4]]
    assert line["difference"].isna().all()
    text = (tmp_path / "out" / "pilot.md").read_text()
    assert f"{lost['run_id']}: failed" in text and "(3 of 4)" in text


@pytest.mark.parametrize(
    ("changes", "more", "part"),
    [
        ([{}], [], "share all switches"),
        ([{}, CLIPPED], [], "such as --base recipe.clip_actions=false"),
        ([{}, CLIPPED], ["--base", "recipe.clip_actions=maybe"], "met by no variant"),
        ([{}, CLIPPED], ["--base", "recipe=paper"], "met by 2 variants"),
        ([{}, {"algorithm.learning_rate": 1.0} | CLIPPED], [], "algorithm.learning_rate differs"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_a_sentence(
    tmp_path: Path,
    changes: list[dict[str, Any]],
    more: list[str],
    part: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for change in changes:
        _write(tmp_path / "runs", change, {}, TASKS[:1])
    if "algorithm.learning_rate" in changes[-1]:
        more = ["--base", "recipe.clip_actions=false"]
    arguments = ["pilot", "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]
    assert main([*arguments, *more]) == 2
    error = capsys.readouterr().err
    assert part in error and error.count("\n") == 1


@pytest.mark.usefixtures("painted")
def test_two_invocations_and_collected_tables_give_equal_bytes(
    runs_dir: Path, tmp_path: Path
) -> None:
    assert main(["collect", "--runs", str(runs_dir), "--out", str(tmp_path / "tables")]) == 0
    _pilot(runs_dir, tmp_path / "a")
    _pilot(tmp_path / "tables", tmp_path / "b")
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == ["pilot.csv", "pilot.json", "pilot.md", "pilot.png", "pilot_scores.csv"]
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
