"""What an episode shows: does the humanoid run, steer, get up, withstand cubes?

No reward depends on these. At the end of an episode `infos["measures"]` has them by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from repro.envs.humanoid.model import STEP_SECONDS
from repro.envs.humanoid.rewards import STANDS
from repro.envs.humanoid.rules import Rules
from repro.envs.humanoid.starts import UPRIGHT
from repro.envs.vector import BoolArray, FloatArray

HOLD = 30  # steps, 0.5 s: whoever stands for so long has got up
UP_LIMIT = 5.0  # s; getting up later does not count in `described`
WITHSTAND = 60  # steps, 1 s: who falls within them after a hit has not withstood it
MEANINGS = {
    "speed": "mean speed towards the target, m/s",
    "flags": "flags that were reached",
    "on_ground": "whether the episode began on the ground",
    "up_seconds": "s until the torso rose above 0.78 m for 0.5 s; null: it never did, or began up",
    "hits": "cubes that hit the humanoid",
    "withstood": "hits after which the torso stayed above 0.78 m for 1 s or to the end",
}
_OF_FLAGRUN = ("flags",)
_OF_HARDER = ("on_ground", "up_seconds", "hits", "withstood")
LONG_AGO = -1000.0
_RECENT = 3  # hits that can lie within WITHSTAND steps, since throws are 30 steps apart


class Measures:
    """Of the running episodes of N simulations."""

    def __init__(self, num_envs: int, rules: Rules) -> None:
        """Start at zero."""
        absent = (() if rules.flagrun else _OF_FLAGRUN) + (() if rules.harder else _OF_HARDER)
        self.names = [name for name in MEANINGS if name not in absent]
        self._rules = rules
        self._arrays: dict[str, NDArray[Any]] = {
            "travelled": np.zeros(num_envs),
            "flags": np.zeros(num_envs),
            "above": np.zeros(num_envs, np.int64),  # steps above 0.78 m without a break
            "up_step": np.zeros(num_envs),  # at which the torso rose for good; 0: not yet
            "hits": np.zeros(num_envs),
            "lost": np.zeros(num_envs),
            "recent_hits": np.full((num_envs, _RECENT), LONG_AGO),  # steps
        }
        self._empty = {name: array[:1].copy() for name, array in self._arrays.items()}

    def reset(self, rows: Any) -> None:
        """New episodes in some environments."""
        for name, array in self._arrays.items():
            array[rows] = self._empty[name]

    def add(
        self,
        steps: NDArray[np.int64],
        z: FloatArray,
        approach: FloatArray,
        reached: BoolArray,
        hits: BoolArray | None,
    ) -> None:
        """Add a step.

        Args:
            steps: of the episodes so far, this one included, [N].
            z: height of the torso's waist point, [N].
            approach: decrease of the distance to the target, in m, [N].
            reached: whether a flag was reached, [N].
            hits: whether a cube hit, [N].
        """
        now = self._arrays
        now["travelled"] += approach
        now["flags"] += reached
        if hits is None:
            return
        standing = z > STANDS
        falls = ~standing & (now["above"] > 0)
        now["above"] += 1
        now["above"][~standing] = 0
        up = (now["above"] == HOLD) & (now["up_step"] == 0)
        now["up_step"][up] = steps[up] - HOLD + 1
        now["hits"] += hits
        if hits.any():
            now["recent_hits"][hits] = np.roll(now["recent_hits"][hits], 1, axis=1)
            now["recent_hits"][hits, 0] = steps[hits]
        if falls.any():
            recent = now["recent_hits"] > (steps - WITHSTAND)[:, None]
            now["lost"][falls] += recent[falls].sum(axis=1)
            now["recent_hits"][falls] = LONG_AGO

    def finished(self, steps: NDArray[np.int64], kind: NDArray[np.int64]) -> dict[str, FloatArray]:
        """The measures of episodes by name, [N] each; arbitrary where an episode goes on."""
        now = self._arrays
        values = {
            "speed": now["travelled"] / (np.maximum(steps, 1) * STEP_SECONDS),
            "flags": now["flags"].copy(),
            "on_ground": (kind != UPRIGHT).astype(np.float64),
            "up_seconds": np.where(
                (kind == UPRIGHT) | (now["up_step"] == 0), np.nan, now["up_step"] * STEP_SECONDS
            ),
            "hits": now["hits"].copy(),
            "withstood": now["hits"] - now["lost"],
        }
        return {name: values[name] for name in self.names}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """What a saved state holds."""
        return {f"measure_{name}": array for name, array in self._arrays.items()}


def summarized(measures: Mapping[str, FloatArray]) -> dict[str, float]:
    """Numbers of E episodes, by name, from their measures, [E] each."""
    found = {name: float(measures[name].mean()) for name in ("speed", "flags") if name in measures}
    if "up_seconds" in measures:
        times = measures["up_seconds"][measures["on_ground"] > 0]
        up = times <= UP_LIMIT
        found |= {"ground_starts": len(times), "got_up": int(up.sum())}
        found["up_seconds"] = float(times[up].mean()) if up.any() else np.nan
    if "hits" in measures:
        found |= {name: float(measures[name].sum()) for name in ("hits", "withstood")}
    return found


def described(measures: Mapping[str, FloatArray]) -> str:
    """`summarized` in words; empty where nothing is measured."""
    found, parts = summarized(measures), []
    if "speed" in found:
        parts.append(f"speed {found['speed']:.2f} m/s")
    if "flags" in found:
        parts.append(f"{found['flags']:.2f} flags an episode")
    if "got_up" in found:
        took = f" in {found['up_seconds']:.2f} s on average" if found["got_up"] else ""
        counts = f"{found['got_up']:.0f} of {found['ground_starts']:.0f} starts"
        parts.append(f"up from the ground within {UP_LIMIT:g} s in {counts}{took}")
    if "hits" in found:
        parts.append(f"{found['withstood']:.0f} of {found['hits']:.0f} cubes withstood")
    return ", ".join(parts)
