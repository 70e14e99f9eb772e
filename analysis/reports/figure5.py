"""`figure5`: still frames of a film of one learned policy, in the order of time."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from analysis import cli
from analysis.drawing import panels
from analysis.errors import AnalysisError

FRAMES, COLUMNS = 12, 4  # the paper shows twelve
PANEL = (2.0, 1.62)  # inches, for pictures of 4 x 3 and a title


class Still(NamedTuple):
    """One picture of a film.

    Attributes:
        seconds: since the beginning.
        image: uint8 [height, width, 3].
    """

    seconds: float
    image: NDArray[np.uint8]


def stills(path: Path, count: int) -> list[Still]:
    """`count` pictures of an animated image, evenly spaced from its first to its last.

    Raises:
        AnalysisError: for a file that cannot be read, or has fewer pictures.
    """
    try:
        with Image.open(path) as film:
            length = int(getattr(film, "n_frames", 1))
            if length < count:
                raise AnalysisError(f"{path} has {length} pictures: choose --frames below that.")
            chosen = np.linspace(0, length - 1, count).round().astype(int).tolist()
            found, now = [], 0.0
            for number in range(length):
                film.seek(number)
                film.load()  # the duration is known once the picture is read
                if number in chosen:
                    found.append(Still(now, np.asarray(film.convert("RGB"))))
                now += float(film.info["duration"]) / 1000
    except (OSError, UnidentifiedImageError, KeyError, EOFError) as error:
        reason = getattr(error, "strerror", None) or "no animated image"
        raise AnalysisError(
            f"{path} cannot be read ({reason}): make it, python -m repro.watch --out FILE.webp."
        ) from error
    return found


def figure(shown: list[Still]) -> Figure:
    """The pictures row by row, each with its time."""
    columns = min(COLUMNS, len(shown))
    picture, grid, _ = panels.grid(len(shown), columns, PANEL, (0, 0))
    for axes, still in zip(grid, shown, strict=True):
        axes.imshow(still.image)
        axes.set_axis_off()
        axes.set_title(
            f"{still.seconds:.1f} s", loc="center", fontweight="normal", fontsize=8.5, pad=2
        )
    return picture


_FILM = cli.option(
    "--film", "an animated image of python -m repro.watch", type=Path, required=True, metavar="FILE"
)
_FRAMES = cli.option("--frames", "how many", type=cli.integer_from(1), default=FRAMES)


@cli.command("figure5", _FILM, _FRAMES)
def command(given: cli.Given) -> cli.Output:
    """The paper's Figure 5: still frames of a learned policy, in the order of time."""
    shown = stills(given.film, given.frames)
    text = f"Figure 5: {len(shown)} pictures of {shown[-1].seconds:.1f} s of {given.film.name}."
    return cli.Output({"figure5.png": partial(figure, shown)}, text)
