"""Collected tables stand for run directories: what is made from both is equal, byte for byte."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.__main__ import main
from analysis.runs.collected import EPISODES, FILES, PROGRESS, RUNS, thinned
from analysis.runs.load import frame, load_sweep, read_episodes
from repro.runs import store
from tests.helpers.synthetic_runs import TASKS, identity, reseal, write_reference, write_run

ROWS: tuple[tuple[str, float | None], ...] = (("none", None), ("clip", 0.2), ("kl_fixed", 1.0))


def _infos() -> list[dict[str, object]]:
    return [
        identity(task, kind, value, seed)
        for task in TASKS[:2]
        for kind, value in ROWS
        for seed in range(3)
    ]


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep with a failed, a running, a missing and an unlisted run; tests only read it."""
    directory = tmp_path_factory.mktemp("raw")
    rng = np.random.default_rng(0)
    infos = _infos()
    store.write_sweep(directory, [info | {"config": {"seed": info["seed"]}} for info in infos])
    for place, info in enumerate(infos[:-1]):
        returns = rng.normal(100, 30, size=150 + place).tolist()
        if place == 4:
            write_run(
                directory, info, returns, status=store.FAILED, error="NaN", failed_iteration=3
            )
        elif place == 5:
            write_run(directory, info, returns, status=store.RUNNING)
        else:
            write_run(directory, info, returns, digest=f"{place:x}", time_wall_s=1.5)
    write_run(directory, identity(TASKS[0], "clip", 0.3), [1.0, 2.0])
    return directory


@pytest.fixture(scope="module")
def collected(raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("collected")
    assert main(["collect", "--runs", str(raw), "--out", str(directory)]) == 0
    return directory


@pytest.mark.parametrize("command", [["table1"], ["curves"], ["curves", "--points", "7"]])
def test_tables_and_figures_are_equal_to_the_last_byte(
    raw: Path, collected: Path, tmp_path: Path, command: list[str]
) -> None:
    reference = str(write_reference(tmp_path / "reference"))
    for name, runs in (("a", raw), ("b", collected)):
        out = ["--runs", str(runs), "--out", str(tmp_path / name)]
        assert main([*command, *out, "--reference", reference]) == 0
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert len(files) >= 3
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_runs_come_back_whole(raw: Path, collected: Path) -> None:
    before, after = load_sweep(raw), load_sweep(collected)
    assert after.notes == before.notes and len(after.runs) == len(_infos()) + 1
    for one, other in zip(before.runs, after.runs, strict=True):
        assert (other.info, other.config) == (one.info, one.config)
        assert (other.status, other.listed) == (one.status, one.listed)
    pd.testing.assert_frame_equal(frame(after.runs, 100), frame(before.runs, 100))


def test_every_episode_of_a_run_that_ended_is_kept_to_the_last_bit(
    raw: Path, collected: Path
) -> None:
    before, after = load_sweep(raw).runs, load_sweep(collected).runs
    ended = [
        (one, other)
        for one, other in zip(before, after, strict=True)
        if one.status in (store.DONE, store.FAILED)
    ]
    assert len(ended) == len(_infos()) - 1
    for one, other in ended:
        for expected, found in zip(read_episodes(one), read_episodes(other), strict=True):
            np.testing.assert_array_equal(found, expected)


def test_a_data_frame_holds_every_run_with_the_reason_of_a_hole(collected: Path) -> None:
    runs = store.read_table(collected / "runs.parquet")
    assert list(runs) == list(RUNS)
    assert runs["found"].sum() == len(runs) - 1 and runs["listed"].sum() == len(runs) - 1
    counts = runs["status"].value_counts(dropna=False)
    assert (counts["DONE"], counts["FAILED"], counts["RUNNING"]) == (16, 1, 1)
    failed = runs[runs["status"] == "FAILED"].iloc[0]
    assert (failed["error"], failed["failed_iteration"]) == ("NaN", 3)
    assert runs.loc[~runs["found"], "status"].isna().all()
    episodes = store.read_table(collected / "episodes.parquet")
    assert list(episodes) == list(EPISODES)
    assert (
        episodes.groupby("run").size().tolist()
        == runs.loc[runs["episodes"] > 0, "episodes"].tolist()
    )


def test_progress_keeps_first_last_and_evenly_spaced_rows_as_they_were(tmp_path: Path) -> None:
    info = identity()
    columns = {
        name: np.arange(1, 489) if kind == "int64" else np.linspace(1, 2, 488)
        for name, (kind, _) in store.PROGRESS.items()
    } | {"kl": np.full(488, np.nan)}
    directory = write_run(tmp_path / "runs", info, [1.0])
    store.write_table(directory / "progress.parquet", columns, store.PROGRESS)
    reseal(directory)
    command = ["collect", "--runs", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]
    assert main([*command, "--progress-rows", "5"]) == 0
    kept = store.read_table(tmp_path / "out" / "progress.parquet")
    assert list(kept) == list(PROGRESS)
    assert kept["iteration"].tolist() == [1, 123, 245, 366, 488]
    assert kept["beta"].tolist() == columns["beta"][kept["iteration"] - 1].tolist()
    assert kept["kl"].isna().all()
    runs = store.read_table(tmp_path / "out" / "runs.parquet")
    assert runs["iterations"].tolist() == [488]
    assert runs["time_env"].iloc[0] == pytest.approx(columns["time_env"].sum())


def test_short_tables_are_kept_whole() -> None:
    assert thinned(3, 5).tolist() == [0, 1, 2]
    assert thinned(0, 5).tolist() == []
    assert thinned(100, 2).tolist() == [0, 99]


def test_collecting_twice_gives_the_same_bytes(raw: Path, collected: Path, tmp_path: Path) -> None:
    assert main(["collect", "--runs", str(raw), "--out", str(tmp_path)]) == 0
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (collected / name).read_bytes(), name


def test_what_one_directory_expects_and_another_holds_is_one_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    info = identity()
    store.write_sweep(tmp_path / "a", [info, identity(seed=1)])
    write_run(tmp_path / "b", info, [5.0])
    command = ["collect", "--runs", str(tmp_path / "b"), str(tmp_path / "a")]
    assert main([*command, "--out", str(tmp_path / "out")]) == 0
    assert "1 of 2 runs are done (1 DONE, 1 MISSING)" in capsys.readouterr().out
    runs = load_sweep(tmp_path / "out").runs
    assert [(run.status, run.listed) for run in runs] == [("DONE", True), ("MISSING", True)]


def test_a_run_that_two_directories_hold_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        write_run(tmp_path / name, identity(), [5.0])
    command = ["collect", "--runs", str(tmp_path / "a"), str(tmp_path / "b")]
    assert main([*command, "--out", str(tmp_path / "out")]) == 2
    assert f"lies in {tmp_path / 'a'}" in capsys.readouterr().err


def test_runs_are_added_to_collected_tables(raw: Path, collected: Path, tmp_path: Path) -> None:
    """In two steps, a sweep's unfinished run finished in between: the same bytes as at once."""
    first, rest, out = tmp_path / "first", tmp_path / "rest", tmp_path / "out"
    shutil.copytree(raw, first)
    directories = sorted(store.run_directories(first))
    for directory in directories[::2]:
        shutil.move(directory, rest / directory.name)
    some, many = ["--runs", str(first)], ["--runs", str(out), str(rest), "--out", str(out)]
    assert main(["collect", *some, "--out", str(out)]) == 0
    assert (out / "runs.parquet").read_bytes() != (collected / "runs.parquet").read_bytes()
    for _ in range(2):  # what is there already counts once
        assert main(["collect", *many]) == 0
        for name in FILES:
            assert (out / name).read_bytes() == (collected / name).read_bytes()


def test_a_run_that_ended_since_takes_the_place_of_its_beginning(
    collected: Path, tmp_path: Path
) -> None:
    info = _infos()[5]
    write_run(tmp_path / "new", info, [1.0, 2.0, 3.0])
    both = load_sweep(collected, tmp_path / "new")
    (run,) = (run for run in both.runs if run.run_id == info["run_id"])
    assert run.ended and read_episodes(run)[1].tolist() == [1.0, 2.0, 3.0]


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-100] ^= 1  # in the file's index, which no checksum of a page covers
    path.write_bytes(bytes(content))


def _replace(path: Path) -> None:
    """A whole table, but of another collection."""
    table = store.read_table(path).iloc[:-1]
    store.write_table(path, {name: table[name] for name in EPISODES}, EPISODES)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("runs.parquet", _flip),
        ("episodes.parquet", _flip),
        ("episodes.parquet", _replace),
        ("episodes.parquet", Path.unlink),
        ("SHA256SUMS", Path.unlink),
    ],
)
def test_damaged_tables_are_named(
    collected: Path,
    tmp_path: Path,
    name: str,
    damage: Callable[[Path], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    directory = shutil.copytree(collected, tmp_path / "copy")
    damage(directory / name)
    capsys.readouterr()
    assert main(["table1", "--runs", str(directory), "--out", str(tmp_path / "out")]) == 2
    captured = capsys.readouterr().err
    assert str(directory / name) in captured and captured.count("\n") == 1


def test_last_episodes_of_whole_seeds_as_they_were(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["collect", "--runs", str(tmp_path / "runs"), "--last-episodes", "100"]
    for task, seed in itertools.product(TASKS[:2], (0, 1)):
        returns = np.random.default_rng(seed).normal(size=150).tolist()
        write_run(tmp_path / "runs", identity(task, seed=seed), returns)
    write_run(tmp_path / "runs", identity(TASKS[0], seed=2), [1.0], status=store.FAILED)
    write_run(tmp_path / "runs", identity(TASKS[1], seed=2), [1.0], status=store.RUNNING)
    assert main([*command, "--whole-seeds", "--out", str(tmp_path / "out")]) == 0
    after = {run.run_id: run for run in load_sweep(tmp_path / "out").runs}
    assert {run.info["seed"] for run in after.values()} == {0, 1} and len(after) == 4
    for run in load_sweep(tmp_path / "runs").runs:
        if run.run_id in after:
            for expected, found in zip(
                read_episodes(run), read_episodes(after[run.run_id]), strict=True
            ):
                np.testing.assert_array_equal(found, expected[-100:])
    write_run(tmp_path / "alone", identity(TASKS[0]), [1.0], status=store.RUNNING)
    command = ["collect", "--runs", str(tmp_path / "alone"), "--whole-seeds"]
    assert main([*command, "--out", str(tmp_path / "none")]) == 2
    assert "leave out --whole-seeds" in capsys.readouterr().err
