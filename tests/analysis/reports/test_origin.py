"""`origin`: sums of time, the span of the sweep, and what the runs do not share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analysis.__main__ import main
from analysis.reports.origin import origin, sb3_speed
from analysis.runs.load import load_sweep
from repro.runs import store
from tests.helpers.synthetic_runs import identity, reseal, write_run

BENCH = Path(__file__).parents[3] / "results" / "speed" / "tasks.json"


def _write(runs_dir: Path, seed: int, seconds: float, **finish: Any) -> None:
    info = identity(seed=seed, env_name="hopper", steps=999_424)
    directory = write_run(runs_dir, info, [1.0], **finish)
    times = {"time_env": 3 * seconds, "time_update": seconds}
    columns: dict[str, Any] = {name: np.zeros(4, int) for name in store.PROGRESS}
    columns |= {name: np.full(4, value / 4) for name, value in times.items()}
    store.write_table(directory / "progress.parquet", columns, store.PROGRESS)
    reseal(directory)


@pytest.fixture
def runs_dir(tmp_path: Path) -> Path:
    store.write_sweep(tmp_path / "runs", [identity(seed=seed) for seed in range(3)])
    for seed, hour, revision in ((0, 10, "abc"), (1, 12, "def")):
        started, finished = (f"2026-11-25T{h}:00:00+00:00" for h in (hour, hour + 3))
        facts = {"git_revision": revision, "engine": "native", "resumed": [{}] * seed}
        _write(tmp_path / "runs", seed, 900.0, started_at=started, finished_at=finished, **facts)
    return tmp_path / "runs"


def _origin(runs_dir: Path, out: Path, *options: str) -> dict[str, Any]:
    assert main(["origin", "--runs", str(runs_dir), "--out", str(out), *options]) == 0
    values: dict[str, Any] = json.loads((out / "origin.json").read_text())
    return values


def test_times_add_up(runs_dir: Path, tmp_path: Path) -> None:
    values = _origin(runs_dir, tmp_path / "out")
    assert values["runs"] == {"DONE": 2, "MISSING": 1}
    assert values["steps"] == 2 * 999_424
    assert values["elapsed_hours"] == 5
    assert values["core_hours"] == pytest.approx(2)
    assert values["core_hours_by_phase"]["time_env"] == pytest.approx(1.5)
    assert values["interrupted_and_resumed"] == 1
    assert values["git_revision"] == {"abc": 1, "def": 1}
    text = (tmp_path / "out" / "origin.md").read_text()
    assert "abc (1 runs); def (1 runs)" in text and "env 75 %" in text


def test_each_run_has_its_own_time_on_demand(runs_dir: Path, tmp_path: Path) -> None:
    assert "each" not in _origin(runs_dir, tmp_path / "out")
    *done, missing = _origin(runs_dir, tmp_path / "out", "--each")["each"]
    for line in done:
        assert line["seconds"] == pytest.approx(3600)
        assert line["us_per_step"] == pytest.approx(3.6e9 / 999_424)
    assert (missing["status"], missing["steps"], missing["us_per_step"]) == ("MISSING", 0, None)
    text = (tmp_path / "out" / "origin.md").read_text()
    assert "60 minutes" in text and "3,602" in text and "n/a" in text


def test_sb3_would_take_its_own_time_for_the_same_steps(runs_dir: Path, tmp_path: Path) -> None:
    values = _origin(runs_dir, tmp_path / "out")
    microseconds = sb3_speed(BENCH)["hopper"]
    assert 100 < microseconds < 5000
    assert values["sb3_core_hours"] == pytest.approx(2 * 999_424 * microseconds / 3.6e9)


def test_a_task_without_a_measurement_leaves_sb3_open(runs_dir: Path) -> None:
    assert origin(load_sweep(runs_dir).runs, {})["sb3_core_hours"] is None


def test_collected_tables_say_the_same(runs_dir: Path, tmp_path: Path) -> None:
    assert main(["collect", "--runs", str(runs_dir), "--out", str(tmp_path / "tables")]) == 0
    _origin(runs_dir, tmp_path / "a", "--each")
    _origin(tmp_path / "tables", tmp_path / "b", "--each")
    for name in ("origin.md", "origin.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
