"""The Atari benchmark measures this project, Stable-Baselines3 and both floors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from repro.bench.__main__ import main
from repro.bench.rows import PHASES

SMALL = ["algorithm.horizon=8", "env.num_envs=2", "algorithm.minibatch_size=16"]


def test_the_file_holds_both_networks_and_their_floors(tmp_path: Path) -> None:
    out = tmp_path / "bench.json"
    arguments = ["--game", "breakout", "--policy", "cnn_a3c", "--rounds", "1", "--out", str(out)]
    assert main(["atari", *arguments, *SMALL]) == 0
    rows = {row["contender"]: row for row in json.loads(out.read_text())["rows"]}
    assert set(rows) == {"sb3", "ours", "emulator", "arithmetic"}
    assert all(row["total_us"] > 0 for row in rows.values())
    ours = rows["ours"]
    phases = sum(ours[f"{phase}_us"] for phase in PHASES)
    assert phases == pytest.approx(ours["total_us"], rel=0.1)
    assert ours["over_sb3"] == pytest.approx(rows["sb3"]["cpu_us"] / ours["cpu_us"])
    assert rows["emulator"]["total_us"] < ours["env_us"] * 1.5
    assert rows["arithmetic"]["total_us"] < ours["update_us"]
    assert ours["memory_mib"] < 1536, "one run takes less than 1.5 GiB"


def test_an_unknown_game_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["atari", "--game", "ponk", *SMALL]) == 2
    assert "did you mean pong?" in capsys.readouterr().err
