"""Published curves: read where they were measured, on a line between, and not beyond their end."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from analysis.published.paper import PAPER_TASKS, Curve, baselines_curves, paper_figure3
from repro.runs import store

REFERENCE = Path(__file__).parents[3] / "results" / "reference"
PAPER = ("PPO(Clip)", "TRPO", "VPG-adaptive", "A2C", "A2C+TR", "CEM")


@pytest.mark.parametrize("algorithm", PAPER)
def test_the_paper_at_its_own_points(algorithm: str) -> None:
    file = store.read_json(REFERENCE / "paper_fig3_digitised.json")
    curves = paper_figure3(REFERENCE, algorithm)
    assert sorted(curves) == sorted(PAPER_TASKS)
    for task, curve in curves.items():
        printed = file[f"{task}-v1"][algorithm]["curve"]
        assert [curve.at(100_000 * place) for place in range(11)] == printed
        assert curve.at(300_000) == printed[3]
        share = 0.072  # of the way from 300,000 to 400,000
        assert curve.at(307_200) == pytest.approx((1 - share) * printed[3] + share * printed[4])
        assert math.isnan(curve.at(1_100_000))


@pytest.mark.parametrize("algorithm", ["ppo2", "trpo_mpi"])
def test_baselines_at_their_own_points(algorithm: str) -> None:
    file = store.read_json(REFERENCE / "baselines_mujoco1M_curves.json")
    curves = baselines_curves(REFERENCE, algorithm)
    assert sorted(curves) == sorted(PAPER_TASKS)
    for task, curve in curves.items():
        points = file[task][algorithm]
        assert all(curve.at(step) == value for step, value in points)
        # ppo2's last point is at 999,000 to 999,400 steps.
        assert curve.at(1_000_000) == points[-1][1]


def test_a_curve_ends_where_it_is_cut() -> None:
    curve = Curve(np.array([0.0, 100.0, 200.0]), np.array([0.0, 10.0, 40.0]))
    assert [values.tolist() for values in curve.until(150)] == [[0, 100, 150], [0, 10, 25]]
    assert [values.tolist() for values in curve.until(100)] == [[0, 100], [0, 10]]
    assert [values.tolist() for values in curve.until(900)] == [[0, 100, 200], [0, 10, 40]]
    assert math.isnan(curve.at(203)) and math.isnan(curve.at(-1))
