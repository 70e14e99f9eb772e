"""`python -m repro.bench gpu`: its order, its end, and what it leaves; measured on a processor."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from analysis.__main__ import main as analysis
from repro.bench import gpu
from repro.bench.__main__ import main


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
    found = gpu.measure(gpu.measurements(tmp_path, ["cpu"], list(plan)), minutes=10)
    _, first = next(found)
    _, wrong = next(found)
    assert first == "" and "nothing" in wrong
    monkeypatch.setattr(gpu.time, "monotonic", lambda start=gpu.time.monotonic(): start + 599)
    assert [why for _, why in found] == ["the time was over"] * 2
    assert [path.name for path in tmp_path.iterdir()] == ["pack-2-cpu.json"]
    (row,) = json.loads((tmp_path / "pack-2-cpu.json").read_text())["rows"]
    assert row["device"] == "cpu" and row["population"] == 2


@pytest.mark.usefixtures("painted")
def test_the_table_and_the_figure_have_each_device(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Times of a processor under a GPU's name: what is shown here is that they are drawn."""

    def row(
        env: str, contender: str, size: int | None, device: str, us: float
    ) -> dict[str, object]:
        return {"env": env, "contender": contender, "population": size, "total_us": us,
                "low_us": us, "high_us": us, "device": device}  # fmt: skip

    files = []
    for device, factor in (("cuda", 1.0), ("cpu", 2.0)):
        rows = [row("half_cheetah", "ours", size, device, factor * 100) for size in (1, 33, 1024)]
        rows += [row("half_cheetah", "sb3", None, device, factor * 800)]
        rows += [row("breakout cnn_nature", "ours", None, device, 1000)] * (device == "cuda")
        own = {"gpu": "a GPU", "driver": "570.86.15", "cuda": "13.0", "cudnn": "92000"}
        about = {"overrides": [], "cpu": "a core", **(own if device == "cuda" else {})}
        files.append(tmp_path / f"{device}.json")
        files[-1].write_text(json.dumps({**about, "rows": rows}))
    arguments = ["--bench", *map(str, files), "--out", str(tmp_path / "out")]
    assert analysis(["gpu", *arguments]) == 0
    written = (tmp_path / "out" / "gpu.md").read_text()
    assert "a GPU (driver 570.86.15, CUDA 13.0, cuDNN 92000); a core" in written
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in written.splitlines()]
    assert ["half_cheetah", "pack of 1024", "10,000", "5,000", "2.00"] in lines
    assert ["half_cheetah", "sb3", "1,250", "625", "2.00"] in lines
    assert ["breakout cnn_nature", "ours", "1,000", "", ""] in lines
    assert (tmp_path / "out" / "gpu.png").stat().st_size > 10_000
    files[0].write_text(json.dumps({"overrides": [], "rows": [{"env": "x", "total_us": 1}]}))
    assert analysis(["gpu", "--bench", str(files[0]), "--out", str(tmp_path / "out")]) == 2
    assert "name no device" in capsys.readouterr().err
