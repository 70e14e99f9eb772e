"""Film 3: each line of the derivation becomes the next, with the number that confirms it."""

from __future__ import annotations

from manim import (
    DOWN,
    LEFT,
    RIGHT,
    UP,
    Circle,
    Create,
    FadeIn,
    Line,
    MathTypst,
    Mobject,
    SurroundingRectangle,
    TransformMatchingShapes,
    VGroup,
    Write,
)

from analysis.reports.explain.numbers import read
from animations.script import RESULTS
from animations.style import (
    BLUE,
    FREE,
    GREEN,
    MEDIUM,
    MUTED,
    ORANGE,
    PAPER,
    SMALL,
    Axis,
    Film,
    Plot,
    beside,
    formula,
    label,
)

GRADIENT = "nabla_theta J(theta) = "
POLICY = "pi_theta (a_t|s_t)"
LINES = (
    "J(theta) = EE_(tau tilde pi_theta) [R(tau)]",
    f"P(tau|theta) = rho(s_0) product_(t=0)^T {POLICY} thin P(s_(t+1)|s_t, a_t)",
    f"{GRADIENT} nabla_theta sum_tau P(tau|theta) thin R(tau)",
    f"{GRADIENT} EE_tau [nabla_theta log P(tau|theta) thin R(tau)]",
    f"log P(tau|theta) = {{{{ log rho(s_0) : start }}}} + sum_t log {POLICY} "
    "+ {{ sum_t log P(s_(t+1)|s_t, a_t) : dynamics }}",
    f"{GRADIENT} EE_tau [sum_t nabla_theta log {POLICY} thin R(tau)]",
    f"{GRADIENT} EE_tau [sum_t nabla_theta log {POLICY} thin A_t]",
    f"hat(g) = hat(EE)_t [nabla_theta log {POLICY} thin hat(A)_t]",
)
LEFT_OVER = f"nabla_theta log P(tau|theta) = sum_t nabla_theta log {POLICY}"
STEPS = 7
MIDDLE, CHECKED = 0.9, -1.75  # heights on the screen
COUNTS = {10: "10", 100: "100", 1000: "1k", 10000: "10k"}


class Scene(Film):
    """From the tables of `derivation`."""

    name = "derivation"

    def draw(self) -> None:
        """The objective, then seven steps."""
        self.marks = VGroup(Circle(0.27, color=MUTED, stroke_width=3) for _ in range(STEPS))
        self.marks.arrange(RIGHT, buff=0.55).move_to((0, -3.4, 0))
        numbers = VGroup(
            label(str(n + 1), SMALL, MUTED).move_to(mark) for n, mark in enumerate(self.marks)
        )
        self.now = self.law(0)
        task = label("Checked on a task so small that", MEDIUM, MUTED)
        rest = label("all its trajectories can be listed", MEDIUM, MUTED)
        self.check: Mobject = VGroup(task, rest).arrange(DOWN, buff=0.2)
        self.check.move_to((0, CHECKED, 0))
        with self.line():
            self.play(Write(self.now), run_time=1.5)
            self.play(FadeIn(self.check, self.marks, numbers), run_time=0.6)
        self.numbers, self.over = numbers, list[Mobject]()
        for step in range(1, STEPS):
            with self.line(self.check, *self.over):
                self.over = []
                self.advance(step)
                if step == 4:
                    self.drop()
                self.confirm(step)
        with self.line(self.check, *self.over):
            self.estimate()

    @staticmethod
    def law(step: int) -> MathTypst:
        """The formula of a step, as large as the screen lets it be."""
        made = formula(LINES[step], 66)
        return made.scale(min(1, 12.8 / made.width)).move_to((0, MIDDLE, 0))

    def advance(self, step: int) -> None:
        """The next formula out of the last one, and its mark."""
        new = self.law(step)
        mark, number = self.marks[step - 1], self.numbers[step - 1]
        self.play(
            TransformMatchingShapes(self.now, new),
            mark.animate.set_fill(BLUE, 1).set_stroke(BLUE),
            number.animate.set_color(PAPER),
            run_time=1.1,
        )
        self.now = new

    def drop(self) -> None:
        """Step 4: what does not depend on theta."""
        crosses = VGroup()
        for part in ("start", "dynamics"):
            own = self.now.select(part)
            own.set_color(MUTED)
            ends = own.get_corner(LEFT + DOWN), own.get_corner(RIGHT + UP)
            crosses.add(Line(*ends, color=ORANGE, stroke_width=6))
        left = formula(LEFT_OVER, 60).move_to((0, MIDDLE - 1.6, 0))
        self.play(Create(crosses), run_time=0.7)
        self.play(FadeIn(left), run_time=0.6)
        self.over = [self.now, crosses]
        self.now = left

    def confirm(self, step: int) -> None:
        """The number that says that the step is right."""
        tick = label("✓", 40, GREEN)
        self.check = VGroup(tick, self.write(f"check_{step}", color=GREEN)).arrange(RIGHT, buff=0.3)
        self.check.move_to((0, CHECKED - (0.55 if step == 4 else 0), 0))
        self.play(FadeIn(self.check), run_time=0.5)

    def estimate(self) -> None:
        """Step 7: the estimator, and its error against the number of trajectories."""
        self.advance(STEPS)
        errors = read(RESULTS / "explain", "derivation_errors")
        x = Axis(8, 14000, COUNTS, "trajectories", True)
        y = Axis(0.004, 1.2, {0.01: "0.01", 0.1: "0.1", 1: "1"}, "error of ĝ", True)
        plot = Plot(x, y, (1.4, -1.9), (5.2, 3.6))
        made = self.now.copy().scale(6.2 / self.now.width).move_to((-3.4, 0.5, 0))
        self.check = self.write("check_7", SMALL, GREEN)
        self.check.move_to((-3.4, -1.1, 0))
        self.play(self.now.animate.become(made), FadeIn(plot), run_time=0.7)
        frame = SurroundingRectangle(self.now, color=BLUE, buff=0.3, stroke_width=5)
        drawn = VGroup()
        for signal, color in (("return", FREE), ("advantage", BLUE)):
            own = errors[errors["signal"] == signal]
            drawn.add(plot.curve(own["trajectories"], own["value"], color, 6))
            at = plot.at(10000, own["value"].iloc[-1])
            text = self.write(signal, SMALL, color)
            drawn.add(beside(text, at + (0.75 if signal == "return" else -0.1) * UP, LEFT, 0.1))
        self.play(Create(frame), Create(drawn), run_time=1.3)
        self.play(FadeIn(self.check), run_time=0.4)
