"""Programs take turns, and what is counted is what they did in their own."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from repro.bench import peers
from repro.bench.__main__ import main
from repro.errors import EXIT_BAD_INPUT

OURS = ["--python", sys.executable]  # simulators and Stable-Baselines3 are here too
SLEEPER = 'sh -c "while sleep 0.02; do echo SPS: 1; done"'


def test_simulators_take_turns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "deep" / "peers.json"
    names = "ours_step,gymnasium,dummy_vec_env"
    line = f"peers --env reacher --peers {names} --rounds 2 --iterations 1 --out {out}"
    assert main([*line.split(), *OURS]) == 0
    result = json.loads(out.read_text())
    assert result["command"].startswith("python -m repro.bench peers --env reacher")
    rows = {row["contender"]: row for row in result["rows"]}
    assert [*rows] == names.split(",")
    for row in rows.values():
        assert row["what"] == "simulation" and row["cores"] == 1
        assert 0 < row["low"] <= row["steps_per_second"] <= row["high"]
    assert rows["dummy_vec_env"]["over_baseline"] == 1
    assert "ours_step" in capsys.readouterr().out


def test_simulators_of_a_task_in_python(tmp_path: Path) -> None:
    out = tmp_path / "peers.json"
    line = "peers --env CartPole-v1 --peers ours_step,dummy_vec_env --envs 1,8 --rounds 1"
    assert main([*line.split(), "--out", str(out), *OURS]) == 0
    rows = json.loads(out.read_text())["rows"]
    assert [(row["env"], row["contender"], row["envs"]) for row in rows] == [
        ("CartPole-v1", name, envs) for envs in (1, 8) for name in ("ours_step", "dummy_vec_env")
    ]


@pytest.mark.slow
def test_training_on_two_cores(tmp_path: Path) -> None:
    out = tmp_path / "peers.json"
    line = f"peers --peers ours,sb3 --cores 1,2 --rounds 1 --iterations 2 --out {out}"
    assert main([*line.split(), *OURS]) == 0
    rows = json.loads(out.read_text())["rows"]
    assert [(row["contender"], row["cores"]) for row in rows] == [
        ("ours", 1), ("sb3", 1), ("ours", 2), ("sb3", 2)
    ]  # fmt: skip
    assert all(row["over_baseline"] > 2 for row in rows if row["contender"] == "ours")


def test_a_stopped_program_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two copies that sleep 20 ms an iteration do at most 100 a second, whoever else had a turn."""
    for name in ("first", "second"):
        monkeypatch.setitem(peers.PEERS, name, peers.Peer("training", SLEEPER, 1))
    with peers.running(["first", "second"], {}, 2) as started:
        copies = started["first"]
        for _ in range(2):
            assert 0 < peers.take_turn(copies, 10) < 51 * len(copies)
            before = [len(copy.ends) for copy in copies]
            peers.take_turn(started["second"], 5)
            assert before == [0] * len(copies)
    assert all(copy.process.poll() is not None for copy in copies)


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("/nowhere/python {id}", "needs /nowhere/python: make peers"),
        ('sh -c "echo no such task >&2"', "ended instead of running on (no such task)"),
    ],
)
def test_a_program_that_does_not_run_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, sentence: str
) -> None:
    monkeypatch.setitem(peers.PEERS, "other", peers.Peer("training", command, 1))
    assert main(["peers", "--peers", "other"]) == EXIT_BAD_INPUT
    assert f"other {sentence}" in capsys.readouterr().err
