"""The paper's Atari numbers, and the scores of random policies and of a human, by ROM name."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from analysis.published.files import read, read_csv
from repro.runs import store

PAPER_ALGORITHMS = ("A2C", "ACER", "PPO")
# Table 2 as printed: games won of 49, by the mean over all of training and by the last 100.
PAPER_WINS = {
    "all of training": {"A2C": 1, "ACER": 18, "PPO": 30, "tie": 0},
    "last 100 episodes": {"A2C": 1, "ACER": 28, "PPO": 19, "tie": 1},
}


def rom_name(game: str) -> str:
    """The paper's name as the ROM's: `UpNDown` -> `up_n_down`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", game).lower()


def game_name(rom: str) -> str:
    """The ROM's name as the paper's: `up_n_down` -> `UpNDown`."""
    return "".join(part[:1].upper() + part[1:] for part in rom.split("_"))


def table6(reference: Path) -> pd.DataFrame:
    """Table 6: mean scores of the last 100 episodes, 40M frames, 3 runs, by ROM and algorithm."""

    def table(path: Path) -> pd.DataFrame:
        whole = pd.DataFrame(store.read_json(path), list(PAPER_ALGORITHMS), dtype=float)
        return whole.rename(columns=rom_name).T

    return read(reference / "paper_table6.json", table)


def figure6_ends(reference: Path) -> dict[str, dict[str, list[float]]]:
    """Figure 6 as digitized: ROM -> algorithm -> the end of each seed's curve."""
    path = reference / "paper_fig6_seeds_digitised.json"
    return {
        rom_name(game): {name: list(map(float, each["final"])) for name, each in algorithms.items()}
        for game, algorithms in read(path, store.read_json).items()
    }


def human_and_random(reference: Path) -> pd.DataFrame:
    """Columns `random`, `human` by ROM name."""
    table = read_csv(reference / "atari_human_random.csv", "game", "random", "human")
    return table.set_index("game").astype(float)
