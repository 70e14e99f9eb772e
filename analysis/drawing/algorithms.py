"""The algorithms of Figure 3: names, colors, and whose numbers each is put beside.

Baselines' TRPO left the standard deviation out of its step until ebb8aff (2018-01-25), which would
explain the paper's TRPO. So TRPO with and without a frozen standard deviation both have the paper's
curve beside them, and only the one that trains it has Baselines' trpo_mpi at ea68f3b.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from analysis.drawing.style import LineStyle, label_colors


@dataclass(frozen=True)
class Entry(LineStyle):
    """How an entry (see `runs.comparison`) is shown; the paper's curve has its color."""

    paper: str = ""  # the curve of Figure 3 beside it, if any
    baselines: str = ""  # the curve of OpenAI Baselines beside it, if any


# In the order of legends and tables. Those of Stable-Baselines3 have the hue of ours, lighter.
ENTRIES: Mapping[str, Entry] = {
    "ppo": Entry("PPO", "#0072B2", "-", "PPO(Clip)", "ppo2"),
    "trpo": Entry("TRPO", "#D55E00", "-", "TRPO", "trpo_mpi"),
    "trpo_frozen": Entry("TRPO, frozen std", "#6E3000", "-", "TRPO"),
    "vpg": Entry("VPG, adaptive", "#009E73", "-", "VPG-adaptive"),
    "a2c": Entry("A2C", "#CC79A7", "-", "A2C"),
    "a2c_tr": Entry("A2C + trust region", "#8A3D67", "-", "A2C+TR"),
    "cem": Entry("CEM", "#4D4D4D", "-", "CEM"),
    "sb3_ppo": Entry("SB3 PPO", "#74B7E6", ":", "PPO(Clip)", "ppo2"),
    "sb3_trpo": Entry("SB3 TRPO", "#F5A55F", ":", "TRPO", "trpo_mpi"),
    "sb3_a2c": Entry("SB3 A2C", "#E3AACB", ":", "A2C"),
}

# Ranks compare what the paper compares, one entry for each of its curves. TRPO with a frozen
# standard deviation takes the place of TRPO, and SB3's three are ranked among themselves.
LINEUPS: Mapping[str, tuple[str, ...]] = {
    "ours": ("ppo", "trpo", "vpg", "a2c", "a2c_tr", "cem"),
    "ours, TRPO frozen": ("ppo", "trpo_frozen", "vpg", "a2c", "a2c_tr", "cem"),
    "SB3": ("sb3_ppo", "sb3_trpo", "sb3_a2c"),
}


def entry(key: str) -> Entry:
    """How `key` is shown; one that the paper does not have by its own name."""
    return ENTRIES.get(key, Entry(key, label_colors([key])[key], line="-."))


def ordered(keys: Iterable[str]) -> list[str]:
    """Each key once, the known ones in the order of `ENTRIES`, then the others by name."""
    known = list(ENTRIES)
    return sorted(set(keys), key=lambda key: (known.index(key) if key in known else 99, key))


def lineup_of(key: str) -> str:
    """The lineup whose ranks are an entry's own; "" for one that the paper does not have."""
    return next((name for name, members in LINEUPS.items() if key in members), "")
