"""SIGTERM, SIGINT and SIGHUP end a process, but never in the middle of writing something.

SLURM and cloud providers send SIGTERM before they take a machine away; a terminal sends SIGINT for
Ctrl-C and SIGHUP when it closes.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import FrameType
from typing import Any, NoReturn, Self, TypeVar

from repro.cli import start
from repro.errors import PreemptedError

SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
Item = TypeVar("Item")


class RaiseOnce:
    """A signal handler that raises PreemptedError at the first signal and ignores all others.

    Attributes:
        raised: whether a signal has come.
    """

    def __init__(self) -> None:
        """No signal has come yet."""
        self.raised = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Raise, the first time."""
        if not self.raised:
            self.raised = True
            raise PreemptedError(signal.Signals(number).name)


def install_handlers() -> None:
    """Let the signals raise PreemptedError. Signals that are ignored, as by nohup, stay ignored."""
    handler = RaiseOnce()
    for each in SIGNALS:
        if signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, handler)


def ignore_further_signals() -> None:
    """Ignore the signals: everything is saved, and the exit code must say how the command ended."""
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)


def main(run: Callable[[Sequence[str]], int]) -> NoReturn:
    """A command that trains, in a process of its own: the signals end it, and never its end."""
    install_handlers()
    code = start(run)
    ignore_further_signals()
    sys.exit(code)


class Deferral:
    """Holds signals back while the context lasts, except in blocks declared `interruptible`.

    Python delivers signals to the main thread only; in other threads this does nothing.

    Attributes:
        name: of the first signal that has come; None before.
    """

    def __init__(self) -> None:
        """No signal has come yet."""
        self.name: str | None = None
        self._interruptible = False
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        """Replace the handlers, except of signals that are ignored."""
        if threading.current_thread() is threading.main_thread():
            for each in SIGNALS:
                handler = signal.getsignal(each)
                if handler is not signal.SIG_IGN and handler is not None:
                    self._previous[each] = handler
                    signal.signal(each, self._on_signal)
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Restore the handlers; a signal that interrupted nothing is raised now."""
        for each, handler in self._previous.items():
            if self.name is not None and isinstance(handler, RaiseOnce):
                handler.raised = True
            signal.signal(each, handler)
        if error is None:
            self.check()

    def check(self) -> None:
        """Raise PreemptedError if a signal has come."""
        if self.name is not None:
            raise PreemptedError(self.name)

    def interruptible(self, items: Iterable[Item]) -> Iterator[Item]:
        """Yield the items; a signal interrupts the computation of the next one at once."""
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
        """A block that a signal ends at once; a signal that was held back ends it at its start."""
        self._interruptible = True
        try:
            self.check()
            yield
        finally:
            self._interruptible = False

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        first = self.name is None
        self.name = self.name or signal.Signals(number).name
        if first and self._interruptible:
            self._interruptible = False
            self.check()
