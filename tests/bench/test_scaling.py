"""Whole commands are timed for real, and must end with the same bits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from repro.bench import scaling
from repro.errors import ConfigError

TINY = (
    "env=inverted_pendulum,swimmer",
    "seed=0,1",
    "algorithm.horizon=64",
    "algorithm.epochs=1",
    "total_timesteps=128",
)


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """The single command trains for a moment only."""
    monkeypatch.setattr(scaling, "SINGLE", ("env=half_cheetah", "budget=smoke"))


def test_the_file_holds_what_each_number_of_workers_took(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "scaling.json"
    assert scaling.main(["--workers", "1,2", "--rounds", "1", "--out", str(out), *TINY]) == 0
    result = json.loads(out.read_text())
    assert result["swept"] == " ".join(TINY)
    assert (result["runs"], result["steps"]) == (4, 4 * 128)
    assert 0.5 < result["start_up_s"] < 60
    one, two = result["sweep"]
    assert (one["workers"], two["workers"], one["speedup"]) == (1, 2, 1)
    assert two["speedup"] == pytest.approx(one["seconds"] / two["seconds"])


def test_bits_that_depend_on_the_workers_are_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    class Drifting:
        seconds, steps, number = 1.0, 1, 0

        def __init__(self) -> None:
            Drifting.number += 1
            self.digests = {"a run": Drifting.number}

    monkeypatch.setattr(scaling, "_command", lambda *arguments: Drifting())
    with pytest.raises(ConfigError, match="differ with the number of workers"):
        scaling.measure([1, 2], 1)


def test_a_sweep_that_fails_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert scaling.main(["--rounds", "1", "env=hoper"]) == 2
    assert "hopper" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--workers", "0"], ["--workers", "x"], ["--rounds", "0"]])
def test_wrong_numbers_are_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        scaling.main(arguments)
    assert stop.value.code == 2
