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
SWEEP = ("-m", *SUBMITIT, "progress=false", "seed=0,1", "hydra.launcher.workers=2")
GATED, FREE = (f"tests.helpers.tasks:{name}-v0" for name in ("Gated", "Walk"))
LENGTH = ("env=gymnasium", "total_timesteps=256", "algorithm.horizon=128")
LENGTH += ("algorithm.minibatch_size=64",)
TASKS = f"env.id={GATED},{FREE}"


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file; until it exists, the runs of one of the tasks wait in their first iteration."""
    monkeypatch.setenv("GATE", str(tmp_path / "gate"))
    return tmp_path / "gate"


def waiting(runs_dir: Path) -> set[int]:
    """The process that trains the runs that wait, once both have begun."""
    if not (runs_dir / "sweep.json").exists():
        return set()
    runs = [run for run in survey(runs_dir) if "Gated" in run.run_id and run.owner is not None]
    begun = len(list(runs_dir.glob("*Gated*/run.json"))) == len(runs) == 2
    return {run.owner.pid for run in runs if run.owner is not None} if begun else set()


def assert_as_here(directory: Path) -> None:
    for env in (GATED, FREE):
        line = (*LENGTH, f"env.id={env}", f"runs_dir={directory / 'here'}")
        pack.run_pack([compose(*line, f"seed={seed}") for seed in (0, 1)])
    assert_equal_results(directory / "runs", directory / "here")


def test_a_preempted_job_is_submitted_again(tmp_path: Path, gate: Path) -> None:
    """SLURM says it with SIGUSR2, ahead of time."""
    runs_dir = tmp_path / "runs"
    process = start(tmp_path, *SWEEP, *LENGTH, TASKS)
    wait_for(lambda: waiting(runs_dir), process)
    (pid,) = waiting(runs_dir)
    os.kill(pid, signal.SIGUSR2)
    wait_for(lambda: waiting(runs_dir) - {pid}, process)
    gate.touch()
    end = finish(process)
    assert end.code == 0, end.err
    assert end.out.splitlines()[0] == "4 runs: 2 packs on 2 workers"
    assert end.out.splitlines()[-1] == "4 done: runs"
    assert_as_here(tmp_path)
    assert sorted(path.name for path in runs_dir.glob(".*")) == [], "nothing of submitit's"


@pytest.mark.faults
def test_a_job_that_dies_is_submitted_again(tmp_path: Path, gate: Path) -> None:
    process = start(tmp_path, *SWEEP, *LENGTH, TASKS)
    dead: set[int] = set()
    for _ in range(2):
        wait_for(lambda: waiting(tmp_path / "runs") - dead, process)
        (pid,) = waiting(tmp_path / "runs")
        os.kill(pid, signal.SIGKILL)
        dead.add(pid)
    wait_for(lambda: waiting(tmp_path / "runs") - dead, process)
    gate.touch()
    end = finish(process)
    assert end.code == 0, end.err
    assert_as_here(tmp_path)


@pytest.mark.faults
def test_an_interrupted_driver_leaves_no_job(tmp_path: Path) -> None:
    runs_dir = tmp_path / "runs"
    line = ("env=reacher,inverted_pendulum", "total_timesteps=100000000")
    process = start(tmp_path, *SWEEP, *line)
    wait_for(lambda: len(list(runs_dir.glob("*/run.json"))) == 4, process)
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
    done = cli(*SWEEP, "env=reacher,inverted_pendulum", "budget=smoke", *options)
    assert done.code == 2 and sentence in done.err and done.err.count("\n") == 1


def test_a_missing_extra_is_one_sentence(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    done = cli(*SWEEP, "env=reacher,inverted_pendulum", "budget=smoke")
    assert done.code == 2 and not cli.left()
    assert done.err == (
        "hydra.launcher.backend=submitit needs a package that is not installed: "
        "pip install 'ppo-repro[submitit]'.\n"
    )
