"""A sweep whose driver is killed again and again ends as one that was left alone."""

from __future__ import annotations

import hashlib
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from repro import status
from repro.runs import locks, store
from repro.training.pack import run_pack
from tests.helpers.cli import finish, start
from tests.helpers.configs import compose
from tests.helpers.faults import report
from tests.helpers.sweeps import assert_equal_results

# A step takes 10 ms and no processor: kills meet runs at work, however fast the machine is.
# Saved in every iteration, so that kills fall between and into the saves.
LINE = ("env=gymnasium", "env.id=tests.helpers.tasks:Slow-v0", "total_timesteps=256")
LINE += ("algorithm.horizon=16", "algorithm.minibatch_size=16", "algorithm.epochs=2")
LINE += ("checkpoint.every_seconds=0", "checkpoint.max_share=1")
SEEDS = (0, 1, 2, 3)  # two packs


@pytest.fixture(scope="module")
def golden(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same runs, undisturbed and in packs of their own."""
    runs_dir = tmp_path_factory.mktemp("golden")
    runs = [compose(*LINE, f"seed={seed}", f"runs_dir={runs_dir}") for seed in SEEDS]
    for pack in (runs[:2], runs[2:]):
        assert {outcome.status for outcome in run_pack(pack)} == {store.DONE}
    return runs_dir


def finished(runs_dir: Path) -> dict[str, str]:
    """Run id -> a hash of all that a finished run has left."""
    found = {}
    for directory in store.run_directories(runs_dir):
        if store.is_done(directory):
            files = sorted(path for path in directory.rglob("*") if path.is_file())
            content = b"".join(path.read_bytes() for path in files if path.name != locks.FILE)
            found[directory.name] = hashlib.sha256(content).hexdigest()
    return found


def kill_and_start_again(directory: Path, kills: int, seed: int) -> int:
    """Sweeps until `kills` drivers have been killed and one has not.

    Returns:
        How many of them were still at work.
    """
    moments = random.Random(seed)
    line = ("-m", *LINE, f"seed={','.join(map(str, SEEDS))}")
    line += ("hydra.launcher.workers=2", "progress=false")
    before: dict[str, str] = {}
    hits = 0
    for kill in range(kills + 1):
        process = start(directory, *line)
        if kill < kills:
            begins = time.monotonic() + 60
            while not working(process.pid, directory / "runs") and moments.random() < 0.98:
                assert time.monotonic() < begins
                if process.poll() is not None:  # all done already
                    break
                time.sleep(0.05)
            time.sleep(moments.uniform(0, 1))
            family = children(process.pid)
            hits += process.poll() is None
            process.kill()
            process.communicate()
            psutil.wait_procs(family, timeout=10)
            assert not any(each.is_running() for each in family), "nobody outlives the driver"
        else:
            end = finish(process)
            assert end.code == 0, end.err
        now = finished(directory / "runs")
        assert before.items() <= now.items(), "what was done is never touched again"
        before = now
        if (directory / "runs" / "sweep.json").exists():
            states = status.survey(directory / "runs")
            assert [run.state for run in states].count(status.DONE) == len(now)
            assert not any(run.owner for run in states)
    return hits


def working(driver: int, runs_dir: Path) -> bool:
    """Whether a child of the driver owns a run directory."""
    owners = [locks.owner(path.parent) for path in runs_dir.glob("*/run.json")]
    pids = {child.pid for child in children(driver)}
    return any(owner is not None and owner.pid in pids for owner in owners)


def children(driver: int) -> list[psutil.Process]:
    try:
        return psutil.Process(driver).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def test_a_killed_driver_loses_nothing(tmp_path: Path, golden: Path) -> None:
    assert kill_and_start_again(tmp_path, kills=2, seed=0)
    assert_equal_results(tmp_path / "runs", golden)
    assert not (tmp_path / "runs" / ".progress").exists(), "nor do the killed leave anything"
    assert len(store.read_sweep(tmp_path / "runs")) == len(SEEDS)


def test_a_worker_without_a_task_does_not_outlive_its_driver() -> None:
    """It holds both ends of the pipe that brings its tasks: no end of file would tell it."""
    driver = (
        "import os, signal\n"
        "from repro.sweeps.backends import loky\n"
        "print(loky.executor().submit(os.getpid).result(), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", driver], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    worker = int(process.stdout.readline())
    assert process.wait(timeout=60) == -signal.SIGKILL
    deadline = time.monotonic() + 10
    while psutil.pid_exists(worker) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not psutil.pid_exists(worker)


@pytest.mark.faults
@pytest.mark.parametrize("seed", range(1, 6))
def test_a_driver_killed_many_times_loses_nothing(tmp_path: Path, golden: Path, seed: int) -> None:
    kills = kill_and_start_again(tmp_path, kills=5, seed=seed)
    assert kills
    assert_equal_results(tmp_path / "runs", golden)
    assert not (tmp_path / "runs" / ".progress").exists()
    runs = len(SEEDS)
    report("f14_drivers", {f"seed {seed}": {"drivers_killed": kills, "runs": runs, "equal": runs}})
