"""Progress of packs in small files, which processes on other machines can write too.

    DIR/.progress/<token>/lock       held by the driver of a sweep while it lives
    DIR/.progress/<token>/<n>.json   how far its pack number n is
    DIR/.progress/<token>/<n>.log    what the pack's process would have written over the bar

A driver that was killed leaves its folder behind; the next one to start removes it.
"""

from __future__ import annotations

import contextlib
import io
import shutil
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Self, TextIO

from repro.console import ProgressBar, Speed, is_terminal, say
from repro.runs import locks, store
from repro.training.outcome import PAUSED, SKIPPED, Outcome, PackProgress

if TYPE_CHECKING:  # it loads torch
    from repro.sweeps.packs import Pack

FOLDER = ".progress"
BEATS = f"{FOLDER}/*/*.json"  # below a runs_dir
BEAT_SECONDS = 1.0
POLL_SECONDS = 0.5
ENDED = (store.DONE, store.FAILED, SKIPPED, PAUSED)


class Heartbeat:
    """Writes a pack's progress to a file, once a second at most, and at its end."""

    def __init__(self, path: Path, run_ids: Sequence[str] = ()) -> None:
        """Write nothing yet.

        Args:
            path: of the file.
            run_ids: the runs of the pack, for `python -m repro.status --watch`.
        """
        self._path, self._run_ids = path, list(run_ids)
        self._speed = Speed()
        self._last = float("-inf")

    def __call__(self, progress: PackProgress) -> None:
        """Take the progress so far. A full disk is ignored: the runs report it."""
        self._speed.add(progress.taken)
        early = time.monotonic() - self._last < BEAT_SECONDS
        if early and progress.steps < progress.total_steps:
            return
        self._last = time.monotonic()
        with contextlib.suppress(OSError):
            more = {"run_ids": self._run_ids, "speed": self._speed.per_second}
            store.write_json(self._path, progress._asdict() | more)


class Relay(io.TextIOBase):
    """Writes to a file what would land on the driver's bar; the driver shows it above that."""

    def __init__(self, path: Path, stream: TextIO) -> None:
        """Write nothing yet; `stream` is for when the disk is full."""
        self._path, self._stream = path, stream

    def write(self, text: str) -> int:
        """Part of Python's interface of streams."""
        try:
            with self._path.open("a", encoding="utf-8") as file:
                return file.write(text)
        except OSError:
            return self._stream.write(text)


@contextlib.contextmanager
def relayed(heartbeat: Path) -> Iterator[None]:
    """Keep off a terminal that this process shares with the driver's bar."""
    log = heartbeat.with_suffix(".log")
    with contextlib.ExitStack() as stack:
        if is_terminal(sys.stdout):
            stack.enter_context(contextlib.redirect_stdout(Relay(log, sys.stdout)))
        if is_terminal(sys.stderr):
            stack.enter_context(contextlib.redirect_stderr(Relay(log, sys.stderr)))
        yield


class Monitor:
    """Reads the heartbeats of a sweep's packs from a thread, for the bar."""

    def __init__(self, packs: Sequence[Pack], bar: ProgressBar) -> None:
        """Choose the files: `paths`, one a pack."""
        self._packs, self._bar = packs, bar
        token = uuid.uuid4().hex[:8]
        self._parents = list(dict.fromkeys(_parent(pack) for pack in packs))
        self._folders = [parent / token for parent in self._parents]
        self.paths = [_parent(pack) / token / f"{n}.json" for n, pack in enumerate(packs)]
        tasks = [_task(pack) for pack in packs]
        self._tasks = tasks if len(set(tasks)) > 1 else [""] * len(tasks)
        self._ended: dict[int, Sequence[Outcome]] = {}
        self._read_bytes = dict.fromkeys(self.paths, 0)  # of the logs
        self._stream = sys.stderr
        self._owned = contextlib.ExitStack()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)

    def __enter__(self) -> Self:
        """Remove what killed drivers have left, and begin."""
        for parent in self._parents:
            remove_orphans(parent)
        self._owned.enter_context(locks.owning(self._folders))
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Show the last state, and leave no file behind."""
        self._stop.set()
        self._thread.join()
        self._update()
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)
            with contextlib.suppress(OSError):  # another sweep may still use it
                folder.parent.rmdir()
        self._owned.close()

    def finish(self, index: int, outcomes: Sequence[Outcome]) -> None:
        """A pack has ended."""
        self._ended[index] = outcomes

    def _poll(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            self._update()

    def _relay(self) -> None:
        for path, before in self._read_bytes.items():
            with contextlib.suppress(OSError), path.with_suffix(".log").open("rb") as file:
                file.seek(before)
                text, newline, _ = file.read().rpartition(b"\n")
                if newline:
                    say(text.decode(errors="replace"), self._stream)
                    self._read_bytes[path] = before + len(text) + 1

    def _update(self) -> None:
        self._relay()
        steps = runs = failed = taken = 0
        returns: dict[str, list[float]] = {}
        for index, pack in enumerate(self._packs):
            outcomes = self._ended.get(index, ())
            beat = read(self.paths[index])
            taken += beat.get("taken", 0)
            if outcomes and all(outcome.status in ENDED for outcome in outcomes):
                if beat and all(outcome.status == store.DONE for outcome in outcomes):
                    taken += max(0, pack.steps - beat["steps"])  # since its last beat
                steps += pack.steps
                runs += len(outcomes)
                failed += sum(outcome.status == store.FAILED for outcome in outcomes)
            else:
                steps += beat.get("steps", 0)
                runs += beat.get("failed", 0)
                failed += beat.get("failed", 0)
            # Once a pack has ended, its return is the last word only if nothing else trains.
            if beat.get("returns") is not None and (not outcomes or len(self._packs) == 1):
                returns.setdefault(self._tasks[index], []).append(beat["returns"])
        means = {task: fmean(several) for task, several in returns.items()}
        self._bar.update(steps, runs, failed, taken, means)


def _parent(pack: Pack) -> Path:
    return Path(pack.configs[0].runs_dir) / FOLDER


def _task(pack: Pack) -> str:
    """The name that its choice in `conf/env` has."""
    identity = pack.configs[0].identity()
    name = identity["env_name"]
    return str(identity["env_id"] if name == "gymnasium" else name)


def remove_orphans(parent: Path) -> None:
    """Remove what killed drivers have left in a `FOLDER`."""
    for folder in parent.iterdir() if parent.is_dir() else ():
        if locks.owner(folder) is None:
            shutil.rmtree(folder, ignore_errors=True)


def read(path: Path) -> dict[str, Any]:
    """The last beat of a pack; empty where there is none."""
    try:
        return store.read_json(path)
    except (OSError, ValueError):
        return {}
