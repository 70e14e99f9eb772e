"""The benchmark measures what it says, and its file has the keys others read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from repro import bench

SMALL = ["algorithm.horizon=64", "algorithm.epochs=1"]


def test_the_file_holds_ratios_of_what_was_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "deep" / "bench.json"
    arguments = ["--env", "hopper", "--population", "1,3", "--rounds", "1", "--out", str(out)]
    assert bench.main([*arguments, *SMALL]) == 0
    result = json.loads(out.read_text())
    assert result["physics_us"] > 0 and result["sb3_us"] > 0
    assert set(result["ours"]) == set(result["over_physics"]) == {"1", "3"}
    for p, row in result["ours"].items():
        phases = sum(row[f"{phase}_us"] for phase in bench.PHASES)
        assert phases == pytest.approx(row["total_us"], rel=0.05)
        assert result["over_physics"][p] == pytest.approx(row["total_us"] / result["physics_us"])
        assert result["speedup_over_sb3"][p] == pytest.approx(result["sb3_us"] / row["total_us"])
    assert result["ours"]["3"]["env_us"] > result["physics_us"] / 3
    assert "pack of 3" in capsys.readouterr().out


@pytest.mark.parametrize("population", ["0", "x", "1,,2"])
def test_a_wrong_population_is_refused(population: str) -> None:
    with pytest.raises(SystemExit) as stop:
        bench.main(["--population", population])
    assert stop.value.code == 2
