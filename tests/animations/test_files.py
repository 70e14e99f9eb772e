"""The committed films: as long as their scripts, small, and with the words of today's tables."""

from __future__ import annotations

import re
from importlib.util import find_spec

import imageio_ffmpeg
import pytest
from PIL import Image

from animations.__main__ import main
from animations.script import OUT, ROOT
from animations.words import FILMS, script

SIZE, RATE = (1280, 720), 30
TOGETHER = 2_000_000  # bytes


@pytest.mark.parametrize("name", FILMS)
def test_film(name: str) -> None:
    path, words = OUT / f"{name}.mp4", script(name)
    about = next(imageio_ffmpeg.read_frames(str(path)))
    assert about["size"] == SIZE and about["fps"] == RATE and about["codec"] == "h264"
    assert about["pix_fmt"].startswith("yuv420p")
    assert about["duration"] == pytest.approx(words.seconds, abs=2 / RATE)
    assert 15 <= about["duration"] <= 40
    inside = path.read_bytes()
    assert inside.index(b"moov") < inside.index(b"mdat")  # it starts before all of it is there
    assert words.digest.encode() in inside, f"{name} says something new: make animations"


@pytest.mark.parametrize("name", FILMS)
def test_what_stands_beside_a_film(name: str) -> None:
    words = script(name)
    again = f"{name} says something new: make animations"
    assert (OUT / f"{name}.vtt").read_text(encoding="utf-8") == words.captions(), again
    assert (OUT / f"{name}.md").read_text(encoding="utf-8") == words.transcript(), again
    with Image.open(OUT / f"{name}.jpg") as poster:
        assert poster.size == SIZE
    page = (OUT / "README.md").read_text(encoding="utf-8")
    assert all(f"]({name}.{kind})" in page for kind in ("mp4", "vtt", "md", "jpg"))


def test_films_are_small() -> None:
    assert sum(path.stat().st_size for path in OUT.glob("*.mp4")) < TOGETHER
    assert sum(path.stat().st_size for path in OUT.glob("*.jpg")) < TOGETHER / 4
    assert {path.stem for path in OUT.glob("*.mp4")} == set(FILMS)


def test_colors_are_the_figures() -> None:
    """The films have white and one gray of their own."""
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "animations").rglob("*.py"))
    assert set(re.findall(r"#[0-9A-Fa-f]{6}\b", text)) == {"#FFFFFF", "#8C8C8C"}


def test_without_manim_it_says_what_to_install(
    capsys: pytest.CaptureFixture[str], tmp_path
) -> None:
    if find_spec("manim") is not None:
        pytest.skip("manim is installed here")
    assert main(["--out", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert "libcairo2-dev libpango1.0-dev" in said and said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_film_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["statistic"])
    assert "choose from statistics" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("name", FILMS)
def test_the_same_film_comes_out_again(name: str, tmp_path) -> None:
    """Small and at ten frames a second: as long, and with the same last picture."""
    pytest.importorskip("manim", reason="manim is not installed: make animations")
    assert main([name, "--draft", "--out", str(tmp_path)]) == 0
    about = next(imageio_ffmpeg.read_frames(str(tmp_path / f"{name}.mp4")))
    assert about["duration"] == pytest.approx(script(name).seconds, abs=0.2)
    pictures = []
    for folder in (OUT, tmp_path):
        with Image.open(folder / f"{name}.jpg") as picture:
            pictures.append(picture.convert("L").resize((240, 135)).tobytes())
    off = sum(abs(a - b) for a, b in zip(*pictures, strict=True)) / len(pictures[0])
    assert off < 4  # of 255 levels of gray; another scene is off by 10 or more
