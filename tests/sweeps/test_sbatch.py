"""The documented batch script, on a real sweep, with a `scontrol` that only notes its call.

What SLURM itself does (sending the signal, queueing the job again) is not tried here.
"""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from repro.runs import store
from tests.helpers.cli import ROOT, environment
from tests.helpers.waiting import wait_for

SWEEP = "-m env=gymnasium env.id=tests.helpers.tasks:Gated-v0,tests.helpers.tasks:Walk-v0"
SWEEP += " total_timesteps=256 algorithm.horizon=128 algorithm.minibatch_size=64"
SWEEP += " hydra.launcher.workers=2"


def script() -> str:
    """The one in the documentation that queues itself again."""
    page = (ROOT / "docs" / "sweeps-and-clusters.md").read_text()
    blocks = re.findall(r"```\n(#!/bin/bash\n.*?)```", page, re.DOTALL)
    (found,) = [block for block in blocks if "scontrol" in block]
    assert "-m +experiment=table1" in found and "#SBATCH" in found and "--signal=B:TERM" in found
    return str(found).replace("-m +experiment=table1", SWEEP)


def executable(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def start(where: Path, python: str = f'exec "{sys.executable}" "$@"') -> subprocess.Popen[str]:
    """As SLURM would: a shell of its own group, of which only the shell is told."""
    bin_ = where / "bin"
    bin_.mkdir(exist_ok=True)
    executable(bin_ / "scontrol", f'#!/bin/sh\necho "$@" >> "{where}/scontrol.txt"\n')
    executable(bin_ / "python", f"#!/bin/sh\n{python}\n")
    path = {"PATH": f"{bin_}{os.pathsep}{os.environ['PATH']}", "SLURM_JOB_ID": "4711"}
    (where / "job.sh").write_text(script())
    return subprocess.Popen(
        ["bash", "job.sh"],
        cwd=where,
        env=environment(ROOT) | path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def test_a_command_that_ends_at_the_very_signal_is_queued_again_too(tmp_path: Path) -> None:
    """The shell may then have heard of its end before it asks."""
    for number in range(10):
        where = tmp_path / str(number)
        where.mkdir()
        job = start(where, "trap 'exit 75' TERM; touch begun; while :; do sleep 0.01; done")
        while not (where / "begun").exists():
            time.sleep(0.01)
        job.send_signal(signal.SIGTERM)
        job.communicate(timeout=60)
        assert (where / "scontrol.txt").read_text() == "requeue 4711\n"


def test_what_is_done_or_broken_is_not_queued_again(tmp_path: Path) -> None:
    for code in (0, 2, 1, 137):
        start(tmp_path, f"exit {code}").communicate(timeout=60)
        assert not (tmp_path / "scontrol.txt").exists()


def statuses(where: Path) -> list[str]:
    return [store.read_run(run)["status"] for run in store.run_directories(where / "runs")]


@pytest.mark.parametrize("signals", [1, 3])
def test_a_job_that_is_preempted_is_queued_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, signals: int
) -> None:
    gate = tmp_path / "gate"  # until it exists, one of the two tasks waits
    monkeypatch.setenv("GATE", str(gate))
    job = start(tmp_path)
    wait_for(lambda: store.RUNNING in statuses(tmp_path) and len(statuses(tmp_path)) == 2, job)
    for _ in range(signals):
        job.send_signal(signal.SIGTERM)
        time.sleep(0.2)
    out, _ = job.communicate(timeout=300)
    assert "Interrupted: the same command again continues." in out
    assert store.PREEMPTED in statuses(tmp_path) and store.RUNNING not in statuses(tmp_path)
    assert (tmp_path / "scontrol.txt").read_text() == "requeue 4711\n"
    gate.touch()
    if signals == 1:  # what SLURM would do now
        out, _ = start(tmp_path).communicate(timeout=300)
        assert "2 runs" in out and statuses(tmp_path) == [store.DONE] * 2
        assert (tmp_path / "scontrol.txt").read_text() == "requeue 4711\n", "once"
