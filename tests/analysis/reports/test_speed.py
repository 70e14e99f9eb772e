"""`analysis speed`: ratios and hours follow from the benchmark's rows."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from analysis.__main__ import main
from analysis.reports import speed

TASKS = ("half_cheetah", "hopper", "inverted_double_pendulum", "inverted_pendulum", "reacher",
         "swimmer", "walker2d")  # fmt: skip


def row(env: str, contender: str, population: int | None, total: float) -> dict[str, object]:
    ours = contender == "ours"
    return {
        "env": env,
        "contender": contender,
        "population": population,
        "total_us": total,
        "low_us": total * 0.9,
        "high_us": total * 1.1,
        **{f"{phase}_us": total / 4 if ours else None for phase in speed.PHASES},
        "over_physics": total / 50,
        "over_sb3": 1000 / total,
        "memory_mib": 100.0 if ours else None,
    }


def bench(path: Path, rows: list[dict[str, object]], *overrides: str) -> Path:
    path.write_text(json.dumps({"overrides": list(overrides), "rows": rows}))
    return path


@pytest.mark.usefixtures("painted")
def test_hours_and_figure_of_all_tasks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [r for env in TASKS for r in (row(env, "physics", None, 50), row(env, "ours", 33, 60))]
    growth = [row("half_cheetah", "ours", p, 90 - p) for p in (1, 3, 11)]
    one = bench(tmp_path / "tasks.json", rows)
    two = bench(tmp_path / "growth.json", [*growth, row("half_cheetah", "sb3", None, 1000)])
    wide = bench(tmp_path / "wide.json", [row("hopper", "ours", 33, 500)], "policy.hidden=[256]")
    arguments = ["--bench", str(one), str(two), str(wide), "--out", str(tmp_path / "out")]
    assert main(["speed", *arguments]) == 0
    # 7 tasks of 33 x 999,424 steps at 60 microseconds each
    hours = 7 * 33 * 999_424 * 60e-6 / 3600
    printed = capsys.readouterr().out
    assert f"{hours:.1f} core-hours, {hours / 2:.1f} hours on two cores" in printed
    assert "mean over 7 tasks: 1.20" in printed
    table = pd.read_csv(tmp_path / "out" / "speed.csv")
    assert len(table) == 14 + 4 + 1
    assert (tmp_path / "out" / "speed.png").read_bytes().startswith(b"\x89PNG")


def test_algorithms_against_those_of_the_same_name(tmp_path: Path) -> None:
    old = [row("hopper", "ours", 33, 50)]
    new = [
        row("hopper", "ours", 1, 100 * i) | {"algorithm": name}
        for i, name in ((1, "ppo"), (2, "a2c"), (4, "trpo"))
    ]
    table = speed.load([bench(tmp_path / "old.json", old), bench(tmp_path / "new.json", new)])
    assert table["algorithm"].tolist() == ["ppo", "ppo", "a2c", "trpo"]
    text = speed.text(table)
    assert "ppo against Stable-Baselines3's, times as fast: 10.0 to 10.0 (pack of 1)" in text
    assert "a2c against Stable-Baselines3's, times as fast: 5.0" in text
    assert "trpo against Stable-Baselines3's, times as fast: 2.5" in text
    assert "against Stable" not in speed.text(table[table["algorithm"] == "ppo"])
    assert len(speed.packs_of_33(table)) == 1


def test_no_hours_where_a_task_lacks(tmp_path: Path) -> None:
    rows = [row(env, "ours", 33, 60) for env in TASKS[:6]]
    table = speed.load([bench(tmp_path / "six.json", rows)])
    assert "core-hours" not in speed.text(table)


@pytest.mark.parametrize("content", ["{", "[]", '{"rows": 3, "overrides": []}'])
def test_another_file_is_named(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "other.json"
    path.write_text(content)
    assert main(["speed", "--bench", str(path), "--out", str(tmp_path)]) == 2
    assert "give --bench a file of python -m repro.bench speed" in capsys.readouterr().err
