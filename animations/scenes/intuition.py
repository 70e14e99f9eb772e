"""Film 2: actions of one batch, their advantages, and what one step changes."""

from __future__ import annotations

import numpy as np
import pandas as pd
from manim import (
    LEFT,
    RIGHT,
    Arrow,
    Circle,
    FadeIn,
    GrowArrow,
    LaggedStart,
    Line,
    Rectangle,
    RoundedRectangle,
    ShowIncreasingSubsets,
    UpdateFromAlphaFunc,
    VGroup,
    Write,
    linear,
)

from analysis.reports.explain.numbers import read
from animations.script import RESULTS
from animations.style import (
    BLUE,
    GRID,
    INK,
    LARGE,
    MEDIUM,
    MUTED,
    ORANGE,
    Axis,
    Film,
    Plot,
    beside,
    formula,
    label,
)
from animations.words.intuition import right

STEPS = 18  # that the first line shows


def cart(angle: float, at: tuple[float, float], size: float = 1.0) -> VGroup:
    """Cart and pole; the angle in radians, to the right."""
    x, y = at
    body = RoundedRectangle(
        width=1.8 * size, height=0.8 * size, corner_radius=0.1 * size, color=INK, fill_opacity=1
    ).move_to((x, y, 0))
    wheels = VGroup(
        Circle(0.22 * size, color=INK, fill_color=MUTED, fill_opacity=1).move_to(
            (x + side * 0.5 * size, y - 0.45 * size, 0)
        )
        for side in (-1, 1)
    )
    foot = np.array((x, y + 0.4 * size, 0))
    top = foot + 3 * size * np.array((np.sin(angle), np.cos(angle), 0))
    pole = Line(foot, top, color=ORANGE, stroke_width=14 * size)
    return VGroup(pole, body, wheels)


class Scene(Film):
    """From the tables of `intuition`."""

    name = "intuition"

    def draw(self) -> None:
        """Act, judge, step, and look twice at what changed."""
        self.samples = read(RESULTS / "explain", "intuition_samples")
        self.colors = [BLUE if a > 0 else ORANGE for a in self.samples["advantage"]]
        self.act()
        self.judge()
        self.step()
        self.samples_alone()
        self.samples_together()

    def act(self) -> None:
        """The first steps of the batch."""
        ground = Line((-6.5, -2.75, 0), (6.5, -2.75, 0), color=GRID, stroke_width=4)
        words = {
            side: label(side, LARGE, INK).move_to((3.4 * sign, -1.4, 0))
            for side, sign in (("left", -1), ("right", 1))
        }
        rows = self.samples.iloc[:STEPS]
        picture = self.moment(rows.iloc[0])

        def show(group: VGroup, alpha: float) -> None:
            place = min(int(alpha * STEPS), STEPS - 1)
            group.become(self.moment(rows.iloc[place]))

        with self.line(coming=[ground, picture, *words.values()]):
            moving = UpdateFromAlphaFunc(picture, show, rate_func=linear)
            self.play(moving, run_time=0.27 * STEPS)
        self.shown = VGroup(ground, picture, *words.values())

    @staticmethod
    def moment(row: pd.Series) -> VGroup:
        """One step: the pole's angle, and the action drawn."""
        sign = 1 if row["action"] == 1 else -1
        start = np.array((1.3 * sign, -2.1, 0))
        push = Arrow(start, start + 3.2 * sign * RIGHT, color=INK, stroke_width=14, buff=0)
        return VGroup(cart(float(row["angle"]), (0, -2.0)), push)

    def judge(self) -> None:
        """A bar for each advantage."""
        count = len(self.samples)
        x = Axis(0, count, {0: "0", 100: "100", 200: "200"}, "steps")
        y = Axis(-2.5, 2.7, {-2: "−2", 0: "0", 2: "2"}, "advantage A, in standard deviations")
        plot = Plot(x, y, (-5.9, -2.9), (12.1, 4.4))
        bars = VGroup()
        for step, (a, color) in enumerate(zip(self.samples["advantage"], self.colors, strict=True)):
            foot, top = plot.at([step, step + 0.8], [0, a])
            bar = Rectangle(
                width=top[0] - foot[0], height=abs(top[1] - foot[1]), color=color, fill_opacity=1
            ).set_stroke(width=0)
            bars.add(bar.move_to((foot + top) / 2))
        better = beside(label("better than expected", MEDIUM, BLUE), plot.at(12, 2.35), RIGHT, 0)
        worse = beside(label("worse", MEDIUM, ORANGE), plot.at(30, -1.8), RIGHT, 0)
        with self.line(self.shown, coming=[plot]):
            self.play(ShowIncreasingSubsets(bars, rate_func=linear), run_time=2.5)
            self.play(FadeIn(better, worse), run_time=0.4)
        self.shown = VGroup(plot, bars, better, worse)

    def step(self) -> None:
        """The estimator, and what it pushes at."""
        law = formula(
            "hat(g) = hat(EE)_t [nabla_theta log pi_theta (a_t|s_t) thin hat(A)_t]", 72
        ).move_to((0, 0.9, 0))
        pushes = VGroup()
        for sign, color, x in ((1, BLUE, -3.6), (-1, ORANGE, 3.6)):
            word = label("A > 0" if sign > 0 else "A < 0", LARGE, color).move_to((x - 1.6, -1.9, 0))
            arrow = Arrow(
                (x, -1.9 - 1.3 * sign, 0), (x, -1.9 + 1.3 * sign, 0), color=color, stroke_width=20
            )
            chance = formula("pi_theta (a_t|s_t)", 60).move_to((x + 1.8, -1.9, 0))
            pushes.add(VGroup(word, arrow, chance))
        with self.line(self.shown):
            self.play(Write(law), run_time=1.8)
            self.play(
                LaggedStart(
                    *(FadeIn(x[0], x[2]) for x in pushes),
                    *(GrowArrow(x[1]) for x in pushes),
                    lag_ratio=0.25,
                ),
                run_time=1.8,
            )
        self.shown = VGroup(law, pushes)

    def samples_alone(self) -> None:
        """Advantage against change: hardly a relation."""
        change = self.samples["after"] - self.samples["before"]
        x = Axis(-2.5, 2.7, {-2: "−2", 0: "0", 2: "2"}, "advantage A")
        y = Axis(-0.06, 0.06, {-0.05: "−0.05", 0: "0", 0.05: "0.05"}, "change of π(a|s)")
        plot = Plot(x, y, (-5.3, -2.9), (7.2, 4.4))
        dots = plot.dots(self.samples["advantage"], change, self.colors, 0.08).set_opacity(0.75)
        zero = plot.level(0, MUTED)
        upright = Line(*plot.at([0, 0], [y.low, y.high]), color=MUTED, stroke_width=3)
        good = self.write("good", color=BLUE).move_to((2.4, 0.7, 0), LEFT)
        bad = self.write("bad", color=ORANGE).move_to((2.4, -1.2, 0), LEFT)
        with self.line(self.shown, coming=[plot, zero, upright]):
            self.play(ShowIncreasingSubsets(dots, rate_func=linear), run_time=2.2)
            self.play(FadeIn(good), run_time=0.5)
            self.play(FadeIn(bad), run_time=0.5)
        self.shown = VGroup(plot, dots, zero, upright, good, bad)

    def samples_together(self) -> None:
        """Angular velocity against the change of P(right): a line."""
        chance = right(self.samples)
        x = Axis(-1.3, 1.3, {-1: "−1", 0: "0", 1: "1"}, "angular velocity, rad/s")
        y = Axis(-0.06, 0.06, {-0.05: "−0.05", 0: "0", 0.05: "0.05"}, "change of π(right|s)")
        plot = Plot(x, y, (-5.3, -2.9), (7.2, 4.4))
        speed = self.samples["angular_velocity"]
        shown = speed.between(x.low, x.high)
        change = (chance["after"] - chance["before"])[shown]
        dots = plot.dots(speed[shown], change, BLUE, 0.08).set_opacity(0.75)
        zero = plot.level(0, MUTED)
        falls = VGroup()
        for sign, at in ((-1, 3.3), (1, 5.6)):
            start = np.array((at, -1.75, 0))
            push = Arrow(
                start - 0.8 * sign * RIGHT, start + 0.8 * sign * RIGHT, color=BLUE, buff=0
            ).set_stroke(width=10)
            falls.add(VGroup(cart(0.45 * sign, (at, -1.0), 0.55), push))
        agreement = self.write("agreement", color=BLUE).move_to((4.4, 1.5, 0))
        with self.line(self.shown, coming=[plot, zero]):
            self.play(ShowIncreasingSubsets(dots, rate_func=linear), run_time=2.0)
            self.play(FadeIn(agreement), run_time=0.4)
            self.play(LaggedStart(*(FadeIn(x) for x in falls), lag_ratio=0.5), run_time=1.0)
