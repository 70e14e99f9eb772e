"""Ends a process whose task hangs: what hangs listens to no signal and to no exception.

A thread looks whether steps are taken and iterations end. Where a task has stopped Python itself (C
code that never returns and keeps the interpreter's lock), the thread does not run either; then
`faulthandler`, which needs no interpreter, ends the process a little later. Whoever started it
sees a process that died, and starts the pack again.
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
from types import TracebackType
from typing import Protocol, Self

from repro.config.schema import Config
from repro.console import say
from repro.errors import EXIT_CRASHED
from repro.runs import store

POLL_SECONDS = 1.0
GRACE_SECONDS = 5.0


class Moving(Protocol):
    """What can be seen to move, as `repro.training.loop.Training`."""

    @property
    def position(self) -> tuple[int, int]:
        """The iteration under way, and the steps taken so far."""


class Watch:
    """While it lasts, the process ends when nothing moves for `stall_timeout` seconds.

    Attributes:
        training: what has to move; until there is one, nothing does.
    """

    def __init__(self, configs: Sequence[Config], directories: Sequence[Path]) -> None:
        """Of the runs of a pack; the first one's `stall_timeout` counts, and null is no watch."""
        self._configs, self._directories = configs, directories
        self._seconds = configs[0].stall_timeout or 0.0
        self._watched = threading.get_ident()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.training: Moving | None = None

    def __enter__(self) -> Self:
        """Begin, where there is a limit."""
        if self._seconds:
            self._rely_on_no_interpreter()
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Look away."""
        self._stop.set()
        if self._seconds:
            self._thread.join()
            faulthandler.cancel_dump_traceback_later()

    def _watch(self) -> None:
        poll = min(POLL_SECONDS, self._seconds / 4)
        # Looks without a change, not time passed: a process that was suspended does not hang.
        idle, last = 0, (-1, -1)
        while not self._stop.wait(poll):
            now = self.training.position if self.training else (0, 0)
            idle = idle + 1 if now == last else 0
            if now != last:
                self._rely_on_no_interpreter()
            last = now
            if idle * poll >= self._seconds:
                self._end(*now)

    def _rely_on_no_interpreter(self) -> None:
        if sys.__stderr__ is not None:
            with contextlib.suppress(OSError, ValueError):  # it has no descriptor
                faulthandler.dump_traceback_later(
                    self._seconds + GRACE_SECONDS, exit=True, file=sys.__stderr__
                )

    def _end(self, iteration: int, steps: int) -> None:
        """Say where it was, on the runs that have not ended and to the user, and be gone."""
        where = (
            f"in iteration {iteration}, after {steps} steps" if steps else "before its first step"
        )
        text = f"hangs {where}: nothing has moved for {self._seconds:g} s (stall_timeout)"
        stack = sys._current_frames().get(self._watched)
        trace = "".join(traceback.format_stack(stack)) if stack else ""
        for directory in self._directories:
            with contextlib.suppress(OSError, ValueError):
                info = store.read_run(directory)
                if info.get("status") != store.RUNNING:
                    continue
                (directory / "error.log").write_text(f"It {text}.\n{trace}", encoding="utf-8")
                error = {"status": store.FAILED, "error": f"it {text}", "stalled": True}
                store.write_json(directory / "run.json", info | error)
        others = f" and {len(self._configs) - 1} more" if len(self._configs) > 1 else ""
        say(f"{self._configs[0].run_id}{others} {text}.", sys.stderr)
        os._exit(EXIT_CRASHED)
