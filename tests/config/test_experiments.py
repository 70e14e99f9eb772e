"""Every experiment runs, whole, at budget=smoke."""

from __future__ import annotations

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
    "clip_or_not": 12,
    "table1_pilot": 27,
    "table1_recipes": 99,
    "sb3": 63,
    "atari": 12,
    "atari_sb3": 2,
}
# Of the 49 games one or two here; tests/config/test_config.py counts them all.
SHORTENED = {
    "atari": ["env.game=venture,zaxxon"],
    "atari_sb3": ["env.game=zaxxon", "seed=0"],
}


def test_none_is_forgotten() -> None:
    assert sorted(RUNS) == sorted(keys.groups()["experiment"])


@pytest.mark.parametrize("name", RUNS)
def test_it_runs(cli: Cli, name: str) -> None:
    text = (CONF_DIR / "experiment" / f"{name}.yaml").read_text()
    swept = "sweeper" in yaml.safe_load(text).get("hydra", {})
    mode = ["-m", "hydra.launcher.workers=1"] if swept else []
    done = cli(*mode, f"+experiment={name}", "budget=smoke", *SHORTENED.get(name, []))
    assert done.code == 0, done.err
    directories = store.run_directories(Path("runs"))
    assert len(directories) == RUNS[name]
    for directory in directories:
        info = store.read_run(directory)
        assert info["status"] == store.DONE and info["experiment"] == name
        assert info["budget"] == "smoke" and len(store.read_table(directory / "progress.parquet"))
    if name == "figure2":
        assert (directories[0] / "interpolation.parquet").is_file()
    else:
        (grid,) = Path("runs").rglob("sweep.json")
        assert len(store.read_sweep(grid.parent)) == RUNS[name]
    assert f"python -m repro{' -m' if swept else ''} +experiment={name}" in text
