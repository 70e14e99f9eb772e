"""`table1` from run directories to files: what the cells hold, and what the notes admit."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.__main__ import main
from analysis.published.paper import paper_table1
from analysis.reports.table1 import numbers
from analysis.reports.table1.text import markdown
from analysis.runs.load import load_sweep
from analysis.settings import Settings
from repro.runs import store
from tests.helpers.synthetic_runs import ROWS, TASKS, identity, row_name, write_reference, write_run

RETURNS = {"clip_0.1": 50.0, "clip_0.2": 80.0, "none": -30.0}


def _grid(runs_dir: Path, tasks: tuple[str, ...] = TASKS[:2], seeds: int = 3) -> None:
    """Every row expected; each DONE run returns its row's value plus its seed, 120 times."""
    infos = [
        identity(task, kind, value, seed)
        for task in tasks
        for kind, value in ROWS
        for seed in range(seeds)
    ]
    store.write_sweep(runs_dir, infos)
    for info in infos:
        base = RETURNS.get(info["objective_label"], 60.0)
        write_run(runs_dir, info, [base + info["seed"]] * 120)


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    return write_reference(tmp_path / "reference")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A grid without holes; tests only read it."""
    directory = tmp_path_factory.mktemp("whole")
    _grid(directory)
    return directory


def _build(runs_dir: Path, reference: Path, **settings: Any) -> numbers.Table1:
    return numbers.build(load_sweep(runs_dir), Settings(reference=reference, **settings))


def _main(runs_dir: Path, reference: Path, out: Path, *more: str) -> int:
    arguments = ["--runs", str(runs_dir), "--reference", str(reference), "--out", str(out)]
    return main(["table1", *arguments, *more])


@pytest.fixture(scope="module")
def holes(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list[str]]:
    """A grid with one failed, one running and one missing run; reference; the three ids."""
    directory = tmp_path_factory.mktemp("holes")
    runs_dir = shutil.copytree(whole, directory / "runs")
    failed, running, missing = (
        identity(TASKS[0], "clip", 0.2, 1),
        identity(TASKS[1], "kl_fixed", 3.0, 0),
        identity(TASKS[1], "none", None, 2),
    )
    write_run(runs_dir, failed, [1e6], status=store.FAILED, error="loss is not finite")
    write_run(runs_dir, running, [1e6], status=store.RUNNING)
    for file in (runs_dir / missing["run_id"]).iterdir():
        file.unlink()
    (runs_dir / missing["run_id"]).rmdir()
    ids = [info["run_id"] for info in (failed, running, missing)]
    return runs_dir, write_reference(directory / "reference"), ids


def test_holes_are_counted_and_listed_and_enter_no_score(
    holes: tuple[Path, Path, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs_dir, reference, ids = holes
    assert _main(runs_dir, reference, tmp_path / "out") == 0
    text = (tmp_path / "out" / "table1.md").read_text()
    printed = capsys.readouterr().out
    for run_id, reason in zip(
        ids, ("failed: loss is not finite", "still running", "never started"), strict=True
    ):
        assert f"- {run_id}: {reason}" in text
        assert f"- {run_id}: {reason}" in printed
    table = pd.read_csv(tmp_path / "out" / "table1.csv").set_index(["objective", "value"])
    counts = table["n_runs"]
    assert (table["n_expected"] == 6).all()
    assert counts[("clip", 0.2)] == counts[("kl_fixed", 3)] == 5
    assert counts[("clip", 0.1)] == 6
    # Had the failed run's 1e6 entered, it would be the best and every score nearly 0.
    assert table.loc[("clip", 0.1), "score"] == pytest.approx(51 / 82)
    assert "| 5 of 6 |" in text and "| 6 of 6 |" in text
    task = pd.read_csv(tmp_path / "out" / "table1_per_task.csv")
    cell = task[(task["task"] == TASKS[0]) & (task["value"] == 0.2)]
    assert cell[["n_runs", "n_expected", "return"]].to_numpy().tolist() == [[2, 3, 81.0]]
    assert "2/3" in (tmp_path / "out" / "table1_per_task.md").read_text()


def test_files_columns_and_order(whole: Path, tmp_path: Path, reference: Path) -> None:
    shutil.copytree(whole, tmp_path / "runs")
    extra = identity(TASKS[0], "clip_log", 0.2)
    write_run(tmp_path / "runs", extra, [10.0])
    assert _main(tmp_path / "runs", reference, tmp_path / "out") == 0
    header = (tmp_path / "out" / "table1.csv").read_text().splitlines()[0]
    assert header == "objective,value,n_runs,n_expected,score,ci_low,ci_high,paper_score"
    table = pd.read_csv(tmp_path / "out" / "table1.csv")
    paper = pd.read_csv(reference / "paper_table1.csv")
    assert table["paper_score"].iloc[:11].tolist() == paper["score"].tolist()
    assert table["objective"].tolist() == [*paper["objective"], "clip_log"]
    assert np.isnan(table["paper_score"].iloc[11])
    tex = (tmp_path / "out" / "table1.tex").read_text()
    assert tex.count("\\\\\n") == 13 and r"$\epsilon = 0.2$" in tex
    per_task = (tmp_path / "out" / "table1_per_task.csv").read_text().splitlines()[0]
    assert per_task.startswith("task,objective,value,n_runs,n_expected,return,ci_low,ci_high,score")
    for name in ("table1.png", "table1_per_task.png"):
        assert (tmp_path / "out" / name).read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("painted")
def test_two_invocations_write_equal_bytes(
    holes: tuple[Path, Path, list[str]], tmp_path: Path
) -> None:
    runs_dir, reference, _ = holes
    for name in ("a", "b"):
        assert _main(runs_dir, reference, tmp_path / name) == 0
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert len(files) == 7
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_the_seed_changes_intervals_and_nothing_else(whole: Path, reference: Path) -> None:
    first, again, other = (
        _build(whole, reference, seed=seed, replicates=100).rows for seed in (0, 0, 1)
    )
    pd.testing.assert_frame_equal(first, again)
    assert first["score"].tolist() == other["score"].tolist()
    assert (first["ci_low"] < first["score"]).all() and (first["score"] < first["ci_high"]).all()
    # Values 0, 1, 2 have five possible means, so some quantiles coincide: not all can.
    assert (first["ci_low"] != other["ci_low"]).any()


def test_an_interval_does_not_depend_on_other_rows(
    whole: Path, tmp_path: Path, reference: Path
) -> None:
    before = _build(whole, reference).rows
    runs_dir = shutil.copytree(whole, tmp_path / "runs")
    write_run(runs_dir, identity(TASKS[0], "clip_log", 0.2), [10.0])
    after = _build(runs_dir, reference).rows
    pd.testing.assert_frame_equal(before, after.iloc[:11])


def test_best_run_and_best_mean_give_other_scores(whole: Path, reference: Path) -> None:
    run, mean = (
        _build(whole, reference, best=best).rows.set_index("row")["score"]
        for best in ("run", "mean")
    )
    assert run["clip_0.2"] == pytest.approx(81 / 82)
    assert mean["clip_0.2"] == pytest.approx(1)


def test_the_random_policy_is_the_one_asked_for(
    whole: Path, tmp_path: Path, reference: Path
) -> None:
    assert _main(whole, reference, tmp_path / "out", "--random", "uniform") == 0
    task = pd.read_csv(tmp_path / "out" / "table1_per_task.csv")
    assert set(task["random"]) == {10.0}
    assert "uniform actions" in (tmp_path / "out" / "table1.md").read_text()


def test_a_task_that_cannot_be_scored_is_excluded_in_sight(whole: Path, tmp_path: Path) -> None:
    reference = write_reference(tmp_path / "reference", {TASKS[0]: 0.0, TASKS[1]: 500.0})
    assert _main(whole, reference, tmp_path / "out") == 0
    table = pd.read_csv(tmp_path / "out" / "table1.csv").set_index(["objective", "value"])
    # Worse rows must not come out above better ones: only the first task counts.
    assert table.loc[("clip", 0.2), "score"] == pytest.approx(81 / 82)
    assert (table["n_runs"] == 3).all() and (table["n_expected"] == 6).all()
    sentence = f"{TASKS[1]} is excluded from every score"
    assert sentence in (tmp_path / "out" / "table1.md").read_text()
    task = pd.read_csv(tmp_path / "out" / "table1_per_task.csv")
    scored, excluded = (task[task["task"] == name] for name in TASKS[:2])
    assert excluded["note"].str.startswith("not scored").all()
    assert excluded["score"].isna().all() and excluded["return"].notna().all()
    assert scored["note"].isna().all() and scored["score"].notna().all()


def test_a_single_seed_has_a_score_but_no_interval(tmp_path: Path, reference: Path) -> None:
    _grid(tmp_path / "runs", seeds=1)
    sweep, settings = load_sweep(tmp_path / "runs"), Settings(reference=reference)
    table = numbers.build(sweep, settings)
    assert table.rows["score"].notna().all()
    assert table.rows[["ci_low", "ci_high"]].isna().to_numpy().all()
    assert table.tasks[["ci_low", "ci_high"]].isna().to_numpy().all()
    assert "n/a" in markdown(table, sweep, settings)


@pytest.mark.parametrize(("options", "expected"), [((), 99.5), (("--episodes", "10"), 144.5)])
def test_the_last_episodes_count(
    tmp_path: Path, reference: Path, options: tuple[str, ...], expected: float
) -> None:
    write_run(tmp_path / "runs", identity(), [float(i) for i in range(150)])
    assert _main(tmp_path / "runs", reference, tmp_path / "out", *options) == 0
    assert pd.read_csv(tmp_path / "out" / "table1_per_task.csv")["return"].tolist() == [expected]


def test_mixing_is_refused_with_the_option_that_chooses(
    tmp_path: Path, reference: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "runs", identity(), [1.0])
    quick = identity("Reacher-v4", total_timesteps=51200, budget="quick")
    write_run(tmp_path / "runs", quick, [1.0])
    assert _main(tmp_path / "runs", reference, tmp_path / "out") == 2
    assert "total_timesteps differs (1000000 in 1 runs, 51200 in 1 runs)" in capsys.readouterr().err
    assert _main(tmp_path / "runs", reference, tmp_path / "out", "--budget", "quick") == 0
    assert "51,200 steps" in (tmp_path / "out" / "table1.md").read_text()


def test_notes_name_absent_tasks_and_short_runs(
    tmp_path: Path, reference: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "runs", identity(), [1.0] * 40)
    assert _main(tmp_path / "runs", reference, tmp_path / "out") == 0
    text = capsys.readouterr().out
    assert "not in these runs: HalfCheetah, InvertedDoublePendulum" in text
    assert "1 run finished fewer than 100 episodes (the shortest 40; Hopper-v4)" in text
    assert "There is no sweep.json" in text
    assert "0 of 0" not in text  # rows that nobody asked for


def test_a_row_that_lacks_a_task_is_called_incomparable(
    tmp_path: Path, reference: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(2):
        write_run(tmp_path / "runs", identity(TASKS[0], seed=seed), [5.0, 6.0])
        write_run(tmp_path / "runs", identity(TASKS[1], seed=seed), [5.0, 6.0])
        write_run(tmp_path / "runs", identity(TASKS[0], "none", None, seed), [1.0])
    assert _main(tmp_path / "runs", reference, tmp_path / "out") == 0
    assert f"none has no scored run of {TASKS[1]}" in capsys.readouterr().out


def test_nothing_finished_is_still_a_table(tmp_path: Path, reference: Path) -> None:
    store.write_sweep(tmp_path / "runs", [identity(seed=seed) for seed in range(3)])
    assert _main(tmp_path / "runs", reference, tmp_path / "out") == 0
    table = pd.read_csv(tmp_path / "out" / "table1.csv")
    assert table["score"].isna().all()
    assert table["n_expected"].sum() == 3 and table["n_runs"].sum() == 0


def test_a_label_is_one_row_whatever_number_the_paper_writes(reference: Path) -> None:
    names = paper_table1(reference)["row"].tolist()
    assert names == [row_name(kind, value) for kind, value in ROWS]
