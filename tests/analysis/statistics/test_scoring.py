"""The paper's score: computed by hand, under both readings of "best", and guarded."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from analysis.statistics.scoring import paper_score, run_return

# Two tasks, two rows, two seeds. Task x: random 10, best run 60 (row b). Task y: random -4, best 0.
RUNS = pd.DataFrame(
    [
        ("x", "a", 0, 20.0),
        ("x", "a", 1, 40.0),
        ("x", "b", 0, 60.0),
        ("x", "b", 1, 10.0),
        ("y", "a", 0, 0.0),
        ("y", "a", 1, -2.0),
        ("y", "b", 0, -4.0),
        ("y", "b", 1, -8.0),
    ],
    columns=["task", "row", "seed", "return"],
)
RANDOM = {"x": 10.0, "y": -4.0}


def _rows(scores: pd.DataFrame) -> dict[str, float]:
    return {
        str(row): float(value) for row, value in zip(scores["row"], scores["score"], strict=True)
    }


def test_hand_computed_scores() -> None:
    rows = _rows(paper_score(RUNS, RANDOM).rows)
    # a: x gives 0.2, 0.6; y gives 1, 0.5. b: x gives 1, 0; y gives 0, -1.
    assert rows == pytest.approx({"a": (0.2 + 0.6 + 1 + 0.5) / 4, "b": (1 + 0 + 0 - 1) / 4})


def test_best_mean_sets_the_best_rows_mean_to_one() -> None:
    scores = paper_score(RUNS, RANDOM, best="mean")
    # x: means 30 and 35, so 1 is 35; y: means -1 and -6, so 1 is -1.
    assert scores.tasks["best"].tolist() == [35.0, -1.0]
    assert scores.tasks["best_row"].tolist() == ["b", "a"]
    assert _rows(scores.rows) == pytest.approx({"a": (20 / 25 + 1) / 2, "b": (1 - 2 / 3) / 2})


def test_a_task_keeps_its_weight_when_a_run_is_missing() -> None:
    kept = RUNS.drop(index=1)
    rows = _rows(paper_score(kept, RANDOM).rows)
    assert rows["a"] == pytest.approx((0.2 + 0.75) / 2)


def test_a_task_whose_best_is_not_above_random_is_excluded_with_the_reason() -> None:
    scores = paper_score(RUNS, {"x": 10.0, "y": 1.0})
    excluded = dict(zip(scores.tasks["task"], scores.tasks["excluded"], strict=True))
    assert excluded["x"] == ""
    assert "not above the random policy" in excluded["y"]
    assert scores.runs.loc[scores.runs["task"] == "y", "score"].isna().all()
    # Left to itself the formula would give row b, the worst, the highest score of task y.
    assert _rows(scores.rows) == pytest.approx({"a": 0.4, "b": 0.5})


def test_best_equal_to_random_is_excluded_too() -> None:
    scores = paper_score(RUNS, {"x": 60.0, "y": -4.0})
    assert scores.tasks["excluded"].ne("").tolist() == [True, False]
    assert np.isfinite(scores.rows["score"]).all()


def test_a_task_without_a_random_policy_is_excluded_with_the_reason() -> None:
    scores = paper_score(RUNS, {"x": 10.0})
    assert scores.tasks["excluded"].tolist() == ["", "the reference has no random policy for it"]


def test_no_finished_run_gives_no_scores() -> None:
    scores = paper_score(RUNS.iloc[:0], RANDOM)
    assert scores.rows.empty and scores.tasks.empty


def test_run_return_is_the_mean_of_the_last_hundred() -> None:
    returns = np.arange(250, dtype=np.float64)
    assert run_return(returns) == np.mean(np.arange(150, 250))
    assert run_return(returns, episodes=1) == 249
    assert run_return(returns[:30]) == np.mean(np.arange(30))
    assert math.isnan(run_return(returns[:0]))
