"""The static figures 4, 5, 7, 8 and 10, each from tables alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.drawing.style import INK, MUTED
from analysis.reports.explain.numbers import clip_term, read
from analysis.reports.explain.tokens import tokens

BLUE, ORANGE, GREEN, PINK = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
_SIGNALS = {
    "return": "R(τ), the whole return",
    "reward_to_go": "reward to go",
    "q": "Q, the λ-return",
    "advantage": "advantage",
}
_TASKS = {"CartPole-v1": (BLUE, "o"), "Reacher-v4": (ORANGE, "s")}
_EPOCH_TASKS = {"half_cheetah": "HalfCheetah", "reacher": "Reacher"}
_STEPS = {"trpo": (ORANGE, "TRPO, δ = 0.01"), "ppo": (BLUE, "PPO, ε = 0.2")}
_STEPS |= {"adam_0.1": (GREEN, "plain gradient, Adam 0.1")}
FREE, FLAT, BACK = "free", "flat: no gradient", "outside, pulled back"


def variance(tables: Path) -> Figure:
    """Figure 4: noise by signal, and by how much of the value is subtracted."""
    table, parts = read(tables, "variance"), read(tables, "variance_baselines")
    figure = Figure(figsize=(8.6, 3.5))
    left, right = figure.subplots(1, 2)
    rows = table[table["measure"] == "log_trace"]
    for shift, (task, (color, marker)) in zip((0.12, -0.12), _TASKS.items(), strict=True):
        own = rows[rows["task"] == task].set_index("signal").loc[list(_SIGNALS)]
        middle, error = own["value"].to_numpy(), own["error"].to_numpy()
        place = np.arange(len(own))[::-1] + shift
        low, high = np.exp(middle - 2 * error), np.exp(middle + 2 * error)
        left.hlines(place, low, high, color=color, linewidth=2.2)
        left.plot(np.exp(middle), place, marker, color=color, label=task, markersize=6.5)
    left.set_yticks(np.arange(4)[::-1], list(_SIGNALS.values()))
    left.set_xscale("log")
    left.set_xticks([1, 3, 10, 30], ["1", "3", "10", "30"])
    left.minorticks_off()
    left.set_xlabel("variance of the gradient, the advantage's = 1")
    left.set_title("Noise by what multiplies ∇ log π")
    left.legend(loc="lower right")
    c = np.linspace(0, 1.5, 151)
    for task, (color, _) in _TASKS.items():
        lines = np.stack([baseline_variance(x, 0.0, c) for x in covariances(parts, task)])
        right.plot(c, lines.mean(0), color=color, label=task)
        best = int(np.argmin(lines.mean(0)))
        right.plot(c[best], lines.mean(0)[best], "D", color=color, markersize=6.5)
    right.axvline(1, color=MUTED, linestyle=":", linewidth=1.2)
    right.annotate("the advantage", (1.02, 8), color=MUTED, fontsize=8.5)
    right.set_yscale("log")
    right.set_xlabel("c, of the signal Q - c V(s)")
    right.set_ylabel("variance, the advantage's = 1")
    right.set_title("The best baseline is near V, not V")
    return figure


def covariances(parts: pd.DataFrame, task: str) -> list[Mapping[tuple[str, str], float]]:
    """Traces by pair of parts, of each trained policy."""
    own = parts[parts["task"] == task]
    return [
        dict(zip(zip(x["part"], x["other"], strict=True), x["trace"], strict=True))
        for _, x in own.groupby("seed")
    ]


def baseline_variance(
    traces: Mapping[tuple[str, str], float], b: float, c: np.ndarray
) -> np.ndarray:
    """Trace of the covariance of g_q - b g_1 - c g_V."""
    t = traces
    square = t["q", "q"] + b * b * t["one", "one"] + c * c * t["value", "value"]
    mixed = b * t["q", "one"] + c * t["q", "value"] - b * c * t["one", "value"]
    return np.asarray(square - 2 * mixed)


def gae(tables: Path) -> Figure:
    """Figure 5: bias against spread by lambda, for three critics, and the weights behind it."""
    table, lags = read(tables, "gae"), read(tables, "gae_residuals")
    figure = Figure(figsize=(11.4, 3.6))
    first, second, third = figure.subplots(1, 3)
    colors = {"untrained": MUTED, "early": PINK, "own": BLUE}
    names = {"untrained": "untrained critic", "early": "early critic", "own": "its own critic"}
    for critic, color in colors.items():
        own = table[table["critic"] == critic]
        for axes, measure in ((first, "bias"), (second, "std")):
            line = own[own["measure"] == measure]
            x, y, error = (line[key].to_numpy() for key in ("lambda", "value", "error"))
            axes.plot(x, y, color=color, label=names[critic])
            axes.fill_between(x, y - 2 * error, y + 2 * error, color=color, alpha=0.15, linewidth=0)
        line = lags[lags["critic"] == critic]
        third.plot(line["lag"], line["size"], color=color)
    truth = table[table["measure"] == "truth"]["value"].mean()
    first.axhline(truth, color=INK, linestyle=":", linewidth=1.2)
    first.annotate("size of the true contrast", (0.02, truth), (0, 3), textcoords="offset points",
                   fontsize=8.5, color=INK)  # fmt: skip
    first.set_title("Bias of A(right) - A(left)")
    first.set_ylabel("reward, root mean square")
    first.legend(loc="lower left")
    second.set_title("Standard deviation of one estimate")
    for axes in (first, second):
        axes.set_xlabel("λ")
        axes.set_ylim(bottom=0)
    third.set_title("What each residual adds at λ = 1")
    third.set_xlabel("steps after the action")
    third.set_ylabel("reward, root mean square")
    third.set_ylim(bottom=0)
    return figure


def trust_region(tables: Path) -> Figure:
    """Figure 7: contours of equal KL, and real steps."""
    contours, steps = read(tables, "trust_region_contours"), read(tables, "trust_region_steps")
    figure = Figure(figsize=(11.4, 3.8))
    first, second, third = figure.subplots(1, 3)
    gaussian = contours[(contours["policy"] == "gaussian") & (contours["delta"] == 0.2)]
    for color, (_, own) in zip((GREEN, ORANGE, BLUE), gaussian.groupby("at"), strict=True):
        _contours(first, own, color)
    first.set_title("Gaussian, KL = 0.2 nats")
    first.set_xlabel("μ")
    first.set_ylabel("log σ")
    categorical = contours[contours["at"] == "logits (0.0, 0.0)"]
    for color, (_, own) in zip((GREEN, ORANGE, BLUE), categorical.groupby("delta"), strict=True):
        _contours(second, own, color)
    second.set_title("Three actions, KL = 0.01, 0.05, 0.2")
    second.annotate("solid: exact\ndashed: Fisher ellipse", (0.03, 0.97), va="top",
                    xycoords="axes fraction", fontsize=8.5, color=INK)  # fmt: skip
    second.set_xlabel("first logit")
    second.set_ylabel("second logit")
    wide = steps.pivot_table(index=["algorithm", "iteration"], columns="measure", values="value")
    for name, (color, label) in _STEPS.items():
        own = wide.xs(name).reset_index()
        style = {"marker": "o", "markersize": 3.5, "linewidth": 1.2}
        third.plot(own["mean"], own["log_std"], color=color, label=label, **style)
    third.set_title("Twelve real updates from one start")
    third.set_xlabel("μ (the best action is 1)")
    third.set_ylabel("log σ")
    third.legend(loc="lower left")
    return figure


def _contours(axes: Axes, table: pd.DataFrame, color: str) -> None:
    for kind, style in (("exact", "-"), ("fisher", "--")):
        for _, own in table[table["kind"] == kind].groupby("delta"):
            axes.plot(own["x"], own["y"], style, color=color, linewidth=1.6)


def clip(tables: Path) -> Figure:
    """Figure 8: the term, its gradient, real samples, and how many of those outside move on."""
    samples, shares = read(tables, "clip_samples"), read(tables, "clip_shares")
    curves = clip_term(tables, "clip", 0.2)
    figure = Figure(figsize=(9.6, 6.6))
    panels = figure.subplots(2, 2)
    for axes, column, title in (
        (panels[0, 0], "term", "One term of L_CLIP, ε = 0.2"),
        (panels[0, 1], "gradient", "Its gradient by r"),
    ):
        for advantage, color in ((1.0, BLUE), (-1.0, ORANGE)):
            own = curves[curves["advantage"] == advantage]
            sign = ">" if advantage > 0 else "<"
            axes.plot(own["ratio"], own[column], color=color, label=f"A {sign} 0", linewidth=2.2)
        axes.set_title(title)
        axes.set_xlabel("probability ratio r")
        axes.set_ylabel("in units of |A|")
        _range(axes)
    panels[0, 0].legend()
    last = samples[(samples["task"] == "half_cheetah") & (samples["epoch"] == 10)]
    _samples(panels[1, 0], last)
    _pulled(panels[1, 1], shares)
    return figure


def status(samples: pd.DataFrame) -> pd.Series:
    """Free, flat, or outside of the range and pulled back; by the measured gradient."""
    outside = (samples["ratio"] - 1).abs() > 0.2
    flat = samples["gradient"] == 0
    return pd.Series(np.select([flat, outside], [FLAT, BACK], FREE), samples.index)


def _range(axes: Axes) -> None:
    for edge in (0.8, 1.2):
        axes.axvline(edge, color=MUTED, linestyle=":", linewidth=1.2)


def _samples(axes: Axes, samples: pd.DataFrame) -> None:
    found = status(samples)
    for name, color in ((FREE, BLUE), (FLAT, MUTED), (BACK, ORANGE)):
        own = samples[found == name]
        label = f"{name} ({len(own)})"
        axes.plot(own["ratio"], own["advantage"], "o", color=color, markersize=3.5, label=label)
    _range(axes)
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.set_title(f"{len(samples)} samples after one update, HalfCheetah")
    axes.set_xlabel("probability ratio r")
    axes.set_ylabel("advantage, standard deviations")
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + 0.42 * (high - low))
    axes.legend(loc="upper left", fontsize=8)


def _pulled(axes: Axes, shares: pd.DataFrame) -> None:
    own = shares[(shares["objective"] == "clip_0.2") & (shares["epoch"] > 0)]
    for color, (task, name) in zip((BLUE, ORANGE), _EPOCH_TASKS.items(), strict=True):
        for measure, style in (("outside", "-"), ("pulled_back", "--")):
            line = own[(own["task"] == task) & (own["measure"] == measure)]
            label = name if measure == "outside" else None
            axes.errorbar(line["epoch"], 100 * line["value"], 200 * line["error"], fmt=style,
                          color=color, label=label, elinewidth=1)  # fmt: skip
    axes.plot([], [], "-", color=INK, label="of all: outside")
    axes.plot([], [], "--", color=INK, label="of those: with gradient")
    axes.set_ylim(0, 75)
    axes.set_title("Clipping is no wall")
    axes.set_xlabel("epochs of the update")
    axes.set_ylabel("% of samples")
    axes.legend(ncols=2, fontsize=8)


FIGURES: Mapping[str, Callable[[Path], Figure]] = {
    "variance": variance,
    "gae": gae,
    "trust_region": trust_region,
    "clip": clip,
    "tokens": tokens,
}
