"""Commands that signals end in the middle of their training."""

from __future__ import annotations

import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from repro.runs import checkpoint, store
from tests.helpers.cli import ROOT, Finished, finish, start
from tests.helpers.waiting import wait_for

ATTEMPTS = 5
INTERRUPTED = "Interrupted: the same command again continues.\n"


def crowd() -> float:
    """How many times as long everything takes, since others want the same processors."""
    return max(1.0, os.getloadavg()[0] / len(os.sched_getaffinity(0)))


def the_run(where: Path) -> Path:
    (run,) = _runs(where)
    return run


def newest(where: Path) -> int:
    """The iteration that the run would continue from."""
    return max((i for run in _runs(where) for i in checkpoint.iterations(run)), default=0)


def leave_by(
    where: Path, line: tuple[str, ...], iterations: int, *signals: signal.Signals
) -> float:
    """Send signals to a command that has trained a little; the seconds until it had left.

    On a crowded machine a short run may end before this process gets to send anything: then it is
    put back to where it was, and begun again.
    """
    before, kept = newest(where), where / "kept"
    for _ in range(ATTEMPTS):
        shutil.rmtree(kept, ignore_errors=True)
        if (where / "runs").exists():
            shutil.copytree(where / "runs", kept)
        took, finished = _signalled(where, line, before + iterations, signals)
        if finished.code != 0:
            break
        shutil.rmtree(where / "runs")
        if kept.exists():
            kept.rename(where / "runs")
    shutil.rmtree(kept, ignore_errors=True)
    assert (finished.code, finished.err) == (75, INTERRUPTED)
    assert store.read_run(the_run(where))["status"] == store.PREEMPTED
    checkpoint.load_whole(the_run(where), pytest.fail)
    return took


def _signalled(
    where: Path, line: tuple[str, ...], iteration: int, signals: tuple[signal.Signals, ...]
) -> tuple[float, Finished]:
    """The seconds that a command needs to leave once it is at an iteration, and how it left."""
    process = start(where, *line, path=(ROOT,))
    begun = (store.RUNNING, store.DONE)
    wait_for(lambda: any(store.read_run(run)["status"] in begun for run in _runs(where)))
    wait_for(lambda: newest(where) >= iteration or process.poll() is not None)
    sent = time.monotonic()
    for number in signals:
        process.send_signal(number)
        time.sleep(0.01)
    finished = finish(process, timeout=300)
    return time.monotonic() - sent, finished


def _runs(where: Path) -> list[Path]:
    return store.run_directories(where / "runs")
