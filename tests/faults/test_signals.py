"""F11 and F12: signals save and leave with exit code 75; what else a terminal does is survived."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from repro.errors import PreemptedError
from repro.runs import store
from repro.training.signals import Deferral, RaiseOnce, install_handlers
from tests.helpers.bits import assert_equal_bits
from tests.helpers.cli import environment, finish, start
from tests.helpers.faults import report
from tests.helpers.interruptions import crowd, leave_by, newest, the_run
from tests.helpers.tiny import result, undisturbed

GRACE = 10.0
LINE = ("env=reacher", "recipe=ppo2", "algorithm.horizon=256", "total_timesteps=10240")
LINE += ("checkpoint.every_seconds=0", "checkpoint.max_share=1", "progress=false")


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
    assert_equal_bits(result(the_run(where)), undisturbed(tmp_path, LINE))
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
        install_handlers()
        with pytest.raises(PreemptedError):
            os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)  # nothing
        install_handlers()
        with pytest.raises(PreemptedError), Deferral():
            os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)  # nothing: the deferral has told
        handler = signal.getsignal(signal.SIGINT)
        assert isinstance(handler, RaiseOnce) and handler.raised
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
