"""`figure5`: pictures of a film, evenly spaced, with their times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from analysis.__main__ import main
from analysis.reports.figure5 import stills
from repro.evaluation.film import Film

LENGTH = 23


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Gray pictures, each brighter than the one before, ten a second."""
    path = tmp_path / "film.webp"
    with Film(path, 10) as made:
        for number in range(LENGTH):
            made.add(np.full((48, 64, 3), 10 * number, np.uint8))
    return path


def test_the_first_the_last_and_what_lies_evenly_between(film: Path) -> None:
    shown = stills(film, 12)
    assert [still.seconds for still in shown] == pytest.approx(np.arange(0, LENGTH, 2) / 10)
    levels = [float(still.image.mean()) for still in shown]
    assert levels == pytest.approx(10 * np.arange(0, LENGTH, 2), abs=3), "lossy"


def test_the_command(film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["figure5", "--film", str(film), "--out", str(tmp_path / "out")]) == 0
    assert "12 pictures of 2.2 s of film.webp" in capsys.readouterr().out
    text = (tmp_path / "out/figure5.png").read_bytes().decode(errors="replace")
    assert [f"{number / 5:.1f} s" in text for number in range(12)] == [True] * 12


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("FILM", "--frames", "24"), "has 23 pictures: choose --frames below that."),
        (("absent.webp",), "absent.webp cannot be read (No such file or directory): make it"),
        (("TEXT",), "cannot be read (no animated image): make it"),
    ],
)
def test_what_cannot_be_shown(
    film: Path,
    tmp_path: Path,
    words: tuple[str, ...],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = tmp_path / "text.webp"
    text.write_text("no picture")
    places = {"FILM": str(film), "TEXT": str(text)}
    given = [places.get(word, word) for word in words]
    assert main(["figure5", "--film", *given, "--out", str(tmp_path / "out")]) == 2
    assert sentence in capsys.readouterr().err
