"""Film 1: an average closes in, its error falls, weights wear out."""

from __future__ import annotations

import numpy as np
from manim import (
    DOWN,
    LEFT,
    RIGHT,
    UP,
    Create,
    Dot,
    FadeIn,
    ShowIncreasingSubsets,
    Transform,
    VGroup,
    Write,
    linear,
)

from analysis.reports.explain.numbers import read
from animations.script import RESULTS
from animations.style import (
    BLUE,
    CLIP,
    FREE,
    INK,
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
from animations.words.statistics import FEW, LAST, MANY

COUNTS = {0: "0", 100: "100", 200: "200", 300: "300"}
COLORS = {"mean": BLUE, "gradient": ORANGE}
SHOWN, ROW = 42, 14  # weights
EPOCHS = {0: "0", 5: "5", 10: "10"}


class Scene(Film):
    """From the tables of `statistics`, and ratios of those of `clip`."""

    name = "statistics"

    def draw(self) -> None:
        """Two averages, their errors, and weights."""
        tables = RESULTS / "explain"
        self.samples = read(tables, "statistics_samples")
        self.errors = read(tables, "statistics_errors")
        self.average()
        self.error()
        self.gradient()
        self.weights()

    def average(self) -> None:
        """Terms, and their running average."""
        own = self.samples[self.samples["estimate"] == "mean"]
        top = float(np.ceil(own["term"].max()))
        y = Axis(0, top, {0: "0", 2: "2", 5: "5", 10: "10"}, "(x − 1)²,  x ~ N(0, 1)")
        plot = Plot(Axis(0, 300, COUNTS, "samples"), y, (-5.9, -2.9), (12.1, 4.3))
        dots = plot.dots(own["samples"], own["term"], MUTED, 0.045).set_opacity(0.5)
        curve = plot.curve(own["samples"], own["value"], BLUE, 7)
        level = plot.level(2)
        found = beside(self.write("mean", color=BLUE), plot.at(300, top), UP + LEFT, 0.1)
        with self.line(coming=[plot, level]):
            drawn = {"rate_func": linear, "run_time": 3.0}
            self.play(ShowIncreasingSubsets(dots, **drawn), Create(curve, **drawn))
            self.play(FadeIn(found), run_time=0.4)
        self.shown = VGroup(plot, level, curve, found, dots)

    def error(self) -> None:
        """It falls as 1 / sqrt n."""
        x = Axis(8, 14000, {10: "10", 100: "100", 1000: "1,000", 10000: "10,000"}, "samples", True)
        y = Axis(0.02, 2.5, {0.03: "0.03", 0.1: "0.1", 0.3: "0.3", 1: "1"}, "error", True)
        self.plot = Plot(x, y, (-5.6, -2.9), (11.6, 4.4))
        self.lines = {name: self.errors_of(name) for name in COLORS}
        rms = self.errors.set_index(["estimate", "samples"])["value"]["mean"]
        ends = VGroup(*(Dot(self.plot.at(n, rms[n]), 0.16, color=BLUE) for n in (FEW, MANY)))
        less = self.write("less", color=BLUE).move_to(self.plot.at(4500, 0.14))
        with self.line(self.shown, coming=[self.plot]):
            self.play(Create(self.lines["mean"]), run_time=1.6)
            self.play(FadeIn(ends[0], scale=0.5), run_time=0.4)
            self.play(FadeIn(ends[1], scale=0.5), FadeIn(less), run_time=0.6)
        self.shown = VGroup(self.plot, self.lines["mean"], ends, less)

    def errors_of(self, estimate: str) -> VGroup:
        """Measured errors as a line with dots."""
        own, color = self.errors[self.errors["estimate"] == estimate], COLORS[estimate]
        line = self.plot.curve(own["samples"], own["value"], color)
        return VGroup(line, self.plot.dots(own["samples"], own["value"], color, 0.09))

    def gradient(self) -> None:
        """By the log-derivative trick, and noisier."""
        law = formula("nabla_mu EE[f(x)] = EE[f(x) thin nabla_mu log p_mu (x)]", 50)
        law.move_to((0, 1.7, 0))
        own = self.samples[self.samples["estimate"] == "gradient"]
        x, y = Axis(0, 300, COUNTS, "samples"), Axis(-4, 0, {-4: "−4", -2: "−2", 0: "0"})
        plot = Plot(x, y, (-5.9, -2.9), (12.1, 3.8))
        inside = own[own["value"].between(-4, 0)]
        curve, level = plot.curve(inside["samples"], inside["value"], ORANGE, 7), plot.level(-2)
        found = self.write("gradient", color=ORANGE).move_to(plot.at(230, -3.4))
        with self.line(self.shown, coming=[plot, level]):
            self.play(Write(law), run_time=1.5)
            self.play(Create(curve, rate_func=linear), run_time=1.8)
            self.play(FadeIn(found), run_time=0.4)
        more = beside(self.write("more", color=ORANGE), self.plot.at(1000, 0.42), RIGHT, 0)
        mean = beside(label("mean", MEDIUM, BLUE), self.plot.at(12, 0.28), RIGHT, 0)
        both = [self.plot, self.lines["mean"], mean]
        with self.line(law, plot, curve, level, found, coming=both):
            self.play(Create(self.lines["gradient"]), run_time=1.2)
            self.play(FadeIn(more), run_time=0.4)
        self.shown = VGroup(self.plot, mean, more, *self.lines.values())

    def weights(self) -> None:
        """Ratios of one update, then how many samples they are worth."""
        law = formula('EE_(pi_"new") [f] = EE_(pi_"old") [r f]', 50)
        ratio = formula('r = frac(pi_"new" (a|s), pi_"old" (a|s))', 50)
        laws = VGroup(law, ratio).arrange(RIGHT, buff=1.4).move_to((0, 1.45, 0))
        table = read(RESULTS / "explain", "clip_samples").query("task == 'reacher'")
        before, after = (self.circles(table[table["epoch"] == n]["ratio"]) for n in (0, LAST))
        dots = before.copy()
        said = label("the same samples, as large as their weights", MEDIUM, MUTED)
        said.move_to((0, -3.4, 0))
        with self.line(self.shown, coming=[dots]):
            self.play(Write(law), run_time=1.0)
            self.play(FadeIn(ratio), run_time=0.7)
            self.play(Transform(dots, after), FadeIn(said), run_time=1.8)
        share = read(RESULTS / "explain", "statistics_weights").query("measure=='effective_share'")
        y = Axis(0, 1, {0: "0 %", 0.5: "50 %", 1: "100 %"}, "effective sample size")
        plot = Plot(Axis(0, 10, EPOCHS, "epochs"), y, (-5.3, -2.9), (6.9, 4.2))
        with self.line(laws, dots, said, coming=[plot]):
            for name, key, up, color in (
                ("none", "none", 0.78, FREE),
                ("clip", "clip_0.2", 1, CLIP),
            ):
                own = share[share["objective"] == key]
                text = VGroup(self.write(name, color=color), self.write(f"{name}_largest"))
                text.arrange(DOWN, aligned_edge=LEFT, buff=0.15)
                text.move_to((1.9, plot.at(10, up)[1] - (0.75 if name == "none" else 0), 0), LEFT)
                self.play(Create(plot.curve(own["epoch"], own["value"], color, 7)), run_time=1.5)
                self.play(FadeIn(text), run_time=0.4)

    @staticmethod
    def circles(ratios: object) -> VGroup:
        """Dots with areas in the proportions of weights."""
        found = np.asarray(ratios)[:SHOWN]
        colors = [INK if abs(r - 1) < 1e-3 else BLUE if r > 1 else ORANGE for r in found]
        sizes = 0.27 * np.sqrt(found)
        dots = VGroup(Dot(radius=r, color=color) for r, color in zip(sizes, colors, strict=True))
        for place, dot in enumerate(dots):
            row, column = divmod(place, ROW)
            dot.move_to((-5.6 + 0.86 * column, -0.65 - 0.9 * row, 0))
        return dots
