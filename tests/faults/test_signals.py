"""F11 and F12: signals save and leave with exit code 75; what else a terminal does is survived."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from repro.errors import PreemptedError
from repro.runs import checkpoint, store
from repro.training.signals import Deferral, Leave, leave
from tests.helpers.cli import ROOT, Finished, environment, finish, start
from tests.helpers.faults import report
from tests.helpers.tiny import assert_same, result, undisturbed

GRACE = 10.0
ATTEMPTS = 5
LINE = ("env=reacher", "recipe=ppo2", "algorithm.horizon=256", "total_timesteps=10240")
LINE += ("checkpoint.every_seconds=0", "checkpoint.max_share=1", "progress=false")
INTERRUPTED = "Interrupted: the same command again continues.\n"


def wait_for(condition: Callable[[], bool], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def crowd() -> float:
    """How many times as long everything takes, since others want the same processors."""
    return max(1.0, os.getloadavg()[0] / len(os.sched_getaffinity(0)))


def the_run(where: Path) -> Path:
    (run,) = _runs(where)
    return run


def newest(where: Path) -> int:
    """The iteration that the run would go on from."""
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


def test_f11_interrupted_by_everything_and_still_the_same(tmp_path: Path) -> None:
    where = tmp_path / "here"
    where.mkdir()
    longest = 0.0
    attempts = [
        (1, (signal.SIGTERM,)),
        (0, (signal.SIGINT,)),
        (3, (signal.SIGHUP,)),
        (2, (signal.SIGINT, signal.SIGTERM) * 10),
    ]
    reached = []
    for iterations, signals in attempts:
        longest = max(longest, leave_by(where, LINE, iterations, *signals))
        reached.append(newest(where))
    assert reached == sorted(reached) and len(set(reached)) >= 3 and reached[-1] < 40
    assert finish(start(where, *LINE)).code == 0
    assert longest < GRACE * crowd()
    assert_same(result(the_run(where)), undisturbed(tmp_path, LINE))
    report("f11_signals", {"interruptions": len(attempts), "longest_seconds": round(longest, 2)})


def test_f11_in_the_middle_of_an_iteration_of_minutes(tmp_path: Path) -> None:
    line = ("env=gymnasium", "env.id=tests.helpers.tasks:Slow-v0", "algorithm.horizon=20000")
    took = leave_by(
        tmp_path, (*line, "algorithm.minibatch_size=100", "progress=false"), 0, signal.SIGTERM
    )
    assert took < GRACE * crowd(), "of several minutes"


def test_f12_nobody_reads_and_nobody_writes(tmp_path: Path) -> None:
    """stdout's reader is gone, stdin is closed, and the terminal hangs up on nohup."""
    read, write = os.pipe()
    os.close(read)
    process = subprocess.Popen(
        [sys.executable, "-m", "repro", "env=reacher", "budget=smoke"],
        cwd=tmp_path,
        env=environment(),
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: (os.close(0), signal.signal(signal.SIGHUP, signal.SIG_IGN)),
    )
    os.close(write)
    time.sleep(1)
    process.send_signal(signal.SIGHUP)
    _, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (0, "")
    assert store.read_run(the_run(tmp_path))["status"] == store.DONE


# -- the handlers --------------------------------------------------------------------------------


def test_signals_wait_outside_of_what_is_interruptible() -> None:
    done = []
    with pytest.raises(PreemptedError, match="SIGTERM"), Deferral() as signals:
        for item in signals.interruptible(range(5)):
            if item == 2:
                os.kill(os.getpid(), signal.SIGTERM)
                os.kill(os.getpid(), signal.SIGINT)
            done.append(item)
    assert done == [0, 1, 2]


def test_signals_end_what_is_interruptible_at_once() -> None:
    def items() -> object:
        yield 1
        os.kill(os.getpid(), signal.SIGINT)
        done.append("not reached")
        yield 2

    done: list[object] = []
    with pytest.raises(PreemptedError, match="SIGINT"), Deferral() as signals:
        for item in signals.interruptible(items()):  # type: ignore[var-annotated, arg-type]
            done.append(item)
    assert done == [1]


def test_a_signal_that_comes_at_the_very_end_is_not_forgotten() -> None:
    with pytest.raises(PreemptedError), Deferral():
        os.kill(os.getpid(), signal.SIGTERM)


def test_who_is_leaving_hears_no_more() -> None:
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        leave()
        with pytest.raises(PreemptedError):
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)  # nothing
        leave()
        with pytest.raises(PreemptedError), Deferral():
            os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)  # nothing: the deferral has told
        handler = signal.getsignal(signal.SIGINT)
        assert isinstance(handler, Leave) and handler.leaving
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
