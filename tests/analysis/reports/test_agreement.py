"""`agreement`: the difference of two algorithms by task, and when it says nothing."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.__main__ import main
from repro.runs import store
from tests.helpers.synthetic_runs import of_algorithm, write_run

PENDULUM, REACHER = "InvertedPendulum-v4", "Reacher-v4"


def _write(
    runs_dir: Path, name: str, task: str, returns: Sequence[float], recipe: str = "sb3"
) -> list[dict[str, Any]]:
    infos = [of_algorithm(name, task, seed, recipe=recipe) for seed in range(len(returns))]
    for info, value in zip(infos, returns, strict=True):
        write_run(runs_dir, info, [value] * 120)
    return infos


def _main(runs_dir: Path, out: Path, *more: str) -> int:
    return main(["agreement", "--runs", str(runs_dir), "--out", str(out), *more])


def test_overlap_and_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs_dir = tmp_path / "runs"
    _write(runs_dir, "ppo", PENDULUM, [10, 12, 14, 16, 18])
    _write(runs_dir, "sb3_ppo", PENDULUM, [11, 13, 15, 17, 20])
    _write(runs_dir, "ppo", REACHER, [10, 11, 12, 13, 14])
    _write(runs_dir, "sb3_ppo", REACHER, [50, 51, 52, 53, 54])
    _write(runs_dir, "trpo", REACHER, [1e9])  # of no concern
    assert _main(runs_dir, tmp_path / "out") == 0
    table = pd.read_csv(tmp_path / "out" / "agreement.csv").set_index("task")
    assert table["difference"].to_dict() == pytest.approx({PENDULUM: -1.2, REACHER: -40})
    assert table["intervals_overlap"].to_dict() == {PENDULUM: True, REACHER: False}
    assert table["difference_holds_zero"].to_dict() == {PENDULUM: True, REACHER: False}
    assert (table["difference_low"] < table["difference"]).all()
    assert (table["difference"] < table["difference_high"]).all()
    # The difference of two of Student's t with 4 degrees, and a variance of 2.5 / 5 for runs that
    # are one apart.
    drawn = np.random.default_rng(0).standard_t(4, (2, 100_000))
    low, high = np.quantile((drawn[0] - drawn[1]) * np.sqrt(2.5 / 5), [0.025, 0.975])
    width = table.loc[REACHER, "difference_high"] - table.loc[REACHER, "difference_low"]
    assert width == pytest.approx(high - low, rel=0.1)
    assert (table["seeds_first"] == "0 1 2 3 4").all() and (table["n_runs_second"] == 5).all()
    printed = capsys.readouterr().out
    assert "They overlap on 1 of 2;" in printed and "Seeds of either: 0 1 2 3 4." in printed
    assert "| 5 of 5 |" in printed
    assert re.search(r"InvertedPendulum.* yes \|\n", printed)
    assert re.search(r"Reacher.* no \|\n", printed)


def test_too_few_runs_say_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs_dir = tmp_path / "runs"
    _write(runs_dir, "ppo", PENDULUM, [10, 12])
    infos = _write(runs_dir, "sb3_ppo", PENDULUM, [11])
    lost = of_algorithm("sb3_ppo", PENDULUM, 1, recipe="sb3")
    store.write_sweep(runs_dir, [*infos, lost])
    _write(runs_dir, "ppo", REACHER, [1, 2])
    assert _main(runs_dir, tmp_path / "out") == 0
    table = pd.read_csv(tmp_path / "out" / "agreement.csv").set_index("task")
    assert table["intervals_overlap"].isna().all() and table["difference_low"].isna().all()
    assert table.loc[PENDULUM, "difference"] == pytest.approx(0)
    assert np.isnan(table.loc[REACHER, "difference"])
    assert table["n_expected_second"].tolist() == [2, 0]
    printed = capsys.readouterr().out
    assert (
        "Of 2 tasks, 0 have intervals on both sides" in printed
        and f"{lost['run_id']}: never started" in printed
    )


def test_any_pair(tmp_path: Path) -> None:
    _write(tmp_path / "runs", "a2c", REACHER, [1, 2, 3])
    _write(tmp_path / "runs", "sb3_a2c", REACHER, [22, 23, 24])
    for name in ("a", "b"):
        assert _main(tmp_path / "runs", tmp_path / name, "--pair", "sb3_a2c", "a2c") == 0
    table = pd.read_csv(tmp_path / "a" / "agreement.csv")
    assert not table["intervals_overlap"].any()
    assert table["difference"].tolist() == [21] and table["algorithm_first"].tolist() == ["sb3_a2c"]
    for name in ("agreement.csv", "agreement.md"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


@pytest.mark.parametrize(
    ("pair", "recipes", "message"),
    [
        (("ppo", "sb3_ppo"), ("paper", "sb3"), "recipe differs"),
        (("ppo", "sb3_a2c"), ("sb3", "sb3"), "No run is of sb3_a2c"),
        (("ppo", "ppo"), ("sb3", "sb3"), "one algorithm twice"),
    ],
)
def test_what_is_refused(
    tmp_path: Path,
    pair: tuple[str, str],
    recipes: tuple[str, str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _write(tmp_path / "runs", "ppo", REACHER, [1, 2], recipes[0])
    _write(tmp_path / "runs", "sb3_ppo", REACHER, [1, 2], recipes[1])
    assert _main(tmp_path / "runs", tmp_path / "out", "--pair", *pair) == 2
    assert message in capsys.readouterr().err
