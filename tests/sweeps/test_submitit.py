"""Packs as submitit's jobs: here its local executor, on a cluster SLURM."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from repro.runs import store
from repro.sweeps.survey import survey
from repro.training import pack
from tests.helpers.cli import Cli, finish, start
from tests.helpers.configs import compose
from tests.helpers.sweeps import assert_equal_results
from tests.helpers.waiting import wait_for

pytest.importorskip("submitit")

SUBMITIT = ("hydra.launcher.backend=submitit", "hydra.launcher.submitit.cluster=local")
SWEEP = ("-m", "env=reacher,inverted_pendulum", "seed=0,1", *SUBMITIT, "progress=false")
LENGTH = ("total_timesteps=6144", "algorithm.horizon=512")


def trained_by(runs_dir: Path, task: str) -> set[int]:
    """The process that trains the runs of a task, once they have all begun."""
    if not (runs_dir / "sweep.json").exists() or len(list(runs_dir.glob("*/run.json"))) < 4:
        return set()
    runs = survey(runs_dir)
    return {run.owner.pid for run in runs if run.owner is not None and run.task == task}


def assert_as_here(directory: Path) -> None:
    for env in ("reacher", "inverted_pendulum"):
        line = (f"env={env}", f"runs_dir={directory / 'here'}", *LENGTH)
        pack.run_pack([compose(*line, f"seed={seed}") for seed in (0, 1)])
    assert_equal_results(directory / "runs", directory / "here")


def test_a_preempted_job_is_submitted_again(tmp_path: Path) -> None:
    """SLURM says it with SIGUSR2, ahead of time."""
    runs_dir = tmp_path / "runs"
    process = start(tmp_path, *SWEEP, *LENGTH, "hydra.launcher.workers=2")
    wait_for(lambda: trained_by(runs_dir, "reacher"))
    (pid,) = trained_by(runs_dir, "reacher")
    os.kill(pid, signal.SIGUSR2)
    wait_for(lambda: trained_by(runs_dir, "reacher") - {pid})
    end = finish(process)
    assert end.code == 0, end.err
    assert end.out.splitlines()[0] == "4 runs: 2 packs on 2 workers"
    assert end.out.splitlines()[-1] == "4 done: runs"
    assert_as_here(tmp_path)
    assert sorted(path.name for path in runs_dir.glob(".*")) == [], "nothing of submitit's"


@pytest.mark.faults
def test_a_job_that_dies_is_submitted_again(tmp_path: Path) -> None:
    process = start(tmp_path, *SWEEP, *LENGTH, "hydra.launcher.workers=2")
    for _ in range(2):
        wait_for(lambda: trained_by(tmp_path / "runs", "reacher"))
        (pid,) = trained_by(tmp_path / "runs", "reacher")
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda pid=pid: trained_by(tmp_path / "runs", "reacher") - {pid})
    end = finish(process)
    assert end.code == 0, end.err
    assert_as_here(tmp_path)


@pytest.mark.faults
def test_an_interrupted_driver_leaves_no_job(tmp_path: Path) -> None:
    runs_dir = tmp_path / "runs"
    process = start(tmp_path, *SWEEP, "total_timesteps=100000000", "hydra.launcher.workers=2")
    wait_for(lambda: trained_by(runs_dir, "inverted_pendulum"))
    asked = time.monotonic()
    process.send_signal(signal.SIGTERM)
    end = finish(process)
    assert time.monotonic() - asked < 12
    assert end.code == 75 and "0 done, 4 interrupted: runs" in end.out
    assert not any(run.owner for run in survey(runs_dir))
    found = [store.read_run(directory)["status"] for directory in store.run_directories(runs_dir)]
    assert found == [store.PREEMPTED] * 4


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["hydra.launcher.submitit.cluster=slurm"], 'Could not detect "srun"'),
        (["+hydra.launcher.submitit.moon_phase=1"], "Unknown executor 'moon'"),
        (["hydra.launcher.submitit.cluster=moon"], "doesn't know any executor named moon"),
    ],
)
def test_wrong_options_are_one_sentence(cli: Cli, options: list[str], sentence: str) -> None:
    done = cli(*SWEEP, "budget=smoke", *options)
    assert done.code == 2 and sentence in done.err and done.err.count("\n") == 1


def test_a_missing_extra_is_one_sentence(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    done = cli(*SWEEP, "budget=smoke")
    assert done.code == 2 and not cli.left()
    assert done.err == (
        "hydra.launcher.backend=submitit needs a package that is not installed: "
        "pip install 'ppo-repro[submitit]'.\n"
    )
