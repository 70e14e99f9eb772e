"""Numbers of the story are those of the committed tables."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.reports.explain.figures import baseline_variance, covariances
from tests.helpers.explain import RESULTS

STORY = Path(__file__).parents[2] / "docs" / "story"


def said(page: str, pattern: str) -> list[float]:
    """The numbers at the `#` of a pattern, which is looked for across lines."""
    text = " ".join((STORY / f"{page}.md").read_text().split())
    found = re.search(pattern.replace("#", r"(\d[\d,]*(?:\.\d+)?)"), text)
    assert found is not None, pattern
    return [float(each.replace(",", "")) for each in found.groups()]


def table(name: str, **chosen: object) -> pd.DataFrame:
    found = pd.read_csv(RESULTS / f"{name}.csv")
    for column, value in chosen.items():
        found = found[found[column] == value]
    return found


def close(numbers: list[float], expected: list[float], digits: float) -> None:
    np.testing.assert_allclose(numbers, expected, atol=digits / 2 * 1.01)


def test_samples_worth() -> None:
    numbers = said("policy-gradients", r"leave # % .* without it # %, with .* weights of #")
    weights = table("statistics_weights", epoch=10).set_index(["objective", "measure"])["value"]
    shares = [100 * weights[each, "effective_share"] for each in ("clip_0.2", "none")]
    close(numbers, [*shares, weights["none", "largest_weight"]], 1)


def test_intuition() -> None:
    numbers = said("policy-gradients", r"made # % of .* likelier, and # % of")
    values = table("intuition").set_index("measure")["value"]
    close(numbers, [100 * values["good_rose"], 100 * values["bad_fell"]], 1)


def test_derivation() -> None:
    numbers = said("policy-gradients", r"falls from # with 10 .* to # with 10,000")
    errors = table("derivation_errors", signal="advantage").set_index("trajectories")["value"]
    close(numbers[:1], [errors[10]], 0.01)
    close(numbers[1:], [errors[10_000]], 0.001)
    ratios = table("derivation_errors", signal="return").set_index("trajectories")["value"] / errors
    assert ratios.between(3, 4.5).all()
    steps = table("derivation").set_index("step")["value"]
    assert steps[[2, 3, 5, 6]].max() < 2e-10


@pytest.mark.parametrize(("column", "task"), [(1, "CartPole-v1"), (2, "Reacher-v4")])
def test_signals(column: int, task: str) -> None:
    traces = table("variance", task=task, measure="log_trace").set_index("signal")["value"]
    rows = ("the whole return", "the reward to go", "chance after", "the state is worth")
    for signal, row in zip(("return", "reward_to_go", "q", "advantage"), rows, strict=True):
        numbers = said("advantages", rf"\| [^|]*(?:{row})[^|]*\|(?:[^|]*\|)?? # \| # \|")
        digits = 1 if numbers[column - 1] > 20 else 0.1
        close([numbers[column - 1]], [float(np.exp(traces[signal]))], digits)


def test_the_best_baseline() -> None:
    first, less, second = said("advantages", r"c = #\$ on CartPole, with # % .*c = #\$")
    grid, parts = np.linspace(0, 1.5, 151), table("variance_baselines")
    for task, c in (("CartPole-v1", first), ("Reacher-v4", second)):
        line = np.mean([baseline_variance(x, 0, grid) for x in covariances(parts, task)], axis=0)
        assert grid[line.argmin()] == pytest.approx(c, abs=0.006)
        if task == "CartPole-v1":
            assert 100 * (1 - line.min()) == pytest.approx(less, abs=0.5)


def test_biases() -> None:
    numbers = said(
        "advantages",
        r"its bias is # .* true contrast is #, .* from 0 to #\..* bias is # and the standard "
        r"deviation #",
    )
    values = table("gae", critic="own").set_index(["lambda", "measure"])["value"]
    keys = [(0, "bias"), (0, "truth"), (1, "std"), (0.95, "bias"), (0.95, "std")]
    close(numbers, [values[key] for key in keys], 0.1)
    assert values[1, "bias"] < 1e-9


def test_steps_of_a_mean() -> None:
    numbers = said("trust-regions", r"is # nats of KL .* and # nats when it is 0.1")
    close(numbers, [0.1**2 / 2, 0.1**2 / 2 / 0.1**2], 1e-9)


def test_samples_outside() -> None:
    numbers = said("clipping", r"# % of the samples of a HalfCheetah batch .* and # % on Reacher")
    shares = table("clip_shares", objective="clip_0.2", epoch=10)
    shares = shares.set_index(["task", "measure"])["value"]
    tasks = ("half_cheetah", "reacher")
    close(numbers, [100 * shares[task, "outside"] for task in tasks], 1)
    (back,) = said("clipping", r"about # % of those outside")
    assert all(abs(100 * shares[task, "pulled_back"] - back) < 2 for task in tasks)
