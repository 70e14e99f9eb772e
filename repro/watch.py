"""`python -m repro.watch RUN_DIR`: writes a film of a finished run's policy."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from repro.cli import Parser, at_least, finish, loaded, start
from repro.console import say
from repro.evaluation import film
from repro.runs import committed
from repro.runs.finished import open_run

SIZE_LIMIT = 4097  # pixels, exclusive
HELP = """\
Write a film of whole episodes of a finished run, or of a committed policy by its name: those that
python -m repro.evaluate plays with the same seed. It is a video (mp4), or an animated image that
loops (webp), as FILE ends. MuJoCo draws off-screen with EGL or OSMesa, the first that works, or as
MUJOCO_GL says. Of Atari it shows whole games, each frame as it was on the screen.
"""


def main() -> None:
    """The command."""
    sys.exit(start(run))


def run(arguments: Sequence[str]) -> int:
    """Run the command line and return the exit code."""
    return finish(lambda: _run(arguments))


def _run(arguments: Sequence[str]) -> None:
    parser = Parser(prog="python -m repro.watch", description=HELP)
    parser.add_argument("directory", metavar="RUN_DIR", type=Path)
    place = "default RUN_DIR/video.mp4; here for a policy's name"
    parser.add_argument("--out", type=Path, metavar="FILE", help=place)
    parser.add_argument("--episodes", type=at_least(1), default=1, help="default 1")
    parser.add_argument("--seed", type=at_least(0), default=0, help="default 0")
    parser.add_argument("--deterministic", action="store_true", help="take the most likely actions")
    parser.add_argument("--width", type=at_least(16, SIZE_LIMIT), help="pixels; default the task's")
    parser.add_argument("--height", type=at_least(16, SIZE_LIMIT), help="likewise")
    rate = f"images a second at most, not of Atari; default {film.MAX_FPS}"
    parser.add_argument("--fps", type=at_least(1), default=film.MAX_FPS, help=rate)
    parser.add_argument(
        "--max-steps", type=at_least(1), default=50_000, help="of an episode; default 50000"
    )
    options = vars(parser.parse_args(arguments))
    directory, out = options.pop("directory"), options.pop("out")
    finished = open_run(directory)
    own = "-".join(directory.parts) + ".mp4" if committed.holds(finished.directory) else None
    out = out or (directory / "video.mp4" if own is None else Path(own))
    film.check_output(out)

    # Only now, since it loads torch: bad input is refused within a moment.
    from repro.evaluation.videos import Options, write_video

    loaded()
    played = write_video(finished, out, Options(**options))
    for number, (total, length) in enumerate(zip(played.returns, played.lengths, strict=True), 1):
        say(f"episode {number}: return {total:,.2f} in {length} steps")
    say(f"done: {out}")


if __name__ == "__main__":
    main()
