"""F10: numbers that end concern one run and no checkpoint, and can be seen to end again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from repro.algorithms.iteration import Iteration
from repro.algorithms.ppo import PPO
from repro.config.schema import Config
from repro.runs import archive, checkpoint, store
from repro.training.outcome import PackProgress
from repro.training.pack import run_pack
from tests.helpers.bits import assert_equal_bits
from tests.helpers.cli import ROOT, Cli, finish, start
from tests.helpers.faults import files
from tests.helpers.tiny import directory, result, tiny

MEMBERS = (0, 1, 2)


def pack(tmp_path: Path, task: str) -> list[Config]:
    line = f"env=gymnasium env.id=tests.helpers.tasks:{task}-v0 recipe=ppo2"
    return [tiny(tmp_path, f"{line} seed={seed}") for seed in MEMBERS]


def assert_finite(run: Path) -> int:
    """Every checkpoint that is there holds numbers only; how many there are."""
    for saved in checkpoint.load_whole(run, pytest.fail).values():
        archive.check_finite(archive.flatten(saved.state)[0])
    return len(checkpoint.iterations(run))


def spoil_mean(ppo: PPO) -> None:
    ppo.adam.mean[1] = torch.nan


def spoil_variance(ppo: PPO) -> None:
    ppo.adam.variance[1] = -1.0


def spoil_weights(ppo: PPO) -> None:
    ppo.parameters.flat[1, :16] = torch.inf


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> list[Config]:
    """The same runs, each alone, with nothing spoiled."""
    configs = pack(tmp_path_factory.mktemp("golden"), "Walk")
    for config in configs:
        run_pack([config])
    return configs


@pytest.mark.parametrize("spoil", [spoil_mean, spoil_variance, spoil_weights])
def test_f10_numbers_that_end_stop_their_learner_alone(
    tmp_path: Path,
    golden: list[Config],
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[PPO], None],
) -> None:
    configs = pack(tmp_path, "Walk")
    iterate = PPO.iterate

    def spoiled(self: PPO) -> Iteration:
        if self.iteration == 2:
            spoil(self)
        return iterate(self)

    with monkeypatch.context() as patch:
        patch.setattr(PPO, "iterate", spoiled)
        outcomes = run_pack(configs)
    assert [outcome.status for outcome in outcomes] == [store.DONE, store.FAILED, store.DONE]
    run = directory(configs[1])
    assert store.read_run(run)["failed_iteration"] == 3
    assert assert_finite(run) == 2
    log = (run / "error.log").read_text().splitlines()
    assert log[0] == f"{outcomes[1].error}." and "failed in iteration 3" in log[0]
    assert "goes on from the checkpoint of iteration 2" in log[1]
    assert log[2] == f"  python -m repro.again {run}"
    run_pack(configs)  # from the last checkpoint, and without the fault
    for ours, theirs in zip(configs, golden, strict=True):
        assert_equal_bits(result(directory(ours)), result(directory(theirs)))


def test_f10_a_failure_can_be_seen_again_in_a_copy(tmp_path: Path, cli: Cli) -> None:
    """From the iteration before it, however rarely checkpoints are due."""
    line = "recipe=ppo2 checkpoint.every_seconds=1000"
    config = tiny(tmp_path, f"env=gymnasium env.id=tests.helpers.tasks:NaNReward-v0 {line}")
    (outcome,) = run_pack([config])
    assert outcome.status == store.FAILED
    assert store.read_run(directory(config))["failed_iteration"] == 3
    before = files(directory(config))
    copy = Path("copies") / config.run_id
    shutil.copytree(directory(config), copy)
    again = finish(start(cli.directory, str(copy), module="repro.again", path=(ROOT,)))
    assert again.code == 4, again.err
    assert again.err == f"{outcome.error} (see {copy / 'error.log'})\n"
    assert "goes on from iteration 2" in again.out
    assert store.read_run(copy)["failed_iteration"] == 3
    assert files(directory(config)) == before
    nothing = finish(start(cli.directory, "copies", module="repro.again"))
    assert nothing.code == 2 and "give a run's directory" in nothing.err
    renamed = copy.rename("copies/renamed")
    wrong = finish(start(cli.directory, str(renamed), module="repro.again"))
    assert wrong.code == 2 and f"holds the run {config.run_id}" in wrong.err


def test_f10_a_state_that_is_not_finite_is_told_and_not_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that the learner itself has not noticed."""
    keep = PPO.checkpoint

    def spoiled(self: PPO, learner: int) -> dict[str, object]:
        state = keep(self, learner)
        if self.iteration == 3 and learner == 1:
            state["adam"]["mean"][0] = np.nan
        return state

    monkeypatch.setattr(PPO, "checkpoint", spoiled)
    configs = pack(tmp_path, "Walk")
    seen: list[list[int]] = []

    def watch(progress: PackProgress) -> None:
        seen.append(checkpoint.iterations(directory(configs[1])))

    run_pack(configs, watch)
    assert seen[1:4] == [[2, 1], [2, 1], [4, 2]]
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and "iteration 3 could not be saved" in told
    assert "adam/mean is not finite" in told and "the one of iteration 2 stays" in told
