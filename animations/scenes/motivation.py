"""Film 6: one and the same step, on a wide and on a narrow policy, and on those of Table 1."""

from __future__ import annotations

from manim import (
    DOWN,
    LEFT,
    RIGHT,
    UP,
    Arrow,
    Create,
    Dot,
    FadeIn,
    Group,
    GrowArrow,
    LaggedStart,
    Line,
    VGroup,
)

from analysis.reports.explain.numbers import read
from animations.script import RESULTS
from animations.style import (
    BLUE,
    CLIP,
    FREE,
    GRID,
    INK,
    MEDIUM,
    MUTED,
    ORANGE,
    Axis,
    Film,
    Plot,
    beside,
    label,
)
from animations.words.motivation import TASKS, kl, updates

POWERS = {0.001: "0.001", 0.01: "0.01", 0.1: "0.1", 1: "1", 10: "10", 100: "100"}


class Scene(Film):
    """From the tables of `motivation`, and Table 1's updates."""

    name = "motivation"

    def draw(self) -> None:
        """Two policies, all widths, real updates."""
        self.two_policies()
        self.all_widths()
        self.real_updates()

    def two_policies(self) -> None:
        """Densities before and after the step; their heights are made equal."""
        table = read(RESULTS / "explain", "motivation_densities")
        x = Axis(-1, 1, {-1: "−1", -0.5: "−0.5", 0: "0", 0.5: "0.5", 1: "1"}, "action")
        plot = Plot(x, Axis(0, 1.12, {}), (-6.3, -2.6), (12.6, 4.3))
        step = Arrow(*plot.at([0, 0.1], [1.06, 1.06]), color=INK, buff=0, stroke_width=10)
        step.set_stroke(width=8)
        named = beside(self.write("step"), plot.at(0.12, 1.06), RIGHT, 0.1)
        wide, narrow = (self.pair(plot, table, at) for at in (1.0, 0.1))
        texts = [
            VGroup(self.write(name, color=color), self.write(f"kl_{name}", 34, color))
            .arrange(DOWN, aligned_edge=LEFT, buff=0.15)
            .move_to(place, LEFT)
            for name, color, place in (
                ("wide", BLUE, (3.4, -1.0, 0)),
                ("narrow", ORANGE, (-4.6, -1.0, 0)),
            )
        ]
        with self.line(coming=[plot]):
            self.play(Create(wide[0]), run_time=1.0)
            self.play(GrowArrow(step), FadeIn(named), run_time=0.6)
            self.move(plot, wide, texts[0])
        with self.line():
            self.play(Create(narrow[0]), run_time=1.2)
            self.move(plot, narrow, texts[1])
        self.shown = Group(*(x for x in self.mobjects if x is not self.sentence))

    def move(self, plot: Plot, pair: VGroup, text: VGroup) -> None:
        """The step: from before to after."""
        moving = pair[0].copy().set_stroke(pair[1].get_color(), 7)
        step = plot.at(0.1, 0) - plot.at(0, 0)
        self.play(moving.animate.shift(step), FadeIn(text), run_time=1.4)
        self.remove(moving)
        self.add(pair[1])

    @staticmethod
    def pair(plot: Plot, table: object, sigma: float) -> VGroup:
        """Before, dim, and after."""
        own = table[(table["sigma"] == sigma) & table["action"].between(-1, 1)]
        top = table[table["sigma"] == sigma]["before"].max()
        color = BLUE if sigma == 1 else ORANGE
        before = plot.curve(own["action"], own["before"] / top, MUTED, 5)
        return VGroup(before, plot.curve(own["action"], own["after"] / top, color, 7))

    def all_widths(self) -> None:
        """KL of the step against the standard deviation."""
        found = {at: x for at, x in kl(RESULTS).items() if 0.05 <= at <= 2}
        x = Axis(
            0.045, 2.4, {0.05: "0.05", 0.1: "0.1", 0.3: "0.3", 1: "1"}, "σ of the policy", True
        )
        ticks = {y: POWERS[y] for y in (0.01, 0.1, 1)}
        y = Axis(0.001, 3, ticks, "KL of the same step, nats", True)
        plot = Plot(x, y, (-5.6, -2.9), (11.6, 4.3))
        curve = plot.curve(list(found), list(found.values()), INK, 6)
        dots, texts = VGroup(), VGroup()
        for name, at, color in (("wide", 1.0, BLUE), ("narrow", 0.1, ORANGE)):
            dots.add(Dot(plot.at(at, found[at]), 0.17, color=color))
            texts.add(
                beside(self.write(f"kl_{name}", color=color), dots[-1].get_center(), RIGHT, 0.4)
            )
        texts.shift(0.3 * UP)
        with self.line(self.shown, coming=[plot]):
            self.play(FadeIn(dots[0], texts[0]), run_time=0.5)
            self.play(Create(curve.reverse_points()), run_time=1.8)
            self.play(FadeIn(dots[1], texts[1]), run_time=0.5)
        self.shown = VGroup(plot, curve, dots, texts)

    def real_updates(self) -> None:
        """Table 1: without clipping and with it."""
        moved = updates(RESULTS)["kl"]
        x = Axis(0.001, 200, POWERS, "KL of an update, nats", True)
        plot = Plot(x, Axis(0, 3, {}), (-3.2, -2.8), (9.7, 4.2))
        rows, free, held = VGroup(), VGroup(), VGroup()
        for place, (task, name) in enumerate(TASKS.items()):
            height = 2.5 - place
            text = label(name.replace(" ", "\n"), MEDIUM)
            rows.add(text.move_to((-3.6 - text.width / 2, plot.at(1, height)[1], 0)))
            ends = [plot.at(moved[task, row], height) for row in ("clip_0.2", "none")]
            for group, row, color, at in zip(
                (held, free), ("clip_0.2", "none"), (CLIP, FREE), ends, strict=True
            ):
                number = self.write(f"{task} {row}", color=color)
                group.add(VGroup(Dot(at, 0.17, color=color), beside(number, at, UP, 0.22)))
            held[-1].add(Line(*ends, color=GRID, stroke_width=6).set_z_index(-1))
        no = label("no clipping", MEDIUM, FREE).move_to(plot.at(25, 3) + 0.25 * UP)
        yes = label("clipping at 0.2", MEDIUM, CLIP).move_to(plot.at(0.02, 3) + 0.25 * UP)
        with self.line(self.shown, coming=[plot, rows]):
            self.play(FadeIn(no), LaggedStart(*map(FadeIn, free), lag_ratio=0.5), run_time=1.8)
        with self.line():
            self.play(FadeIn(yes), LaggedStart(*map(FadeIn, held), lag_ratio=0.5), run_time=1.8)
