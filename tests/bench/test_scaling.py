"""Whole commands are timed, and their runs must have the same bits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from repro.bench import scaling
from repro.bench.__main__ import main
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


def test_the_file_holds_the_times_for_each_number_of_workers(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "scaling.json"
    arguments = ["scaling", "--workers", "1,2", "--rounds", "1", "--out", str(out), *TINY]
    assert main(arguments) == 0
    result = json.loads(out.read_text())
    assert result["command"].startswith("python -m repro.bench scaling --workers 1,2")
    assert result["swept"] == " ".join(TINY)
    assert (result["runs"], result["steps"]) == (4, 4 * 128)
    assert 0.5 < result["start_up_s"] < 60
    one, two = result["sweep"]
    assert (one["workers"], two["workers"], one["speedup"]) == (1, 2, 1)
    assert two["speedup"] == pytest.approx(one["seconds"] / two["seconds"])


def test_bits_that_depend_on_the_workers_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Drifting:
        seconds, steps, number = 1.0, 1, 0

        def __init__(self) -> None:
            Drifting.number += 1
            self.digests = {"a run": Drifting.number}

    monkeypatch.setattr(scaling, "_command", lambda *arguments: Drifting())
    with pytest.raises(ConfigError, match="differ with the number of workers"):
        scaling.measure([1, 2], 1)


def test_a_sweep_that_fails_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["scaling", "--rounds", "1", "env=hoper"]) == 2
    assert "hopper" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--workers", "0"], ["--workers", "x"], ["--rounds", "0"]])
def test_wrong_numbers_are_refused(
    capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert main(["scaling", *arguments]) == 2
    sentence = f"argument {arguments[0]}: {arguments[1]} must be a whole number of 1 or more"
    assert sentence in capsys.readouterr().err
