"""Every experiment runs, whole, at budget=smoke."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import yaml

from repro.config import keys
from repro.config.schema import CONF_DIR
from repro.runs import store
from tests.helpers.cli import Cli

# Experiment -> its runs.
RUNS = {
    "table1": 231,
    "figure2": 1,
    "figure3": 126,
    "figure4": 6,
    "clip_or_not": 12,
    "table1_pilot": 27,
    "table1_recipes": 99,
    "table1_search": 12,
    "sb3": 63,
    "atari": 294,
    "atari_sb3": 294,
}
# What stands for all values of a key: figure3 has all tasks, table1 all objectives, and
# test_config.py composes all of table1 and counts the games.
NARROWED = {
    "table1": {"env": "half_cheetah,reacher"},
    "table1_recipes": {"objective": "table1/none,table1/clip_0.2,table1/kl_adaptive_0.01"},
    "atari": {"env.game": "venture,zaxxon"},
    "atari_sb3": {"env.game": "zaxxon"},
}


def test_none_is_forgotten() -> None:
    assert sorted(RUNS) == sorted(keys.groups()["experiment"])


def text_of(name: str) -> str:
    return (CONF_DIR / "experiment" / f"{name}.yaml").read_text()


def swept(name: str) -> dict[str, str]:
    """Key -> its values, those of experiments that this one is made from among them."""
    values = yaml.safe_load(text_of(name))
    found: dict[str, str] = {}
    for parent in values.get("defaults", []):
        if parent in list(RUNS):
            found |= swept(parent)
    return found | values.get("hydra", {}).get("sweeper", {}).get("params", {})


def count(values: dict[str, str]) -> int:
    return math.prod(len(each.split(",")) for each in values.values())


@pytest.mark.parametrize("name", RUNS)
def test_it_runs(cli: Cli, name: str) -> None:
    """With one of its seeds, which differ in nothing else; the others are counted."""
    full = swept(name)
    assert count(full) == RUNS[name]
    narrowed = NARROWED.get(name, {}) | ({"seed": "0"} if full else {})
    mode = ["-m", "hydra.launcher.workers=1"] if full else []
    choices = [f"{key}={value}" for key, value in narrowed.items()]
    done = cli(*mode, f"+experiment={name}", "budget=smoke", *choices)
    assert done.code == 0, done.err
    directories = store.run_directories(Path("runs"))
    assert len(directories) == count(full | narrowed)
    for directory in directories:
        info = store.read_run(directory)
        assert info["status"] == store.DONE and info["experiment"] == name
        assert info["budget"] == "smoke" and len(store.read_table(directory / "progress.parquet"))
    if name == "figure2":
        assert (directories[0] / "interpolation.parquet").is_file()
    else:
        (grid,) = Path("runs").rglob("sweep.json")
        assert len(store.read_sweep(grid.parent)) == len(directories)
    assert f"python -m repro{' -m' if full else ''} +experiment={name}" in text_of(name)
