"""SIGTERM, SIGINT and SIGHUP: leave, but never from the middle of writing something.

SLURM and every cloud send SIGTERM before they take a machine away, a terminal sends SIGINT for
Ctrl-C and SIGHUP when it closes.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterable, Iterator
from types import FrameType
from typing import Any, Self, TypeVar

from repro.errors import PreemptedError

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
Item = TypeVar("Item")


class Leave:
    """A signal handler that raises PreemptedError once; whoever is leaving hears no more."""

    def __init__(self) -> None:
        """Nothing has come yet."""
        self.leaving = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Raise, the first time."""
        if not self.leaving:
            self.leaving = True
            raise PreemptedError(signal.Signals(number).name)


def leave() -> None:
    """Let the signals end this process through PreemptedError. What nohup ignores stays ignored."""
    handler = Leave()
    for each in SIGNALS:
        if signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, handler)


def be_deaf() -> None:
    """Ignore the signals: all is saved, and the exit code is to tell how it ended."""
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)


class Deferral:
    """While it lasts, signals wait, except in what is declared `interruptible`.

    Only Python's main thread hears signals: in another one this does nothing.
    """

    def __init__(self) -> None:
        """Nothing has come yet."""
        self.name: str | None = None
        self._interruptible = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        """Take over the signals, but for those that are ignored."""
        if threading.current_thread() is threading.main_thread():
            for each in SIGNALS:
                before = signal.getsignal(each)
                if before is not signal.SIG_IGN and before is not None:
                    self._before[each] = before
                    signal.signal(each, self._hear)
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Give the signals back; a signal that came too late to interrupt anything is raised."""
        for each, before in self._before.items():
            if self.name is not None and isinstance(before, Leave):
                before.leaving = True
            signal.signal(each, before)
        if error is None:
            self.check()

    def check(self) -> None:
        """Raise PreemptedError if a signal has come."""
        if self.name is not None:
            raise PreemptedError(self.name)

    def interruptible(self, items: Iterable[Item]) -> Iterator[Item]:
        """The same items; a signal ends the making of the next one at once."""
        iterator = iter(items)
        while True:
            with self.interrupting():
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item

    @contextlib.contextmanager
    def interrupting(self) -> Iterator[None]:
        """A signal ends this block at once, and one that waited does so at its start."""
        self._interruptible = True
        try:
            self.check()
            yield
        finally:
            self._interruptible = False

    def _hear(self, number: int, frame: FrameType | None) -> None:
        first = self.name is None
        self.name = self.name or signal.Signals(number).name
        if first and self._interruptible:
            self._interruptible = False
            self.check()
