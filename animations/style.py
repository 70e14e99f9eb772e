"""How the films look: the colors and letters of the figures, sentences at the top, plain plots.

A film is read on a phone, too: 1,280 pixels become 390 there, so no letter is below `SMALL`.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from manim import (
    LEFT,
    UP,
    Dot,
    FadeIn,
    FadeOut,
    Line,
    MathTypst,
    Mobject,
    Scene,
    Text,
    VGroup,
    VMobject,
    config,
)

from analysis.drawing.style import CYCLE, GRID, INK, MUTED, STYLE, objective_color
from animations.script import Script
from animations.words import script

PAPER = "#FFFFFF"
BLUE, ORANGE, GREEN, PINK = CYCLE[:4]
CLIP, FREE = objective_color("clip", 0.2), objective_color("none", math.nan)
FONT = STYLE["font.family"]
LARGE, MEDIUM, SMALL = 36, 31, 28  # of sentences, labels, ticks
WIDE = 46  # letters of a sentence's line
LEFT_EDGE, TOP_EDGE = -6.7, 3.65  # of the screen
FADE = 0.4  # seconds


class Film(Scene):
    """A scene that follows its script: `name` says which, `draw` draws it line by line."""

    name: str
    script: Script

    def construct(self) -> None:
        """Draw all lines."""
        self.camera.background_color = PAPER
        self.script, self.place = script(self.name), 0
        self.sentence: Mobject | None = None
        self.draw()
        if self.place != len(self.script.lines):
            raise ValueError(f"{self.name} drew {self.place} of {len(self.script.lines)} lines.")

    def draw(self) -> None:
        """One `with self.line():` for each line of the script."""
        raise NotImplementedError

    @contextmanager
    def line(self, *leaving: Mobject, coming: Sequence[Mobject] = ()) -> Iterator[None]:
        """The next sentence and `coming` come, `leaving` goes; all stays until its time is over."""
        line, start = self.script.lines[self.place], self.time
        self.place += 1
        text = label("\n".join(textwrap.wrap(line.says, WIDE)), LARGE, weight="BOLD")
        text.move_to((LEFT_EDGE, TOP_EDGE, 0), aligned_edge=UP + LEFT)
        going = [FadeOut(x) for x in (*leaving, self.sentence) if x is not None]
        if going:
            self.play(*going, run_time=FADE / 2)  # first, so that no two pictures overlap
        self.play(FadeIn(text, *coming), run_time=FADE)
        self.sentence = text
        yield
        # In whole frames, so that a film is as long as its script.
        rate = config.frame_rate
        frames = round(sum(x.seconds for x in self.script.lines[: self.place]) * rate)
        rest = frames - round(self.time * rate)
        if rest < rate // 2:
            raise ValueError(f"{self.name}: {line.says!r} needs {self.time - start:.1f} s or more.")
        self.wait(rest / rate)

    def write(self, name: str, size: int = MEDIUM, color: str = INK) -> Text:
        """A label of the script."""
        return label(self.script.labels[name], size, color)


def label(text: str, size: int = MEDIUM, color: str = INK, weight: str = "NORMAL") -> Text:
    """Words in the letters of the figures."""
    return Text(text, font=FONT, font_size=size, color=color, weight=weight, line_spacing=0.9)


def formula(typst: str, size: int = 48) -> MathTypst:
    """Mathematics, by Typst. `{{ x : name }}` is a part that `select("name")` finds."""
    return MathTypst(typst, font_size=size, color=INK)


@dataclass(frozen=True)
class Axis:
    """One direction of a plot.

    Attributes:
        low, high: of the data.
        ticks: label by value.
        name: written along it.
        log: whether equal steps are equal ratios.
    """

    low: float
    high: float
    ticks: Mapping[float, str]
    name: str = ""
    log: bool = False

    def share(self, value: Any) -> Any:
        """0 at `low`, 1 at `high`."""
        low, high, x = self.low, self.high, np.asarray(value, float)
        if self.log:
            low, high, x = math.log(low), math.log(high), np.log(x)
        return (x - low) / (high - low)


class Plot(VGroup):
    """Axes with ticks and grid; `at` is where a value lies on the screen.

    Args:
        x, y: its directions.
        corner: lower left end of the axes on the screen.
        size: width and height of what they span.
    """

    def __init__(
        self, x: Axis, y: Axis, corner: tuple[float, float], size: tuple[float, float]
    ) -> None:
        super().__init__()
        self.x, self.y, self.corner, self.size = x, y, corner, size
        (left, bottom), (width, height) = corner, size
        for value, text in x.ticks.items():
            place = left + float(x.share(value)) * width
            self.add(self._grid((place, bottom), (place, bottom + height)))
            self.add(label(text, SMALL, MUTED).move_to((place, bottom - 0.3, 0)))
        for value, text in y.ticks.items():
            place = bottom + float(y.share(value)) * height
            self.add(self._grid((left, place), (left + width, place)))
            tick = label(text, SMALL, MUTED)
            self.add(tick.move_to((left - 0.15 - tick.width / 2, place, 0)))
        if x.name:
            name = label(x.name, SMALL, INK)
            self.add(name.move_to((left + width - name.width / 2, bottom - 0.75, 0)))
        if y.name:
            name = label(y.name, SMALL, INK)
            self.add(name.move_to((left + name.width / 2, bottom + height + 0.32, 0)))
        for end in ((left + width, bottom), (left, bottom + height)):
            self.add(Line((*corner, 0), (*end, 0), color=MUTED, stroke_width=2))

    @staticmethod
    def _grid(start: tuple[float, float], end: tuple[float, float]) -> Line:
        return Line((*start, 0), (*end, 0), color=GRID, stroke_width=2)

    def at(self, x: Any, y: Any) -> np.ndarray:
        """Points of the screen, [..., 3]."""
        across = self.corner[0] + self.x.share(x) * self.size[0]
        up = self.corner[1] + self.y.share(y) * self.size[1]
        return np.stack([across, up, np.zeros_like(across)], -1)

    def curve(self, x: Any, y: Any, color: str, width: float = 5) -> VMobject:
        """A line through the values."""
        return VMobject(color=color, stroke_width=width).set_points_as_corners(self.at(x, y))

    def dots(self, x: Any, y: Any, color: str | Sequence[str], radius: float = 0.07) -> VGroup:
        """A dot a value."""
        points = self.at(x, y)
        colors = [color] * len(points) if isinstance(color, str) else color
        return VGroup(
            Dot(point, radius, color=own) for point, own in zip(points, colors, strict=True)
        )

    def level(self, y: float, color: str = INK) -> Line:
        """A horizontal line through the plot."""
        ends = self.at([self.x.low, self.x.high], [y, y])
        return Line(*ends, color=color, stroke_width=3)


def beside(text: Mobject, point: Any, direction: Any = UP, gap: float = 0.2) -> Mobject:
    """Text next to a point of the screen."""
    return text.next_to(np.asarray(point, float), direction, buff=gap)
