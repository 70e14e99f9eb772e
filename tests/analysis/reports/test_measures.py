"""`measures`: the numbers of evaluations, beside those of random policies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.__main__ import main
from repro.envs.humanoid.measures import summarized
from repro.evaluation.episodes import PlayedEpisodes
from repro.evaluation.evaluations import _record, evaluate
from repro.runs.finished import FinishedRun
from tests.helpers.finished_runs import finish

REFERENCE = Path(__file__).parents[3] / "results/reference"
EPISODES = 6


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> FinishedRun:
    return finish(tmp_path_factory.mktemp("runs"), "env=humanoid_flagrun_harder env.num_envs=1")


def _measures(run: FinishedRun, out: Path) -> int:
    words = ("--reference", str(REFERENCE), "--out", str(out))
    return main(["measures", "--runs", str(run.directory.parent), *words])


def test_without_an_evaluation_it_says_how_to_make_one(
    run: FinishedRun, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _measures(run, tmp_path) == 2
    assert "has no evaluation with measures: python -m repro.evaluate" in capsys.readouterr().err


def test_the_last_evaluation_counts_and_is_summarized_as_evaluate_prints_it(
    run: FinishedRun, tmp_path: Path
) -> None:
    evaluate(run, 2)
    rng = np.random.default_rng(0)
    drawn = {name: rng.uniform(0, 3, EPISODES) for name in ("speed", "flags", "hits", "withstood")}
    drawn |= {"on_ground": np.array([1.0, 1, 1, 1, 0, 0])}
    drawn |= {"up_seconds": np.array([2.0, 4.5, 7.0, np.nan, np.nan, np.nan])}
    lengths = np.arange(EPISODES)
    _record(run.directory, 0, False, PlayedEpisodes(rng.normal(size=EPISODES), lengths, drawn))
    assert _measures(run, tmp_path) == 0
    table = pd.read_csv(tmp_path / "measures.csv").set_index("policy")
    assert list(table.index) == ["uniform", "untrained", "PPO, 0.0M steps, seed 0"]
    last = table.iloc[-1]
    expected = summarized(drawn)
    assert expected["got_up"] == 2 and expected["up_seconds"] == 3.25
    assert last[list(expected)].astype(float).to_dict() == pytest.approx(expected)
    assert last["episodes"] == EPISODES and last["length"] == lengths.mean()
    text = (tmp_path / "measures.md").read_text()
    assert "2 of 4" in text and "0 of 22" in text
