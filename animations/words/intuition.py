"""Film 2: what one step of the policy gradient does to the actions of one batch."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from analysis.reports.explain.numbers import read
from animations.script import Line, Script, percent


def right(samples: pd.DataFrame) -> pd.DataFrame:
    """P(right) `before` and `after` the step, whatever the action was."""
    taken = samples["action"] == 1
    return samples[["before", "after"]].where(taken, 1 - samples[["before", "after"]], axis=0)


def script(results: Path) -> Script:
    """From `python -m repro.explain intuition`."""
    tables = results / "explain"
    samples = read(tables, "intuition_samples")
    value = read(tables, "intuition").set_index("measure")["value"]
    change = right(samples)["after"] - right(samples)["before"]
    agreement = float(change.corr(samples["angular_velocity"]))
    good, bad = percent(value["good_rose"]), percent(value["bad_fell"])
    labels = {
        "good": f"A > 0:\n{good} likelier",
        "bad": f"A < 0:\n{bad} less likely",
        "agreement": f"correlation {agreement:.2f}",
    }
    lines = (
        Line(
            "A policy balances a pole. It draws each action: left or right.",
            "A cart with a pole, and an arrow for the action of each step.",
            6.0,
        ),
        Line(
            "The advantage A says: better or worse than expected?",
            f"A bar for each of {len(samples)} steps: {(samples['advantage'] > 0).sum()} with a "
            f"positive advantage, {(samples['advantage'] < 0).sum()} with a negative one.",
            6.0,
        ),
        Line(
            "A step along the gradient makes actions likelier if A > 0, less likely if A < 0.",
            "ĝ, the average of ∇log π(a|s) A. The probability of actions with a positive "
            "advantage is pushed up, of others down.",
            7.0,
        ),
        Line(
            f"But all share one network: {good} of the good rise, only {bad} of the bad fall.",
            "Each action of the batch: its advantage, and the change of its probability by one "
            "step. They hardly hang together.",
            7.0,
        ),
        Line(
            "The sum is clear: it learned to push to the side to which the pole falls.",
            "The change of P(right) by one step against the pole's angular velocity: a rising "
            f"line, with a correlation of {agreement:.2f}.",
            7.0,
        ),
    )
    sources = ("explain/intuition.csv", "explain/intuition_samples.csv")
    return Script("intuition", "One step of the policy gradient", lines, labels, sources)
