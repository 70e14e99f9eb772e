"""Backends and heartbeats: how packs in other processes report, and how they are settled."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from repro.config.schema import Config
from repro.console import ProgressBar, say
from repro.runs import store
from repro.sweeps import dispatch, heartbeats, packs, worker
from repro.sweeps.backends import Ended
from repro.sweeps.settings import BACKENDS, Settings
from repro.sweeps.worker import Task
from repro.training.outcome import Outcome, PackProgress
from tests.helpers.configs import Compose
from tests.helpers.waiting import wait_for


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_every_backend_is_a_module() -> None:
    for name in BACKENDS:
        backend = dispatch.backend(name)
        assert callable(backend.run) and callable(backend.slots)


def test_heartbeats_reach_the_bar(config: Compose, tmp_path: Path) -> None:
    """As from another machine: by nothing but files."""
    configs = [config("env=reacher", f"runs_dir={tmp_path}", f"seed={seed}") for seed in (0, 1)]
    plan = [packs.Pack((each,)) for each in configs]
    seen: list[str] = []

    def elsewhere(tasks: Sequence[Task], processes: int, settings: Settings) -> Ended:
        for index, task in enumerate(tasks):
            beat = heartbeats.Heartbeat(task.heartbeat)
            beat(PackProgress(2048, task.pack.steps, 1, 0, 2048, -5.0 - index))
            expected = 2048 + index * task.pack.steps
            wait_for(lambda expected=expected: f"steps {expected:,}/" in bar.text())
            seen.append(bar.text())
            assert f"  return {-5.0 - index}" in bar.text()
            outcome = Outcome(task.pack.configs[0].run_id, tmp_path, store.DONE, None)
            yield index, [outcome]

    bar = ProgressBar(2, sum(pack.steps for pack in plan), enabled=False)
    with pytest.MonkeyPatch.context() as patch, bar:
        patch.setattr(dispatch, "backend", lambda name: SimpleNamespace(run=elsewhere))
        dispatch.run_packs(plan, 2, Settings("elsewhere"), bar)
    assert "runs 0/2  steps 2,048/1,998,848 (0%)" in seen[0]
    assert "runs 1/2  steps 1,001,472/1,998,848 (50%)" in seen[1]
    assert "runs 2/2  steps 1,998,848/1,998,848 (100%)" in bar.text()
    assert not list(tmp_path.iterdir()), "the heartbeats are gone"


def test_a_heartbeat_is_rare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    monkeypatch.setattr(store, "write_json", lambda path, values: written.append(values["steps"]))
    now = 0.0
    monkeypatch.setattr(heartbeats.time, "monotonic", lambda: now)
    beat = heartbeats.Heartbeat(tmp_path / "x.json")
    for step in range(100):
        now = step * 0.1
        beat(PackProgress(step, 100, 1, 0))
    assert written == list(range(0, 100, 10))


def test_a_worker_keeps_off_the_terminal_of_the_bar(
    config: Compose, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it says there the driver says, in whole lines; a full disk loses nothing."""
    terminal = Terminal()
    pack = packs.Pack((config("env=reacher", f"runs_dir={tmp_path}"),))
    monkeypatch.setattr(sys, "stderr", terminal)
    with (
        heartbeats.Monitor([pack], ProgressBar(1, 10, enabled=False)) as monitor,
        heartbeats.relayed(monitor.paths[0]),
    ):
        say("a message", sys.stderr)
        print("half", end="", file=sys.stderr)
        wait_for(lambda: terminal.getvalue() == "a message\n", seconds=10)
        print(" and half", file=sys.stderr)
    assert terminal.getvalue() == "a message\nhalf and half\n"
    with heartbeats.relayed(tmp_path / "gone" / "0.json"):
        say("the disk is full", sys.stderr)
    assert terminal.getvalue().endswith("the disk is full\n")


def test_settling_keeps_what_ended_before(config: Compose, tmp_path: Path) -> None:
    configs = [config("env=reacher", f"runs_dir={tmp_path}", f"seed={seed}") for seed in range(4)]
    for each, status in zip(configs, (store.DONE, store.FAILED, store.RUNNING), strict=False):
        info = {"failed_iteration": 3} if status == store.FAILED else {}
        path = tmp_path / each.run_id
        path.mkdir()
        store.write_json(path / "run.json", {"status": status, "error": "its own"} | info)
    pack = packs.Pack(tuple(configs))
    worker.settle(pack, store.PREEMPTED, "stopped")
    assert [read_status(each) for each in configs[:3]] == ["DONE", "FAILED", "PREEMPTED"]
    assert not (tmp_path / configs[3].run_id).exists(), "it had not begun"
    outcomes = worker.settle(pack, store.FAILED, "broke", "the trace")
    assert [outcome.status for outcome in outcomes] == ["DONE", "FAILED", "FAILED", "FAILED"]
    assert [outcome.error for outcome in outcomes] == ["its own", "its own", "broke", "broke"]
    assert (tmp_path / configs[3].run_id / "error.log").read_text() == "the trace"
    assert store.read_run(tmp_path / configs[3].run_id)["env_id"] == "Reacher-v4"


def read_status(config: Config) -> str:
    return str(store.read_run(Path(config.runs_dir) / config.run_id)["status"])
