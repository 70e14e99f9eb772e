"""Film 1: expectation, error, the log-derivative trick, importance weights."""

from __future__ import annotations

from pathlib import Path

from analysis.reports.explain.numbers import read
from animations.script import Line, Script, percent, signed

FEW, MANY = 100, 10_000  # samples whose errors are compared
LAST = 10  # epochs of an update


def script(results: Path) -> Script:
    """From `python -m repro.explain statistics`."""
    tables = results / "explain"
    samples = read(tables, "statistics_samples").set_index(["estimate", "samples"])["value"]
    errors = read(tables, "statistics_errors").set_index(["estimate", "samples"])
    weights = read(tables, "statistics_weights").set_index(["objective", "epoch", "measure"])
    rms, exact, found = errors["value"], errors["exact"], weights["value"]
    mean, gradient = (float(exact[name].iloc[0]) for name in ("mean", "gradient"))
    count = int(samples["mean"].index[-1])
    less = rms["mean", FEW] / rms["mean", MANY]
    more = rms["gradient", MANY] / rms["mean", MANY]
    share = {name: found[name, LAST, "effective_share"] for name in ("none", "clip_0.2")}
    largest = {name: found[name, LAST, "largest_weight"] for name in ("none", "clip_0.2")}
    labels = {
        "mean": f"{samples['mean', count]:.2f} (exact: {mean:g})",
        "gradient": signed(f"{samples['gradient', count]:.2f} (exact: {gradient:g})"),
        "less": f"error ÷ {less:.0f}",
        "more": f"gradient: × {more:.1f}",
        "none": f"no clipping: {percent(share['none'])}",
        "clip": f"clipping: {percent(share['clip_0.2'])}",
        "none_largest": f"largest weight: {largest['none']:.0f}",
        "clip_largest": f"largest weight: {largest['clip_0.2']:.1f}",
    }
    lines = (
        Line(
            "An average of samples estimates an expectation.",
            f"The terms (x - 1)² of {count} draws from a standard normal distribution, and their "
            f"running average, which comes to {samples['mean', count]:.2f}. Exact is {mean:g}.",
            5.5,
        ),
        Line(
            f"{MANY // FEW} times the samples divide the error by {less:.0f}.",
            "The error against the number of samples, both on logarithmic scales: a line with "
            f"slope -1/2. From {FEW} to {MANY:,} samples the error falls by a factor of "
            f"{less:.1f}.",
            5.0,
        ),
        Line(
            "The log-derivative trick makes a gradient an average, too.",
            "∇E[f(x)] = E[f(x) ∇log p(x)]. The running average of f(x) ∇log p(x) of the same "
            + signed(f"draws comes to {samples['gradient', count]:.2f}. Exact is {gradient:g}."),
            6.5,
        ),
        Line(
            f"It is noisier: here its error is {more:.1f} times as large.",
            "The error of the gradient lies above that of the mean, with the same slope.",
            4.5,
        ),
        Line(
            "Importance weights let samples of an old policy count for a new one.",
            "The average over the new policy is one over the old policy of r f, where "
            f"r = π_new(a|s) / π_old(a|s). Dots as large as the ratios of samples of an update on "
            f"Reacher, which are equal before it and differ after {LAST} epochs.",
            6.0,
        ),
        Line(
            f"They wear out: {LAST} epochs of PPO without clipping leave "
            f"{percent(share['none'])} of the samples.",
            "Effective sample size of PPO's ratios on HalfCheetah by epoch: "
            f"{percent(share['none'])} without clipping (largest weight {largest['none']:.0f}), "
            f"{percent(share['clip_0.2'])} with clipping at 0.2 (largest weight "
            f"{largest['clip_0.2']:.1f}).",
            7.0,
        ),
    )
    names = ("statistics_samples", "statistics_errors", "statistics_weights", "clip_samples")
    sources = tuple(f"explain/{name}.csv" for name in names)
    return Script("statistics", "Statistics behind policy gradients", lines, labels, sources)
