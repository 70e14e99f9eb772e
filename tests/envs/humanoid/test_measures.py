"""What episodes are said to show: flags, speed, getting up, withstanding cubes."""

from __future__ import annotations

import numpy as np
import pytest

from repro.envs.humanoid.measures import Measures, described
from repro.envs.humanoid.rules import rules_of
from repro.envs.humanoid.starts import FACE_DOWN, UPRIGHT


def _told(
    heights: list[float], hits: tuple[int, ...] = (), kind: int = UPRIGHT
) -> dict[str, float]:
    """The measures of an episode of the harder task with these torso heights and hits by step."""
    measures = Measures(1, rules_of("repro/HumanoidFlagrunHarder-v0"))
    for step, z in enumerate(heights, 1):
        hit = np.array([step in hits])
        nothing = np.zeros(1, np.bool_)
        measures.add(np.array([step]), np.array([z]), np.array([0.0165]), nothing, hit)
    found = measures.finished(np.array([len(heights)]), np.array([kind]))
    return {name: float(values[0]) for name, values in found.items()}


def test_up_is_who_stays_up_for_half_a_second() -> None:
    jump, stand = [0.4] * 50 + [0.9] * 20 + [0.4] * 30, [0.9] * 40
    assert np.isnan(_told(jump, kind=FACE_DOWN)["up_seconds"])
    assert _told(jump + stand, kind=FACE_DOWN)["up_seconds"] == pytest.approx(101 * 0.0165)
    assert np.isnan(_told(jump + stand)["up_seconds"]), "it began upright"


def test_a_hit_is_withstood_without_a_fall_in_the_next_second() -> None:
    heights = [1.0] * 200
    assert _told(heights, hits=(20, 150))["withstood"] == 2
    heights[90] = 0.7  # the 91st step
    falls = _told(heights, hits=(20, 32, 62, 150))
    assert falls["hits"] == 4 and falls["withstood"] == 2, "the hits 59 and 29 steps before count"


def test_the_summary_counts_starts_and_cubes() -> None:
    assert _told([1.0] * 10)["speed"] == pytest.approx(1.0)
    measures = {
        "speed": np.array([1.0, 2.0, 0.0]),
        "flags": np.array([3.0, 0.0, 0.0]),
        "on_ground": np.array([1.0, 1.0, 0.0]),
        "up_seconds": np.array([2.0, np.nan, np.nan]),
        "hits": np.array([2.0, 0.0, 1.0]),
        "withstood": np.array([1.0, 0.0, 1.0]),
    }
    assert described(measures) == (
        "speed 1.00 m/s, 1.00 flags an episode, up from the ground within 5 s in 1 of 2 starts in "
        "2.00 s on average, 2 of 3 cubes withstood"
    )
