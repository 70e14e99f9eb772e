"""`python -m repro.bench gpu`: its order, its end, and what it leaves; measured on a processor."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from repro.bench import gpu
from repro.bench.__main__ import main
from tests.helpers.configs import compose


def test_without_a_gpu_it_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for further in ([], ["--check"]):
        assert main(["gpu", "--out", str(tmp_path / "out"), *further]) == 2
        said = capsys.readouterr()
        assert said.err.count("\n") == 1 and "torch finds no GPU here" in said.err
        assert not said.out and not (tmp_path / "out").exists()


def test_what_matters_comes_first_and_on_each_device(tmp_path: Path) -> None:
    plan = gpu.measurements(tmp_path, ["cuda:1", "cpu"], list(gpu.PLAN))
    names = [each.path.stem for each in plan]
    assert names[:3] == ["pack-33-cuda1", "pack-33-cpu", "pack-1-cuda1"]
    assert len(names) == len(set(names)) == 2 * len(gpu.PLAN)
    assert [each.arguments[-1] for each in plan[:2]] == ["device=cuda:1", "device=cpu"]
    assert sum("atari" in each.arguments for each in plan) == 4, "both networks"


@pytest.mark.parametrize("name", gpu.PLAN)
def test_what_is_planned_can_be_configured(tmp_path: Path, name: str) -> None:
    (each,) = gpu.measurements(tmp_path, ["cpu"], [name])
    env = re.search(r"--env (\w+)", gpu.PLAN[name])
    task = f"env={env[1]}" if env else "env=atari env.game=breakout"
    overrides = [word for word in each.arguments if "=" in word]
    config = compose(*task.split(), *overrides)
    assert config.batch_size >= 1000 and config.device == "cpu"


def test_what_is_done_when_the_time_is_over_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = "algorithm.horizon=64 algorithm.epochs=1"
    plan = {
        "pack-2": f"speed --baselines none --population 2 --rounds 1 {small}",
        "wrong": "speed --env nothing",
        "endless": "speed --baselines none --rounds 1000000",
        "never": "speed --baselines none --population 1 --rounds 1",
    }
    monkeypatch.setattr(gpu, "PLAN", plan)
    every = gpu.measurements(tmp_path, ["cpu"], list(plan))
    (_, first), (_, wrong) = gpu.measure(every[:2], minutes=10)
    assert first == "" and "nothing" in wrong
    assert [why for _, why in gpu.measure(every[2:], minutes=0.05)] == ["the time was over"] * 2
    assert [path.name for path in tmp_path.iterdir()] == ["pack-2-cpu.json"]
    (row,) = json.loads((tmp_path / "pack-2-cpu.json").read_text())["rows"]
    assert row["device"] == "cpu" and row["population"] == 2
