"""Sweeps that are ended from outside: signals reach the workers, and no process stays."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from repro.runs import store
from tests.helpers.cli import finish, start
from tests.helpers.sweeps import statuses
from tests.helpers.waiting import wait_for

PARALLEL = "hydra.launcher.workers=2"
FOLDER = Path(__file__).parents[1] / "helpers"
INTERRUPTED = "Interrupted: the same command again continues.\n"

LONG = (
    "-m",
    "env=gymnasium",
    "env.id=faulty:FaultyDawdles-v0,CartPole-v1",
    "seed=0,1",
    "budget=smoke",
    "total_timesteps=100000000",  # no machine ends before it is interrupted
)


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def test_ctrl_c_while_the_workers_start(tmp_path: Path) -> None:
    process = start(tmp_path, *LONG, PARALLEL, path=(FOLDER,))
    wait_for(lambda: any("popen_loky" in " ".join(child.cmdline()) for child in family(process)))
    children = family(process)
    os.killpg(process.pid, signal.SIGINT)
    finished = finish(process)
    wait_for(lambda: not any(child.is_running() for child in children))
    assert finished.code == 75 and finished.err == INTERRUPTED
    assert set(statuses(tmp_path / "runs").values()) <= {store.PREEMPTED}


@pytest.mark.parametrize("how", ["Ctrl-C", "SIGTERM", "SIGKILL"])
def test_an_end_from_outside_leaves_no_process(tmp_path: Path, how: str) -> None:
    process = start(tmp_path, *LONG, PARALLEL, path=(FOLDER,))
    wait_for(lambda: len(list(tmp_path.glob("runs/*/run.json"))) == 4)
    children = family(process)
    assert len(children) >= 2
    if how == "Ctrl-C":  # a terminal tells the whole group
        os.killpg(process.pid, signal.SIGINT)
    else:
        os.kill(process.pid, signal.Signals[how])
    finished = finish(process)
    wait_for(lambda: not any(child.is_running() for child in children))
    if how != "SIGKILL":
        assert finished.code == 75 and finished.err == INTERRUPTED
        assert set(statuses(tmp_path / "runs").values()) == {store.PREEMPTED}
        assert not (tmp_path / "runs" / ".progress").exists()


def test_an_interrupted_run_says_so(tmp_path: Path) -> None:
    line = [part.replace("faulty:FaultyDawdles-v0,", "").replace("0,1", "0") for part in LONG[1:]]
    process = start(tmp_path, *line, path=(FOLDER,))
    wait_for(lambda: bool(list(tmp_path.glob("runs/*/run.json"))))
    process.send_signal(signal.SIGINT)
    finished = finish(process)
    assert finished.code == 75 and finished.err == INTERRUPTED
    assert list(statuses(tmp_path / "runs").values()) == [store.PREEMPTED]
