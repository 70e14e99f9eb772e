"""`figure3` from run directories to files: cells, ranks, holes, and what may be missing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.__main__ import main
from repro.runs import store
from tests.helpers.cli import Cli
from tests.helpers.synthetic_runs import identity, of_algorithm, write_reference, write_run

CHEETAH, HOPPER = "HalfCheetah-v4", "Hopper-v4"
FROZEN: dict[str, Any] = {"algorithm.freeze_log_std": True}
# Mean of each algorithm's seeds; seed s has s - 1 more. CEM and A2C+TR swap the paper's order.
BASES = {"ppo": 90.0, "vpg": 80.0, "a2c": 60.0, "cem": 40.0, "a2c_tr": 20.0, "trpo": 10.0}


def _main(out: Path, reference: Path, *arguments: object) -> int:
    where = ["--out", str(out), "--reference", str(reference)]
    return main(["figure3", *map(str, arguments), *where])


def _write(runs_dir: Path, info: Mapping[str, Any], base: float, **how: Any) -> None:
    write_run(runs_dir, info, [base + info["seed"] - 1] * 120, **how)


def _grid(
    runs_dir: Path,
    bases: Mapping[str, float] = BASES,
    tasks: tuple[str, ...] = (CHEETAH, HOPPER),
    **changes: Any,
) -> list[dict[str, Any]]:
    """Three seeds of every algorithm, all expected and finished; returns what is expected."""
    infos = [
        of_algorithm(name, task, seed, **changes)
        for task in tasks
        for name in bases
        for seed in range(3)
    ]
    store.write_sweep(runs_dir, infos)
    for info in infos:
        _write(runs_dir, info, bases[info["algorithm"]], config_changes=changes)
    return infos


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A grid without holes; tests only read it."""
    directory = tmp_path_factory.mktemp("whole")
    _grid(directory)
    return directory


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    return write_reference(tmp_path / "reference")


def _table(directory: Path, name: str = "figure3") -> pd.DataFrame:
    return pd.read_csv(directory / f"{name}.csv")


def _cells(directory: Path, task: str) -> pd.DataFrame:
    table = _table(directory)
    return table[table["task"] == task].set_index("algorithm")


def test_what_the_cells_hold(tmp_path: Path, reference: Path) -> None:
    _grid(tmp_path / "runs", total_timesteps=300_000)
    out = tmp_path / "out"
    assert _main(out, reference, "--runs", tmp_path / "runs") == 0
    assert (out / "figure3.png").read_bytes().startswith(b"\x89PNG")
    cells = _cells(out, CHEETAH)
    assert cells["return"].to_dict() == BASES
    assert (cells[["n_runs", "n_expected"]] == 3).all(axis=None)
    assert ((cells["ci_low"] < cells["return"]) & (cells["return"] < cells["ci_high"])).all()
    # Straight lines to these ends at a million steps.
    assert (cells["step"] == 300_000).all()
    paper = {"ppo": 300, "vpg": 240, "a2c": 180, "a2c_tr": 120, "cem": 60, "trpo": 30}
    assert cells["paper"].to_dict() == pytest.approx(paper)
    assert cells["baselines"].dropna().to_dict() == {"ppo": 300, "trpo": 150}
    order = {"ppo": 1, "vpg": 2, "a2c": 3, "cem": 4, "a2c_tr": 5, "trpo": 6}
    assert cells["rank"].to_dict() == order
    assert cells["paper_rank"].to_dict() == order | {"cem": 5, "a2c_tr": 4}
    assert (cells["ranked"] == 6).all() and (cells["lineup"] == "ours").all()
    text = (out / "figure3.md").read_text()
    assert "Paper at 300,000" in text and "| 1 of 6 |" in text and "3 of 3" in text
    assert "Not in these runs, of the paper's 7 tasks: InvertedDoublePendulum" in text


def test_aggregates_and_orders(tmp_path: Path, whole: Path, reference: Path) -> None:
    assert _main(tmp_path / "out", reference, "--runs", whole) == 0
    rows = _table(tmp_path / "out", "figure3_aggregates").set_index("algorithm")
    # The best run, PPO's third seed, returned 91; the random policy of the reference 0.
    assert rows.loc["a2c", "iqm"] == rows.loc["a2c", "mean"] == pytest.approx(60 / 91)
    assert rows.loc["a2c", "iqm_low"] < 60 / 91 < rows.loc["a2c", "iqm_high"]
    assert np.isnan(rows.loc["ppo", "ppo_better"]) and rows.loc["vpg", "ppo_better"] == 1
    assert (rows["n_runs"] == 6).all() and (rows["n_tasks"] == 2).all()
    orders = _table(tmp_path / "out", "figure3_orders").set_index("task")
    assert orders.index.tolist() == [CHEETAH, HOPPER, "mean over tasks", "of mean ranks"]
    # One swap of neighbors among six: rho = 1 - 6 * 2 / (6 * 35), tau = 13 / 15.
    assert orders["spearman"].tolist() == pytest.approx([1 - 12 / 210] * 4)
    assert orders["kendall"].tolist() == pytest.approx([13 / 15] * 4)


def test_holes_are_shown_and_enter_nothing(
    tmp_path: Path, reference: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs_dir = tmp_path / "runs"
    infos = _grid(runs_dir, {"ppo": 90.0, "cem": 40.0})
    never = of_algorithm("cem", HOPPER, seed=3)
    alone = [of_algorithm("vpg", "Swimmer-v4", seed) for seed in range(3)]
    store.write_sweep(runs_dir, [*infos, never, *alone])
    failed = next(i for i in infos if i["algorithm"] == "ppo" and i["env_id"] == HOPPER)
    write_run(runs_dir, failed, [1e9], status=store.FAILED, error="loss is not finite")
    assert _main(tmp_path / "out", reference, "--runs", runs_dir) == 0
    cells = _cells(tmp_path / "out", HOPPER)
    assert cells.loc["ppo", ["n_runs", "n_expected", "return"]].tolist() == [2, 3, 90.5]
    assert cells.loc["cem", ["n_runs", "n_expected"]].tolist() == [3, 4]
    nothing = _cells(tmp_path / "out", "Swimmer-v4").loc["vpg"]
    assert nothing[["n_runs", "n_expected"]].tolist() == [0, 3] and np.isnan(nothing["return"])
    printed = capsys.readouterr().out.split("## Missing runs")[1]
    assert f"{failed['run_id']}: failed: loss is not finite" in printed
    assert f"{never['run_id']}: never started" in printed
    assert all(f"{info['run_id']}: never started" in printed for info in alone)
    text = (tmp_path / "out" / "figure3.md").read_text()
    assert "| 2 of 3 |" in text and "| 0 of 3 |" in text and "may flatter its row" in text


def test_frozen_trpo_and_sb3_are_entries_of_their_own(
    tmp_path: Path, whole: Path, reference: Path
) -> None:
    _grid(tmp_path / "frozen", {"trpo": 30.0}, (CHEETAH,), **FROZEN)
    _grid(tmp_path / "sb3", {"sb3_ppo": 95.0, "sb3_trpo": 70.0, "sb3_a2c": 50.0}, recipe="sb3")
    directories = (whole, tmp_path / "frozen", tmp_path / "sb3")
    assert _main(tmp_path / "out", reference, "--runs", *directories) == 0
    cells = _cells(tmp_path / "out", CHEETAH)
    assert cells.loc["trpo_frozen", "return"] == 30 and cells.loc["trpo", "return"] == 10
    # Both beside the paper's curve, and only the one that trains it beside Baselines'.
    assert cells.loc[["trpo", "trpo_frozen", "sb3_trpo"], "paper"].tolist() == [100] * 3
    assert np.isnan(cells.loc["trpo_frozen", "baselines"])
    assert cells.loc[["trpo", "sb3_trpo"], "baselines"].tolist() == [500, 500]
    # Each group is ranked by itself.
    assert cells.loc[list(BASES), "rank"].tolist() == [1, 2, 3, 4, 5, 6]
    assert cells.loc["trpo_frozen", ["rank", "paper_rank", "ranked"]].tolist() == [5, 6, 6]
    assert cells.loc[["sb3_ppo", "sb3_trpo", "sb3_a2c"], "rank"].tolist() == [1, 2, 3]
    assert cells.loc[["sb3_ppo", "sb3_trpo", "sb3_a2c"], "paper_rank"].tolist() == [1, 3, 2]
    orders = _table(tmp_path / "out", "figure3_orders")
    assert set(orders["lineup"]) == {"ours", "ours, TRPO frozen", "SB3"}
    better = _table(tmp_path / "out", "figure3_aggregates").set_index("algorithm")["ppo_better"]
    assert better["trpo_frozen"] == 1 and better["sb3_ppo"] == 0
    text = (tmp_path / "out" / "figure3.md").read_text()
    assert "TRPO, frozen std" in text and "Recipe sb3: sb3_ppo, sb3_trpo, sb3_a2c." in text


def test_without_ppo_and_with_an_unknown_algorithm(tmp_path: Path, reference: Path) -> None:
    _grid(tmp_path / "runs", {"vpg": 5.0, "novel": 7.0}, (HOPPER,))
    assert _main(tmp_path / "out", reference, "--runs", tmp_path / "runs") == 0
    cells = _cells(tmp_path / "out", HOPPER)
    assert cells.loc["novel", "return"] == 7
    assert np.isnan(cells.loc["novel", "paper"]) and np.isnan(cells.loc["novel", "rank"])
    text = (tmp_path / "out" / "figure3.md").read_text()
    assert "no run of ppo has finished" in text
    assert "of the paper's 6 algorithms: PPO, TRPO, A2C, A2C + trust region, CEM." in text


def test_nothing_finished_is_still_a_report(tmp_path: Path, reference: Path) -> None:
    store.write_sweep(tmp_path / "runs", [of_algorithm("cem", HOPPER, seed) for seed in (0, 1)])
    assert _main(tmp_path / "out", reference, "--runs", tmp_path / "runs") == 0
    assert _cells(tmp_path / "out", HOPPER).loc["cem", ["n_runs", "n_expected"]].tolist() == [0, 2]
    assert (
        "No algorithm of the paper's has a finished run."
        in (tmp_path / "out" / "figure3.md").read_text()
    )


def test_ppo_of_table_1_stands_in(tmp_path: Path, reference: Path) -> None:
    for value in (0.1, 0.2, 0.3):
        for seed in range(2):
            info = identity(HOPPER, "clip", value, seed)
            _write(tmp_path / "table1", info, 100 * value)
    _grid(tmp_path / "others", {"cem": 3.0}, (HOPPER,))
    directories = ("--runs", tmp_path / "table1", tmp_path / "others")
    assert _main(tmp_path / "out", reference, *directories) == 0
    assert _cells(tmp_path / "out", HOPPER)["return"].to_dict() == {"ppo": 19.5, "cem": 3}
    text = (tmp_path / "out" / "figure3.md").read_text()
    assert "Left out: 4 runs of PPO under objectives other than clip_0.2." in text
    assert _main(tmp_path / "b", reference, *directories, "--objective", "clip_0.3") == 0
    assert _cells(tmp_path / "b", HOPPER)["return"].to_dict() == {"ppo": 29.5, "cem": 3}


@pytest.mark.usefixtures("painted")
def test_equal_bytes(tmp_path: Path, whole: Path, reference: Path) -> None:
    how = ("--runs", whole)
    for name in ("a", "b"):
        assert _main(tmp_path / name, reference, *how) == 0
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert len(names) == 6
    for name in names:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name
    assert _main(tmp_path / "c", reference, *how, "--seed", 1) == 0
    first, other = (_table(tmp_path / name) for name in "ac")
    # Of 3 runs the interval reaches from the least to the largest, whatever the seed.
    assert first.equals(other)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("vpg", {"total_timesteps": 51_200}, "total_timesteps differs"),
        ("vpg", {"recipe": "sb3"}, "recipe differs"),
        ("vpg", {"env_id": "HalfCheetah-v5"}, "env_id differs"),
        ("ppo", {"algorithm.learning_rate": 1e-3}, "algorithm.learning_rate differs"),
        ("ppo", {"num_envs": 4}, "num_envs differs"),
    ],
)
def test_unequal_conditions_are_refused(
    tmp_path: Path,
    reference: Path,
    name: str,
    changes: dict[str, Any],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    _write(tmp_path / "runs", of_algorithm("ppo", CHEETAH, 0), 1.0)
    dotted = {key: value for key, value in changes.items() if "." in key}
    other = of_algorithm(name, CHEETAH, 1, **changes)
    _write(tmp_path / "runs", other, 1.0, config_changes=dotted)
    assert _main(tmp_path / "out", reference, "--runs", tmp_path / "runs") == 2
    assert message in capsys.readouterr().err


def test_several_directories(
    tmp_path: Path, reference: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    infos = _grid(tmp_path / "runs", {"ppo": 1.0}, (HOPPER,))
    # The same directory by two names counts once; a run in two places is no run.
    twice = ("--runs", tmp_path, tmp_path / "runs")
    assert _main(tmp_path / "out", reference, *twice) == 0
    assert _cells(tmp_path / "out", HOPPER).loc["ppo", ["n_runs", "n_expected"]].tolist() == [3, 3]
    _write(tmp_path / "copy", infos[0], 1.0)
    assert _main(tmp_path / "no", reference, "--runs", tmp_path / "runs", tmp_path / "copy") == 2
    assert f"{infos[0]['run_id']} lies in" in capsys.readouterr().err
    assert _main(tmp_path / "no", reference, "--runs", tmp_path / "runs", tmp_path / "gone") == 2
    assert "gone is no directory" in capsys.readouterr().err


def test_an_objective_that_is_not_there(
    tmp_path: Path, reference: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _grid(tmp_path / "runs", {"ppo": 1.0}, (HOPPER,))
    arguments = ("--runs", tmp_path / "runs", "--objective", "clip_0.25")
    assert _main(tmp_path / "out", reference, *arguments) == 2
    assert "give --objective one of clip_0.2." in capsys.readouterr().err


def test_a_real_sweep_from_end_to_end(cli: Cli) -> None:
    sweep = (
        "+experiment=figure3 budget=smoke env=half_cheetah,inverted_pendulum seed=0,1 "
        "algorithm=ppo,trpo,cem runs_dir=runs/main"
    )
    frozen = sweep.replace("ppo,trpo,cem runs_dir=runs/main", "trpo runs_dir=runs/frozen")
    for line in (sweep, f"{frozen} algorithm.freeze_log_std=true"):
        done = cli("-m", "hydra.launcher.backend=serial", *line.split())
        assert done.code == 0, done.err
    assert main(["figure3", "--runs", "runs/main", "runs/frozen", "--out", "out"]) == 0
    cells = _cells(Path("out"), "InvertedPendulum-v4")
    assert sorted(cells.index) == ["cem", "ppo", "trpo", "trpo_frozen"]
    assert (cells["n_runs"] == 2).all() and (cells["step"] == 128).all()
    for key in ("ppo", "cem"):
        means = [
            store.read_table(run / "episodes.parquet")["return"].iloc[-100:].mean()
            for run in Path("runs/main").glob(f"InvertedPendulum-v4_{key}_*")
        ]
        assert cells.loc[key, "return"] == pytest.approx(np.mean(means))
    # 128 steps are no episode of HalfCheetah's 1,000: a hole with its reason.
    assert (_cells(Path("out"), CHEETAH)["n_runs"] == 0).all()
    text = (Path("out") / "figure3.md").read_text()
    assert text.count("finished without completing an episode") == 8
