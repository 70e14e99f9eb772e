"""`analysis gpu`: device beside device."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analysis.__main__ import main


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
    assert main(["gpu", *arguments]) == 0
    written = (tmp_path / "out" / "gpu.md").read_text()
    assert "a GPU (driver 570.86.15, CUDA 13.0, cuDNN 92000); a core" in written
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in written.splitlines()]
    assert ["half_cheetah", "pack of 1024", "10,000", "5,000", "2.00"] in lines
    assert ["half_cheetah", "sb3", "1,250", "625", "2.00"] in lines
    assert ["breakout cnn_nature", "ours", "1,000", "", ""] in lines
    assert (tmp_path / "out" / "gpu.png").stat().st_size > 10_000
    files[0].write_text(json.dumps({"overrides": [], "rows": [{"env": "x", "total_us": 1}]}))
    assert main(["gpu", "--bench", str(files[0]), "--out", str(tmp_path / "out")]) == 2
    assert "name no device" in capsys.readouterr().err
