"""Film 9: what three algorithms do on one landscape, and how far each update goes."""

from __future__ import annotations

import numpy as np
import pandas as pd
from manim import (
    DOWN,
    LEFT,
    RIGHT,
    UP,
    Create,
    Dot,
    FadeIn,
    LaggedStart,
    Line,
    ManimColor,
    Rectangle,
    ShowIncreasingSubsets,
    Triangle,
    VGroup,
    interpolate_color,
    linear,
)

from analysis.reports.explain.numbers import read
from animations.script import RESULTS
from animations.style import (
    BLUE,
    FREE,
    GREEN,
    INK,
    MEDIUM,
    ORANGE,
    PAPER,
    PINK,
    Axis,
    Film,
    Plot,
    label,
)
from animations.words.paths import FIGURE3, NAMED, STARTS, divergences, figure3

COLORS = {"vpg_0.1": PINK, "vpg_3": ORANGE, "trpo": GREEN, "ppo": BLUE}
NAMES = {
    "vpg_0.1": "VPG, step 0.1",
    "vpg_3": "VPG, step 3",
    "trpo": "TRPO",
    "ppo": "PPO",
}
DARK = "#8C8C8C"
HIGH = 9.0  # gain of the velocity where the picture ends
NATS = {0.001: "0.001", 0.1: "0.1", 10: "10", 1000: "1,000"}


class Scene(Film):
    """From the tables of `paths`, and the runs of Figure 3."""

    name = "paths"

    def draw(self) -> None:
        """The landscape, four climbs, and three MuJoCo tasks."""
        tables = RESULTS / "explain"
        self.climbs, self.seeds = read(tables, "paths"), read(tables, "paths_seeds")
        self.kl = divergences(RESULTS)
        self.landscape()
        for name in COLORS:
            self.climb(name)
        self.mujoco()

    def landscape(self) -> None:
        """Returns on a grid of gains, and the two starts."""
        grid = read(RESULTS / "explain", "paths_grid")
        x = Axis(-6.25, 31.25, {0: "0", 10: "10", 20: "20", 30: "30"}, "gain of the angle")
        y = Axis(-2.2, HIGH, {0: "0", 3: "3", 6: "6"}, "gain of its velocity")
        self.map = Plot(x, y, (-6.2, -2.9), (6.2, 4.3))
        cells = VGroup()
        width, height, _ = self.map.at(1.25, 0.25) - self.map.at(-1.25, -0.25)
        for row in grid.itertuples():
            share = row.value / grid["value"].max()
            shade = interpolate_color(ManimColor(PAPER), ManimColor(DARK), share)
            cell = Rectangle(width=width, height=height, color=shade, fill_opacity=1)
            cell.set_stroke(shade, 1)
            cells.add(cell.move_to(self.map.at(row.angle_gain, row.velocity_gain)))
        first = self.climbs[self.climbs["iteration"] == 0]
        marks = VGroup()
        for start in STARTS:
            own = first[first["start"] == start].drop_duplicates("measure")
            own = own.set_index("measure")["value"]
            dot = Dot(self.map.at(own["angle_gain"], own["velocity_gain"]), 0.13, color=INK)
            marks.add(VGroup(dot, label(NAMED[start], MEDIUM).next_to(dot, LEFT, buff=0.1)))
        ticks = {1: "1", 5: "5", 10: "10", 15: "15"}
        self.panel = Plot(
            Axis(0, 16, ticks, "update"),
            Axis(0.001, 40000, NATS, "KL of the update, nats", True),
            (2.2, -2.9),
            (4.5, 2.3),
        )
        shades = VGroup(
            Rectangle(
                width=0.2,
                height=0.4,
                fill_opacity=1,
                color=interpolate_color(ManimColor(PAPER), ManimColor(DARK), share),
            )
            for share in np.linspace(0, 1, 15)
        ).arrange(RIGHT, buff=0)
        scale = VGroup(label("0"), shades, self.write("highest")).arrange(RIGHT, buff=0.2)
        begin = VGroup(label("return of an episode"), scale, label("at the start"))
        begin.add(self.write("start")).arrange(DOWN, aligned_edge=LEFT, buff=0.3)
        begin[2:].shift(0.5 * DOWN)
        begin.move_to((1.2, 1.6, 0), LEFT + UP)
        with self.line(coming=[self.map, cells, begin]):
            self.play(FadeIn(marks, scale=2), run_time=0.6)
        self.shown, self.drawn = VGroup(self.map, cells, marks), VGroup(begin)

    def path(self, rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """Both gains, update by update."""
        gains = rows.pivot_table(index="iteration", columns="measure", values="value")
        return gains["angle_gain"].to_numpy(), gains["velocity_gain"].to_numpy()

    def climb(self, name: str) -> None:
        """The paths of one algorithm, and the KL of its updates."""
        color, lines, dots = COLORS[name], VGroup(), VGroup()
        for start in STARTS:
            table = self.seeds if name == "vpg_3" else self.climbs
            own = table[(table["start"] == start) & (table["algorithm"] == name)]
            for _, rows in own.groupby("seed") if name == "vpg_3" else [(0, own)]:
                x, y = self.path(rows)
                if y.max() > HIGH:  # it leaves the picture: to the edge, with an arrow there
                    end = int(np.argmax(y > HIGH))
                    share = (HIGH - y[end - 1]) / (y[end] - y[end - 1])
                    x = np.append(x[:end], x[end - 1] + share * (x[end] - x[end - 1]))
                    y = np.append(y[:end], HIGH)
                    tip = Triangle(color=color, fill_opacity=1).scale(0.13)
                    dots.add(VGroup(tip.move_to(self.map.at(x[-1], HIGH))))
                lines.add(self.map.curve(x, y, color, 4 if name == "vpg_3" else 7))
                dots.add(self.map.dots(x, y, color, 0.05))
        kl = self.kl[self.kl["algorithm"] == name].sort_values("iteration")
        points = self.panel.dots(kl["iteration"], kl["value"], color, 0.07)
        text = VGroup(
            label(NAMES[name], MEDIUM, color),
            self.write(f"kl_{name}"),
            self.write(f"end_{name}"),
        ).arrange(DOWN, aligned_edge=LEFT, buff=0.15)
        text.move_to((1.2, 2.1, 0), LEFT + UP)
        first = name == next(iter(COLORS))
        with self.line(*self.drawn):
            self.play(FadeIn(text, *([self.panel] if first else [])), run_time=0.5)
            self.play(
                *(Create(line, rate_func=linear) for line in lines),
                *(ShowIncreasingSubsets(x, rate_func=linear) for x in dots),
                ShowIncreasingSubsets(points, rate_func=linear),
                run_time=3.0,
            )
        self.shown.add(self.panel, points)
        self.drawn = VGroup(text, lines, dots)

    def mujoco(self) -> None:
        """Figure 3 here: interquartile means with intervals."""
        scores = figure3(RESULTS)
        x = Axis(0, 1, {0: "0", 0.5: "0.5", 1: "1"}, "normalized return")
        plot = Plot(x, Axis(0, 3, {}), (-3.0, -2.8), (8.2, 4.3))
        bars = VGroup()
        colors = {"ppo": BLUE, "trpo": GREEN, "vpg": FREE}
        for place, (name, said) in enumerate(FIGURE3.items()):
            row, height = scores.loc[name], 2.5 - place
            start, end = plot.at([0, row["iqm"]], [height, height])
            text = label(said.replace(", ", ",\n"), MEDIUM)
            bar = Line(start, end, color=colors[name], stroke_width=60)
            spread = Line(*plot.at(row[["iqm_low", "iqm_high"]], [height] * 2), color=INK)
            number = self.write(f"score_{name}").move_to(plot.at(1.09, height))
            text.move_to((-3.4 - text.width / 2, start[1], 0))
            bars.add(VGroup(text, bar, spread.set_stroke(width=6), number))
        with self.line(*self.drawn, self.shown, coming=[plot]):
            self.play(LaggedStart(*map(FadeIn, bars), lag_ratio=0.4), run_time=1.8)
