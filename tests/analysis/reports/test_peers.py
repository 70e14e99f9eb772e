"""`analysis peers`: the benchmark's rows as a table and a figure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analysis.__main__ import main


def row(contender: str, what: str, cores: int, rate: float) -> dict[str, object]:
    return {
        "env": "half_cheetah",
        "contender": contender,
        "what": what,
        "cores": cores,
        "steps_per_second": rate,
        "low": rate * 0.9,
        "high": rate * 1.1,
        "over_baseline": None if what == "simulation" else rate / 1000,
    }


@pytest.mark.usefixtures("painted")
def test_table_and_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        row("ours_33", "training", 1, 23456.0),
        row("sb3", "training", 1, 1000.0),
        row("sb3", "training", 2, 1900.0),
        row("envpool", "simulation", 1, 30000.0),
    ]
    bench = tmp_path / "peers.json"
    about = {"cpu": "a processor", "command": "python -m repro.bench peers", "rounds": 5}
    bench.write_text(json.dumps(about | {"rows": rows}))
    out = tmp_path / "out"
    assert main(["peers", "--bench", str(bench), "--out", str(out)]) == 0
    text = (out / "peers.md").read_text()
    assert "| half_cheetah | this project, a pack of 33 |" in text
    assert "23,456 | 21,110 to 25,802 |" in text
    assert "|     1 |           32 |         30,000 |" in text, "an older file, without the number"
    assert "a processor; `python -m repro.bench peers`; medians of 5 rounds" in text
    assert text.index("Training") < text.index("1,900") < text.index("Simulators alone")
    assert (out / "peers.png").stat().st_size > 10_000 and (out / "peers.csv").is_file()
    assert "EnvPool, one thread" in capsys.readouterr().out


def test_another_file_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other.json"
    other.write_text('{"rows": [{"env": "hopper"}]}')
    assert main(["peers", "--bench", str(other), "--out", str(tmp_path)]) == 2
    assert "give --bench a file of python -m repro.bench peers" in capsys.readouterr().err
