"""What a pack leaves in its run directories, also when something goes wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from repro.config.schema import Config
from repro.config.validation import from_dict
from repro.errors import ConfigError
from repro.runs import store
from repro.training import results
from repro.training.outcome import SKIPPED, PackProgress
from repro.training.pack import run_pack
from tests.helpers.bits import assert_equal_bits
from tests.helpers.configs import Compose, compose

TINY = (
    "algorithm.horizon=128",
    "algorithm.minibatch_size=64",
    "algorithm.epochs=2",
    "total_timesteps=512",
)


def tiny(runs_dir: Path, *overrides: str) -> Config:
    return compose("env=reacher", f"runs_dir={runs_dir}", *TINY, *overrides)


def tables(directory: Path) -> dict[str, pd.DataFrame]:
    """All columns except wall-clock times."""
    frames = {
        name: store.read_table(directory / f"{name}.parquet") for name in ("episodes", "progress")
    }
    return {
        name: frame[[column for column in frame if not column.startswith("time_")]]
        for name, frame in frames.items()
    }


def test_a_run_leaves_the_same_files_alone_and_in_a_pack(tmp_path: Path) -> None:
    pack = [
        tiny(tmp_path / "pack", f"objective={kind}", f"seed={seed}")
        for kind in ("none", "clip", "kl_adaptive")
        for seed in (0, 1)
    ]
    packed = run_pack(pack)
    assert [outcome.status for outcome in packed] == [store.DONE] * 6
    for position in (0, 3, 5):
        alone = tiny(
            tmp_path / "alone",
            f"objective={pack[position].objective['kind']}",
            f"seed={pack[position].seed}",
        )
        (outcome,) = run_pack([alone])
        assert outcome.run_id == packed[position].run_id
        member, single = packed[position].directory, outcome.directory
        assert_equal_bits(tables(single), tables(member))
        assert_equal_bits(store.read_parameters(single), store.read_parameters(member))


def test_a_run_directory_is_complete_and_consistent(tmp_path: Path) -> None:
    config = tiny(tmp_path, "objective=clip_log", "seed=3")
    (outcome,) = run_pack([config])
    assert outcome.directory == tmp_path / config.run_id
    run = store.read_run(outcome.directory)
    assert run["status"] == store.DONE and run["error"] is None
    assert (run["objective"], run["objective_value"], run["seed"]) == ("clip_log", 0.2, 3)
    assert (run["updates"], run["steps"], run["config_hash"]) == (4, 512, config.hash)
    assert run["versions"]["torch"] and run["time_wall_s"] > 0 and run["threads"] == 1
    assert from_dict(store.read_config(outcome.directory)) == config
    progress = store.read_table(outcome.directory / "progress.parquet")
    assert list(progress) == list(store.PROGRESS) and progress["step"].tolist() == [
        128,
        256,
        384,
        512,
    ]
    assert progress["beta"].isna().all() and (progress["epsilon"] == 0.2).all()
    episodes = store.read_table(outcome.directory / "episodes.parquet")
    assert episodes["step"].tolist() == list(range(50, 512, 50))
    assert (episodes["length"] == 50).all() and (episodes["return"] < 0).all()
    means = episodes.groupby("iteration")["return"].mean()
    np.testing.assert_allclose(progress["return_mean"], means)


def test_the_paper_budget_is_488_updates(config: Compose) -> None:
    paper = config("env=hopper")
    assert (paper.updates, paper.updates * paper.batch_size) == (488, 999_424)


def test_a_done_run_is_not_repeated_and_an_unfinished_one_is(tmp_path: Path) -> None:
    config = tiny(tmp_path)
    (first,) = run_pack([config])
    before = (first.directory / "run.json").stat().st_mtime_ns
    (again,) = run_pack([config])
    assert again.status == SKIPPED
    assert (first.directory / "run.json").stat().st_mtime_ns == before
    run = store.read_run(first.directory) | {"status": store.RUNNING}
    store.write_json(first.directory / "run.json", run)
    assert run_pack([config])[0].status == store.DONE


def test_a_failing_learner_is_marked_and_the_others_finish(tmp_path: Path) -> None:
    pack = [tiny(tmp_path, f"seed={seed}") for seed in (0, 1)]
    pack.insert(1, tiny(tmp_path, "algorithm.learning_rate=1e38"))
    reports: list[PackProgress] = []
    good, bad, other = run_pack(pack, reports.append)
    assert (good.status, bad.status, other.status) == (store.DONE, store.FAILED, store.DONE)
    run = store.read_run(bad.directory)
    assert run["failed_iteration"] == 1 and "iteration 1" in run["error"]
    assert len(store.read_table(bad.directory / "progress.parquet")) == 0
    for array in store.read_parameters(bad.directory).values():
        assert np.isfinite(array).all()
    assert reports[0].failed == 1 and reports[-1].steps == reports[-1].total_steps == 3 * 512


def test_an_exception_marks_the_runs_and_keeps_their_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from repro.algorithms.ppo import PPO

    iterate = PPO.iterate

    def break_in_iteration_3(self: PPO) -> object:
        if self.iteration == 2:
            raise RuntimeError("a bug in the update")
        return iterate(self)

    monkeypatch.setattr(PPO, "iterate", break_in_iteration_3)
    config = tiny(tmp_path)
    with pytest.raises(RuntimeError, match="a bug in the update"):
        run_pack([config])
    directory = tmp_path / config.run_id
    run = store.read_run(directory)
    assert run["status"] == store.FAILED and "a bug in the update" in run["error"]
    assert "Traceback" in (directory / "error.log").read_text()
    assert store.read_table(directory / "progress.parquet")["iteration"].tolist() == [1, 2]


def test_a_logger_that_does_not_open_leaves_no_run_as_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError("no room")

    monkeypatch.setattr(results, "open_logger", refuse)
    config = tiny(tmp_path)
    with pytest.raises(OSError, match="no room"):
        run_pack([config])
    assert store.read_run(tmp_path / config.run_id)["status"] == store.FAILED


def test_an_interruption_is_not_a_failure(tmp_path: Path) -> None:
    config = tiny(tmp_path)

    def interrupt(progress: PackProgress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_pack([config], interrupt)
    run = store.read_run(tmp_path / config.run_id)
    assert run["status"] == store.PREEMPTED
    assert len(store.read_table(tmp_path / config.run_id / "progress.parquet")) == 1


@pytest.mark.parametrize(
    "wrong", [("device=cuda",), ("env=gymnasium", "env.id=NoSuchTask-v0", "env.num_envs=1")]
)
def test_bad_input_leaves_no_run_directory(tmp_path: Path, wrong: tuple[str, ...]) -> None:
    if wrong == ("device=cuda",):
        import torch

        if torch.cuda.is_available():
            pytest.skip("this machine has a GPU")
    with pytest.raises(ConfigError):
        run_pack([compose("env=reacher", f"runs_dir={tmp_path}", *TINY, *wrong)])
    assert not list(tmp_path.iterdir())


def test_profile_says_where_the_time_went(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pack = [tiny(tmp_path, f"seed={seed}", "profile=true") for seed in range(2)]
    run_pack(pack)
    title, *rows = capsys.readouterr().out.splitlines()[-6:]
    steps = sum(config.updates * config.batch_size for config in pack)
    assert title.startswith("Where ") and f"of 2 runs went, {steps:,} steps" in title
    assert [row.split()[0] for row in rows] == ["env", "forward", "update", "other", "kept"]
    assert sum(float(row.split()[3].rstrip("%")) for row in rows) == pytest.approx(100, abs=1)
