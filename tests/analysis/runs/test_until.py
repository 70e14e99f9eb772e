"""`--until`: runs of different lengths, compared where all of them have been."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.__main__ import main
from tests.helpers.synthetic_runs import identity, reseal, write_run

LINEAR = {"recipe.learning_rate_schedule": "linear"}


def run(runs_dir: Path, seed: int, total: int, **changes: Any) -> None:
    """Twenty episodes that return the step at which they ended, and the seed."""
    recipe = {key: value for key, value in changes.items() if "." in key}
    if "schedule" in changes:
        recipe |= LINEAR
    info = identity("Hopper-v4", "clip", 0.2, seed, total_timesteps=total, **recipe)
    directory = write_run(
        runs_dir,
        info,
        [step + seed for step in range(total // 20, total + 1, total // 20)],
        config_changes=recipe,
    )
    if "schedule" in changes:
        path = directory / "config.yaml"
        path.write_text(f"{path.read_text()}schedule_timesteps: {changes['schedule']}\n")
        reseal(directory)


def curves(runs_dir: Path, out: Path, *options: str) -> int:
    arguments = ["--runs", str(runs_dir), "--out", str(out), "--episodes", "1", "--points", "10"]
    return main(["curves", *arguments, *options])


def test_a_longer_run_counts_until_there(tmp_path: Path) -> None:
    run(tmp_path / "runs", 0, 1000, schedule=4000)
    run(tmp_path / "runs", 1, 2000, schedule=4000)
    run(tmp_path / "runs", 2, 4000, **LINEAR)
    out = tmp_path / "out"
    assert curves(tmp_path / "runs", out, "--until", "1000") == 0
    table = pd.read_csv(out / "curves.csv")
    assert table["step"].max() == 1000 and set(table["n_runs"][-5:]) == {3}
    assert table["mean"].iloc[-1] == 1001, "the mean of 1000, 1001 and 1002"
    assert "ends at 4,000 steps" in (out / "curves.md").read_text()


def test_other_schedules_and_other_lengths_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path / "runs", 0, 1000, **LINEAR)
    run(tmp_path / "runs", 1, 2000, **LINEAR)
    assert curves(tmp_path / "runs", tmp_path / "out") == 2
    assert "total_timesteps differs" in capsys.readouterr().err
    assert curves(tmp_path / "runs", tmp_path / "out", "--until", "1000") == 2
    assert "schedule_timesteps differs" in capsys.readouterr().err
    assert curves(tmp_path / "runs", tmp_path / "out", "--until", "1001") == 2
    assert "has 1000 steps, fewer than --until 1001" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_where_nothing_is_annealed_lengths_do_not_matter(tmp_path: Path) -> None:
    run(tmp_path / "runs", 0, 1000)
    run(tmp_path / "runs", 1, 2000)
    assert curves(tmp_path / "runs", tmp_path / "out", "--until", "1000") == 0
    text = (tmp_path / "out" / "curves.md").read_text()
    assert "2 of 2" in text and "ends at" not in text


def test_a_beginning_is_no_whole_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(tmp_path / "runs", 0, 1000, schedule=4000)
    run(tmp_path / "runs", 1, 1000, **LINEAR)
    assert curves(tmp_path / "runs", tmp_path / "out") == 2
    assert "schedule_timesteps differs" in capsys.readouterr().err
