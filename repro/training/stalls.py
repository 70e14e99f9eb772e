"""Ends the process when a task hangs, since a hanging task reacts to no signal and no exception.

A thread checks whether steps are taken. A task may hang inside C code that holds the interpreter's
lock; then that thread does not run either, and `faulthandler`, which needs no interpreter, ends the
process a little later. Whoever started the process sees that it died, and starts the pack again.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol, Self

from repro.config.run import RunConfig
from repro.console import say
from repro.errors import EXIT_CRASHED
from repro.runs import store
from repro.runs.files import write_json
from repro.runs.schema import FAILED, RUNNING
from repro.training.failures import LOG

POLL_SECONDS = 1.0
GRACE_SECONDS = 5.0


class HasPosition(Protocol):
    """Something whose progress can be watched, such as `repro.training.loop.Training`."""

    @property
    def position(self) -> tuple[int, int]:
        """The iteration under way, and the steps taken so far."""


class Watchdog:
    """While the context lasts, ends the process when nothing moves for `stall_timeout` seconds.

    Attributes:
        training: what is watched. While it is None, its creation is.
    """

    def __init__(self, configs: Sequence[RunConfig], directories: Sequence[Path]) -> None:
        """Prepare to watch the runs of a pack.

        Args:
            configs: [P]. The first one's `stall_timeout` counts; null disables the watchdog.
            directories: [P] of the runs.
        """
        self._configs, self._directories = configs, directories
        self._seconds = configs[0].stall_timeout or 0.0
        self._watched_thread = threading.get_ident()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.training: HasPosition | None = None

    def __enter__(self) -> Self:
        """Start watching, unless disabled."""
        if self._seconds:
            self._arm_faulthandler()
            self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Stop watching."""
        self._stop.set()
        if self._seconds:
            self._thread.join()
            faulthandler.cancel_dump_traceback_later()

    def _watch(self) -> None:
        poll = min(POLL_SECONDS, self._seconds / 4)
        # Unchanged polls are counted, not seconds: a process that was suspended does not hang.
        unchanged, last = 0, (-1, -1)
        while not self._stop.wait(poll):
            now = self.training.position if self.training else (0, 0)
            unchanged = unchanged + 1 if now == last else 0
            if now != last:
                self._arm_faulthandler()
            last = now
            if unchanged * poll >= self._seconds:
                self._end(*now)

    def _arm_faulthandler(self) -> None:
        if sys.__stderr__ is not None:
            with contextlib.suppress(OSError, ValueError):  # stderr has no file descriptor
                faulthandler.dump_traceback_later(
                    self._seconds + GRACE_SECONDS, exit=True, file=sys.__stderr__
                )

    def _end(self, iteration: int, steps: int) -> None:
        """Mark the unfinished runs as FAILED, say where the process hung, and end it."""
        where = (
            f"in iteration {iteration}, after {steps} steps" if steps else "before its first step"
        )
        text = f"hangs {where}: nothing has moved for {self._seconds:g} s (stall_timeout)"
        stack = sys._current_frames().get(self._watched_thread)
        trace = "".join(traceback.format_stack(stack)) if stack else ""
        for directory in self._directories:
            with contextlib.suppress(OSError, ValueError):
                info = store.read_run(directory)
                if info.get("status") != RUNNING:
                    continue
                (directory / LOG).write_text(f"It {text}.\n{trace}", encoding="utf-8")
                error = {"status": FAILED, "error": f"it {text}", "stalled": True}
                write_json(directory / "run.json", info | error)
        others = f" and {len(self._configs) - 1} more" if len(self._configs) > 1 else ""
        say(f"{self._configs[0].run_id}{others} {text}.", sys.stderr)
        os._exit(EXIT_CRASHED)
