"""`curves`: against a brute-force value, with n of N, and without mixing."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.__main__ import main
from analysis.runs.curves import smoothed
from repro.runs import store
from tests.helpers.synthetic_runs import identity, write_reference, write_run


def _main(runs_dir: Path, out: Path, *more: str) -> int:
    return main(["curves", "--runs", str(runs_dir), "--out", str(out), *more])


def _brute_force(steps: np.ndarray, returns: np.ndarray, at: float, episodes: int) -> float:
    ended = [value for step, value in zip(steps, returns, strict=True) if step <= at]
    return sum(ended[-episodes:]) / len(ended[-episodes:]) if ended else math.nan


def test_smoothing_agrees_with_brute_force() -> None:
    rng = np.random.default_rng(0)
    steps = np.cumsum(rng.integers(1, 300, 500)).astype(np.float64)
    returns = rng.normal(size=500) * 100
    grid = np.linspace(0, steps[-1] + 1000, 37)
    expected = [_brute_force(steps, returns, at, 100) for at in grid]
    np.testing.assert_allclose(smoothed(steps, returns, grid, 100), expected, rtol=1e-9)
    assert np.isnan(expected[0]) and np.isfinite(expected[-1])


def test_an_episode_that_ends_on_a_grid_step_counts() -> None:
    steps, returns = np.array([10.0, 20.0]), np.array([1.0, 3.0])
    grid = np.array([9.0, 10.0, 19.0, 20.0, 99.0])
    np.testing.assert_array_equal(smoothed(steps, returns, grid, 100), [np.nan, 1, 1, 2, 2])
    np.testing.assert_array_equal(smoothed(steps, returns, grid, 1), [np.nan, 1, 1, 3, 3])


@pytest.fixture
def runs_dir(tmp_path: Path) -> Path:
    """clip_0.2 with 3 runs of 4 expected, one of which starts late; none with a single run."""
    infos = [identity(seed=seed, total_timesteps=1000) for seed in range(4)]
    lone = identity(kind="none", value=None, total_timesteps=1000)
    store.write_sweep(tmp_path / "runs", [*infos, lone])
    write_run(tmp_path / "runs", infos[0], [0.0, 10.0], steps=[100, 600])
    write_run(tmp_path / "runs", infos[1], [4.0, 20.0], steps=[150, 700])
    write_run(tmp_path / "runs", infos[2], [8.0], steps=[250])
    write_run(tmp_path / "runs", infos[3], [1e9], steps=[100], status=store.FAILED)
    write_run(tmp_path / "runs", lone, [5.0], steps=[100])
    return tmp_path / "runs"


def test_curves_csv(runs_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _main(runs_dir, tmp_path / "out", "--points", "10") == 0
    text = (tmp_path / "out" / "curves.csv").read_text()
    assert text.splitlines()[0] == "task,label,step,mean,ci_low,ci_high,n_runs,n_expected"
    table = pd.read_csv(tmp_path / "out" / "curves.csv")
    clip = table[table["label"] == "clip_0.2"].set_index("step")
    assert (clip["n_expected"] == 4).all()
    # While only some of the finished runs have an episode there is a count, but no mean.
    mean, count = clip["mean"].to_dict(), clip["n_runs"].to_dict()
    assert count[200] == 2 and np.isnan(mean[200])
    assert count[300] == 3
    assert mean[300] == pytest.approx((0 + 4 + 8) / 3)
    assert mean[1000] == pytest.approx((5 + 12 + 8) / 3)
    assert clip["ci_low"].iloc[-1] < mean[1000] < clip["ci_high"].iloc[-1]
    lone = table[table["label"] == "none"]
    assert lone["mean"].notna().all() and lone["ci_low"].isna().all()
    printed = capsys.readouterr().out
    assert "3 of 4" in printed and "1 of 1" in printed
    assert "_s3_" in printed.split("## Missing runs")[1] and ": failed" in printed


@pytest.mark.usefixtures("painted")
def test_two_invocations_write_equal_bytes(runs_dir: Path, tmp_path: Path) -> None:
    reference = write_reference(tmp_path / "reference")
    for name in ("a", "b"):
        assert _main(runs_dir, tmp_path / name, "--paper", "--reference", str(reference)) == 0
    for name in ("curves.csv", "curves.md", "curves.png"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_the_paper_is_drawn_only_when_asked(runs_dir: Path, tmp_path: Path) -> None:
    reference = str(write_reference(tmp_path / "reference"))
    assert _main(runs_dir, tmp_path / "a", "--reference", reference) == 0
    assert _main(runs_dir, tmp_path / "b", "--reference", reference, "--paper") == 0
    plain, dashed = ((tmp_path / name / "curves.png").read_bytes() for name in "ab")
    assert plain != dashed


def test_lines_by_a_key_of_the_configuration(tmp_path: Path) -> None:
    for seed in range(2):
        for clipped in (False, True):
            changes: dict[str, Any] = {"recipe.clip_actions": clipped}
            info = identity(seed=seed, **changes)
            write_run(tmp_path / "runs", info, [float(clipped)], config_changes=changes)
    assert _main(tmp_path / "runs", tmp_path / "out", "--by", "recipe.clip_actions") == 0
    table = pd.read_csv(tmp_path / "out" / "curves.csv", dtype={"label": str})
    last = table[table["step"] == 1_000_000].set_index("label")
    assert last["mean"].to_dict() == {"false": 0.0, "true": 1.0}
    assert last["n_runs"].tolist() == [2, 2]


def test_a_network_by_name_brings_its_layers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    networks = {"narrow": [32, 32], "wide": [128, 128]}
    for name, sizes in networks.items():
        changes: dict[str, Any] = {"policy.name": name, "policy.hidden_sizes": sizes}
        info = identity(**changes)
        write_run(tmp_path / "runs", info, [float(sizes[0])], config_changes=changes)
    assert _main(tmp_path / "runs", tmp_path / "out", "--by", "policy.name") == 0
    table = pd.read_csv(tmp_path / "out" / "curves.csv")
    last = table[table["step"] == 1_000_000].set_index("label")
    assert last["mean"].to_dict() == {"narrow": 32.0, "wide": 128.0}
    assert _main(tmp_path / "runs", tmp_path / "out", "--by", "policy.hidden_sizes") == 2
    assert "policy.name differs" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("by", "changes", "message"),
    [
        ("objective_label", {"recipe": "sb3"}, "recipe differs"),
        ("objective_label", {"recipe.clip_actions": True}, "recipe.clip_actions differs"),
        ("recipe", {"total_timesteps": 51200, "recipe": "sb3"}, "total_timesteps differs"),
        ("recipe", {"algorithm.learning_rate": 1e-3}, "algorithm.learning_rate differs"),
        ("nonsense", {}, "No run has a nonsense"),
    ],
)
def test_mixing_is_refused(
    tmp_path: Path,
    by: str,
    changes: dict[str, Any],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_run(tmp_path / "runs", identity(seed=0), [1.0])
    write_run(tmp_path / "runs", identity(seed=1, **changes), [1.0], config_changes=changes)
    assert _main(tmp_path / "runs", tmp_path / "out", "--by", by) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("by", ["recipe", "objective"])
def test_objectives_are_never_mixed_in_a_line(
    tmp_path: Path, by: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "runs", identity(value=0.1), [1.0])
    write_run(tmp_path / "runs", identity(value=0.2), [1.0])
    assert _main(tmp_path / "runs", tmp_path / "out", "--by", by) == 2
    assert "would mix objectives (clip_0.1, clip_0.2)" in capsys.readouterr().err


def test_nothing_finished_is_still_a_figure(tmp_path: Path) -> None:
    store.write_sweep(tmp_path / "runs", [identity(seed=seed) for seed in range(3)])
    assert _main(tmp_path / "runs", tmp_path / "out") == 0
    table = pd.read_csv(tmp_path / "out" / "curves.csv")
    assert table["mean"].isna().all() and (table["n_runs"] == 0).all()


def test_labels_choose_lines_and_a_misspelled_one_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for kind, value in (("none", None), ("clip", 0.2), ("clip", 0.3)):
        write_run(tmp_path / "runs", identity("Hopper-v4", kind, value), [1.0, 2.0])
    command = ["curves", "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]
    assert main([*command, "--labels", "none,clip_0.3"]) == 0
    table = pd.read_csv(tmp_path / "out" / "curves.csv")
    assert set(table["label"]) == {"none", "clip_0.3"}
    capsys.readouterr()
    assert main([*command, "--labels", "none,clip_0.4"]) == 2
    assert "No line is named clip_0.4: there are clip_0.2, clip_0.3, none." in (
        capsys.readouterr().err
    )
