"""`python -m animations [NAME ...]`: render the films, with posters, captions and transcripts."""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

from animations.packages import MISSING, missing
from animations.script import OUT, Script
from animations.words import FILMS, script

CRF, KEYED = 34, 300  # of x264: quality, and frames from one whole picture to the next at most


def main(arguments: Sequence[str] | None = None) -> int:
    """Render the films that the command line names, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m animations", description=__doc__)
    parser.add_argument("films", metavar="NAME", nargs="*", help=f"{', '.join(FILMS)} (all)")
    parser.add_argument("--out", type=Path, default=OUT, metavar="DIR", help=f"default: {OUT}")
    parser.add_argument("--draft", action="store_true", help="480 x 270 at 10 frames a second")
    given = parser.parse_args(arguments)
    if unknown := [name for name in given.films if name not in FILMS]:
        parser.error(f"there is no film {unknown[0]}: choose from {', '.join(FILMS)}.")
    if missing():
        print(MISSING, file=sys.stderr)
        return 1
    given.out.mkdir(parents=True, exist_ok=True)
    for name in given.films or FILMS:
        write(script(name), given.out, given.draft)
        print(given.out / f"{name}.mp4", flush=True)
    return 0


def write(words: Script, out: Path, draft: bool = False) -> None:
    """A film, the picture that stands for it, its captions and its transcript."""
    with tempfile.TemporaryDirectory() as folder:
        encode(render(words.name, Path(folder), draft), words, out / f"{words.name}.mp4")
    poster(out / f"{words.name}.mp4", words.seconds)
    (out / f"{words.name}.vtt").write_text(words.captions(), encoding="utf-8")
    (out / f"{words.name}.md").write_text(words.transcript(), encoding="utf-8")


def render(name: str, folder: Path, draft: bool) -> Path:
    """What manim makes of a film: the path of a larger file."""
    from manim import tempconfig

    scene = importlib.import_module(f"animations.scenes.{name}").Scene
    width, height, rate = (480, 270, 10) if draft else (1280, 720, 30)
    settings = {
        **{"pixel_width": width, "pixel_height": height, "frame_rate": rate},
        **{"media_dir": str(folder), "verbosity": "WARNING", "progress_bar": "none"},
        "disable_caching": True,
        "video_encoder_options": {"crf": "0", "preset": "ultrafast"},  # no noise to encode again
    }
    with tempconfig(settings):
        made = scene()
        made.render()
        return Path(made.renderer.file_writer.movie_file_path)


def encode(source: Path, words: Script, target: Path) -> None:
    """H.264 for every browser, its index first so that it starts before all of it is there."""
    import av
    from av.video.frame import PictureType

    tags = {"title": words.title, "comment": words.digest}
    with (
        av.open(str(source)) as read,
        av.open(str(target), "w", options={"movflags": "faststart"}) as written,
    ):
        written.metadata.update(tags)
        shot = read.streams.video[0]
        rate = Fraction(shot.average_rate or 30)
        options = {"crf": str(CRF), "preset": "medium", "tune": "animation", "g": str(KEYED)}
        stream = written.add_stream("libx264", rate=rate, options=options)
        stream.width, stream.height, stream.pix_fmt = shot.width, shot.height, "yuv420p"
        for number, frame in enumerate(read.decode(shot)):
            plain = frame.reformat(format="yuv420p")
            plain.pts, plain.time_base = number, 1 / rate
            plain.pict_type = PictureType.NONE  # whole pictures where the new film needs them
            written.mux(stream.encode(plain))
        written.mux(stream.encode())


def poster(film: Path, seconds: float) -> None:
    """The film's last picture."""
    import av

    with av.open(str(film)) as read:
        for frame in read.decode(video=0):
            last = frame
    last.to_image().save(film.with_suffix(".jpg"), quality=85, optimize=True, progressive=True)


if __name__ == "__main__":
    sys.exit(main())
