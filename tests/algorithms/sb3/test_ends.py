"""How runs of Stable-Baselines3 end: interrupted, failed or broken, as ours do."""

from __future__ import annotations

import re
import signal
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from repro.algorithms.sb3 import algorithm
from repro.runs import checkpoint, store
from repro.training.outcome import SKIPPED, PackProgress
from repro.training.pack import run_pack
from tests.helpers.bits import assert_equal_bits
from tests.helpers.cli import ROOT, Cli, finish, start
from tests.helpers.sb3_runs import CARTPOLE, NAMES, POLE, SMALL, small
from tests.helpers.tiny import result
from tests.helpers.waiting import wait_for

CPU = torch.device("cpu")


def progress(run: Path) -> pd.DataFrame:
    return store.read_table(run / "progress.parquet")


@pytest.mark.parametrize("name", NAMES)
def test_an_interrupted_run_begins_anew(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its seed makes it the run that was never stopped; no row is there twice."""

    def interrupt(progress: PackProgress) -> None:
        if progress.steps >= 128:
            raise KeyboardInterrupt

    undisturbed = small(name, f"{POLE} runs_dir={tmp_path / 'undisturbed'}")
    run_pack([undisturbed])
    config = small(name, f"{POLE} runs_dir={tmp_path} checkpoint.every_seconds=0")
    capsys.readouterr()
    with pytest.raises(KeyboardInterrupt):
        run_pack([config], interrupt)
    assert f"algorithm={name} has no checkpoints: an interrupted run" in (capsys.readouterr().out)
    info = store.read_run(config.directory)
    assert (info["status"], info["resumable"]) == (store.PREEMPTED, "never")
    assert len(progress(config.directory)) and not checkpoint.iterations(config.directory)
    (outcome,) = run_pack([config])
    assert outcome.status == store.DONE
    assert_equal_bits(result(config.directory), result(undisturbed.directory))
    assert run_pack([config])[0].status == SKIPPED


def test_sigterm_in_the_middle_of_a_rollout(tmp_path: Path) -> None:
    line = (
        "env=gymnasium env.id=tests.helpers.tasks:Slow-v0 algorithm=sb3_ppo algorithm.horizon=20000"
    )
    process = start(
        tmp_path, *line.split(), "algorithm.minibatch_size=100", "progress=false", path=(ROOT,)
    )
    wait_for(lambda: store.run_directories(tmp_path / "runs"), process)
    time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    finished = finish(process, timeout=60)
    assert finished.code == 75 and "the same command again continues" in finished.err
    (run,) = store.run_directories(tmp_path / "runs")
    assert store.read_run(run)["status"] == store.PREEMPTED


@pytest.mark.parametrize(
    ("task", "code", "sentence"),
    [
        (
            "env=gymnasium env.id=tasks:NaNObservation-v0",
            4,
            "iteration 2: environment 0 of 1 (seed 0) returned a value that is not finite in step "
            "70: its observation[0]",
        ),
        (
            "env=gymnasium env.id=tasks:InfiniteReward-v0",
            4,
            "(seed 0) returned a value that is not finite in step 70: its reward",
        ),
        (
            "env=gymnasium env.id=tasks:LargeReward-v0",
            4,
            "(seed 0) returned a value that is too large for float32 in step 70: its reward",
        ),
        (f"{POLE} algorithm.learning_rate=1e30", 4, "iteration 1: its standard deviation is no"),
        (
            f"{CARTPOLE} algorithm.learning_rate=1e37",
            4,
            "iteration 1: its parameters stopped being",
        ),
    ],
)
def test_what_stops_being_finite_has_failed(
    cli: Cli, task: str, code: int, sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FAULT_ONCE", raising=False)
    failed = cli(*f"algorithm=sb3_ppo {SMALL['sb3_ppo']} total_timesteps=256 {task}".split())
    assert failed.code == code, failed.err
    (run,) = store.run_directories(Path("runs"))
    info = store.read_run(run)
    assert info["status"] == store.FAILED and sentence in info["error"]
    assert info["failed_iteration"] == len(progress(run)) + 1
    for name, array in store.read_parameters(run).items():
        assert np.isfinite(array).all(), name


def test_finite_parameters_may_be_too_large() -> None:
    run = algorithm.StableBaselines3(small("sb3_ppo", CARTPOLE), CPU)
    with torch.no_grad():
        run.model.policy.action_net.weight.fill_(3e38)
    (record,) = run.train()
    assert record.failed[0].endswith("in iteration 1: its policy's outputs stopped being finite")
    assert not record.active and not record.finished


def test_a_task_that_breaks_is_no_matter_of_numbers(cli: Cli) -> None:
    line = f"algorithm=sb3_a2c {SMALL['sb3_a2c']} env=gymnasium env.id=tasks:Raises-v0"
    broken = cli(*line.split(), "total_timesteps=256")
    (run,) = store.run_directories(Path("runs"))
    info = store.read_run(run)
    assert broken.code == 1 and "Traceback" not in broken.err
    assert re.search(
        rf"{run.name} failed in iteration 5: environment 0 of 2 \(seed 0\): its step with action "
        r"[01] failed with RuntimeError: the simulator broke, in step 70 \(see .*error.log\)\n$",
        broken.err,
    )
    assert info["status"] == store.FAILED and "failed_iteration" not in info
    assert "the simulator broke" in (run / "error.log").read_text()
