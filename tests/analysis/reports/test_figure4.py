"""`figure4` of real runs, which are short: every run a curve, the paper's values at their steps."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from analysis.__main__ import main
from analysis.reports.figure4 import _at
from repro.runs import store
from tests.helpers.cli import Cli

REFERENCE = Path(__file__).parents[3] / "results/reference"
PAPER = pd.read_csv(REFERENCE / "paper_fig4.csv")


def test_of_the_experiment_at_smoke(tmp_path: Path, cli: Cli) -> None:
    done = cli("-m", "+experiment=figure4", "budget=smoke", f"runs_dir={tmp_path}/runs", "seed=0,1")
    assert done.code == 0, done.err
    out = tmp_path / "out"
    words = ("--runs", str(tmp_path / "runs"), "--reference", str(REFERENCE), "--episodes", "2")
    assert main(["figure4", *words, "--out", str(out)]) == 0
    table = pd.read_csv(out / "figure4.csv")
    assert set(table["task"].str.removeprefix("repro/")) == {
        *("Humanoid-v0", "HumanoidFlagrun-v0", "HumanoidFlagrunHarder-v0")
    }
    last = table[table["task"] == "repro/Humanoid-v0"].groupby("seed").tail(1)
    for seed, value in zip(last["seed"], last["return"], strict=True):
        (run,) = (tmp_path / "runs").glob(f"repro-Humanoid-v0*_s{seed}_*")
        episodes = pd.read_parquet(run / "episodes.parquet")
        assert value == pytest.approx(episodes["return"].tail(2).mean())
    text = (out / "figure4.md").read_text()
    assert "no point so early" in text and "Bullet" in text
    (config,) = {
        store.read_config(path)["env"]["backend"] for path in (tmp_path / "runs").glob("r*")
    }
    assert config == "humanoid"


def test_the_papers_values_are_on_lines_between_digitized_points() -> None:
    assert _at(PAPER, "repro/Humanoid-v0", 10_000_000) == (1025, 1221)
    low, high = _at(PAPER, "repro/Humanoid-v0", 17_500_000)
    assert (low, high) == pytest.approx(((1025 + 3054) / 2, (1221 + 2964) / 2))
    assert pd.isna(_at(PAPER, "repro/HumanoidFlagrun-v0", 10_000_000)[0])
