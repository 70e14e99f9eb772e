"""Trains a pack in the process that a backend gives it, and marks its runs whatever happens."""

from __future__ import annotations

import dataclasses
import os
import signal
import threading
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from repro.config.run import RunConfig
from repro.errors import ConfigError, CorruptError, StorageError
from repro.runs import locks, store
from repro.sweeps.heartbeats import Heartbeat, relayed
from repro.sweeps.packs import Pack
from repro.training import failures
from repro.training.outcome import CORRUPT, LOCKED, REFUSED, UNWRITTEN, Outcome

WATCH_SECONDS = 0.25


@dataclass(frozen=True)
class Task:
    """A pack to train.

    Attributes:
        pack: its runs.
        heartbeat: the file through which it says how far it is.
        folder: the directory that relative paths mean, on every machine.
        patience: seconds to wait for run directories that another process owns.
        device: where it trains; None: where its configurations say.
    """

    pack: Pack
    heartbeat: Path
    folder: Path = field(default_factory=Path.cwd)
    patience: float = locks.PATIENCE
    device: str | None = None

    @property
    def configs(self) -> Sequence[RunConfig]:
        """Of its runs, on its device."""
        configs = self.pack.configs
        if self.device is None:
            return configs
        return [dataclasses.replace(config, device=self.device) for config in configs]


def train(task: Task) -> list[Outcome]:
    """Train one pack in this process; an error becomes the outcome of its runs."""
    from repro.training import pack  # only now: it loads torch

    try:
        beat = Heartbeat(task.heartbeat, [config.run_id for config in task.pack.configs])
        return pack.run_pack(task.configs, beat, task.patience, task.pack.pause)
    except ConfigError as error:
        return _leave(task.pack, REFUSED, error)
    except CorruptError as error:
        return _leave(task.pack, CORRUPT, error)
    except StorageError as error:
        return _leave(task.pack, UNWRITTEN, error)
    except Exception as error:
        trace = "".join(traceback.format_exception(error))
        return settle(task.pack, store.FAILED, f"{type(error).__name__}: {error}", trace)


def train_as_worker(task: Task) -> list[Outcome]:
    """Train one pack in a process that does nothing else.

    SIGTERM ends it as it ends a single run: after a checkpoint of each run.
    """
    os.chdir(task.folder)
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with relayed(task.heartbeat):
            return train(task)
    except (KeyboardInterrupt, SystemExit):
        return settle(task.pack, store.PREEMPTED, "interrupted")
    finally:
        signal.signal(signal.SIGTERM, before)


def settle(pack: Pack, status: str, error: str, trace: str = "") -> list[Outcome]:
    """Mark the runs of a pack that has ended with `status`, except those that ended before it.

    A run that another process owns is left to that process.
    """
    return [_settle(config, status, error, trace) for config in pack.configs]


def unfinished(outcomes: Sequence[Outcome]) -> bool:
    """Whether a pack has runs that are to be continued."""
    return any(outcome.status == store.PREEMPTED for outcome in outcomes)


def _settle(config: RunConfig, status: str, error: str, trace: str) -> Outcome:
    directory = config.directory
    try:
        if (ended := _ended(config)) is not None:
            return ended
        info = store.read_run(directory) if (directory / "run.json").is_file() else {}
        if status == store.PREEMPTED and info.get("status") != store.RUNNING:
            return Outcome(config.run_id, directory, status, error)  # it had not started
        with locks.owning([directory]) as refused:
            if refused:
                return Outcome(config.run_id, directory, LOCKED, refused[0])
            if info.get("stalled"):  # `training.stalls` has written why
                error = f"{info['error']}; {error}"
            failures.mark(config, status, error, trace)
    except (OSError, ValueError) as damage:
        error = f"{error} (and {directory} could not be marked: {damage})"
    return Outcome(config.run_id, directory, status, error)


def _leave(pack: Pack, status: str, error: Exception) -> list[Outcome]:
    """Outcomes of runs whose directories stay as they are; runs that had ended keep theirs."""
    return [_ended(config) or _outcome(config, status, str(error)) for config in pack.configs]


def _ended(config: RunConfig) -> Outcome | None:
    try:
        info = store.read_run(config.directory)
    except (OSError, ValueError):
        return None
    if info.get("status") == store.DONE or "failed_iteration" in info:
        return _outcome(config, info["status"], info.get("error"))
    return None


def _outcome(config: RunConfig, status: str, error: str | None) -> Outcome:
    return Outcome(config.run_id, config.directory, status, error)


def end_with(driver: int) -> None:
    """End this process when the one that started it ends, busy or idle.

    A killed driver's successor needs the run directories.
    """

    def watch() -> None:
        while os.getppid() == driver:
            time.sleep(WATCH_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
