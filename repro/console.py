"""How far the packs are: a live bar on a terminal, sparse lines elsewhere, never an error."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

LINE_SECONDS = 60.0  # off a terminal: a line at least this often,
LINES = 10  # and at every tenth of the steps
FRAME_SECONDS = 0.2
RATE_SECONDS = 30.0  # the speed shown is that of the last so many seconds


def say(text: str, stream: TextIO | None = None) -> None:
    """Print a line, to stdout by default, where anybody still listens."""
    stream = sys.stdout if stream is None else stream
    if stream is None:  # Python has no stdout at all, as in a windowed process
        return
    with contextlib.suppress(OSError, ValueError):
        try:
            print(text, file=stream, flush=True)
        except UnicodeEncodeError:
            print(text.encode("ascii", "replace").decode(), file=stream, flush=True)


class ProgressBar:
    """Runs, environment steps, steps per second and the time left, of one pack or many."""

    def __init__(
        self, runs: int, steps: int, *, enabled: bool = True, stream: TextIO | None = None
    ) -> None:
        """Show nothing yet.

        Args:
            runs: how many there are.
            steps: environment steps of all runs together.
            enabled: False for silence.
            stream: stdout by default.
        """
        self.runs, self.steps = runs, max(1, steps)
        self._stream = sys.stdout if stream is None else stream
        self._enabled = enabled and self._stream is not None
        self._rate = _Rate()
        self._live: Progress | None = None
        self._task = TaskID(0)
        self._shown = (float("-inf"), 0)  # when, and which tenth was done
        self._now = (0, 0, 0)  # steps, runs, failed
        self._drawn: tuple[int, int, int] | None = None

    def __enter__(self) -> Self:
        """Show the start."""
        self._rate.add(0)
        if self._enabled and _is_terminal(self._stream):
            with self._harmless():
                self._live = self._open()
        self.update(0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Show the end, whatever it was."""
        self._show(force=True)
        if self._live is not None:
            with self._harmless():
                self._live.stop()

    def update(self, steps: int, runs: int = 0, failed: int = 0) -> None:
        """Take the totals so far.

        Args:
            steps: environment steps taken.
            runs: runs that have ended.
            failed: how many of them failed.
        """
        self._now = (steps, runs, failed)
        self._rate.add(steps)
        self._show()

    def text(self) -> str:
        """The line that is shown."""
        steps, runs, failed = self._now
        rate = self._rate.per_second()
        parts = [
            f"runs {runs}/{self.runs}" + (f" ({failed} failed)" if failed else ""),
            f"steps {steps:,}/{self.steps:,} ({steps / self.steps:.0%})",
            f"{rate:,.0f} steps/s",
            f"{clock((self.steps - steps) / rate)} left" if rate else "",
        ]
        return "  ".join(part for part in parts if part)

    def _show(self, force: bool = False) -> None:
        if not self._enabled:
            return
        now, tenth = time.monotonic(), self._now[0] * LINES // self.steps
        waited = now - self._shown[0]
        if self._live is not None:
            due = waited >= FRAME_SECONDS
        else:
            due = waited >= LINE_SECONDS or tenth > self._shown[1]
        if due or (force and self._now != self._drawn):
            self._drawn, self._shown = self._now, (now, tenth)
            with self._harmless():
                self._draw()

    def _draw(self) -> None:
        if self._live is None:
            print(self.text(), file=self._stream, flush=True)
            return
        self._live.update(self._task, completed=self._now[0], line=self.text())
        self._live.refresh()

    def _open(self) -> Progress:
        # No refreshing thread: it would compete with the trainer for the interpreter.
        live = Progress(
            BarColumn(bar_width=20),
            TextColumn("{task.fields[line]}"),
            console=_Console(file=self._stream),
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = live.add_task("", total=self.steps, line="")
        live.start()
        return live

    @contextlib.contextmanager
    def _harmless(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError):
            self._enabled = False


class _Console(Console):
    """Rich's own would end the process when the reader of its output goes."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


class _Rate:
    """Speed over a sliding window."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def add(self, steps: int) -> None:
        now = time.monotonic()
        self._samples.append((now, steps))
        while len(self._samples) > 2 and now - self._samples[1][0] > RATE_SECONDS:
            self._samples.popleft()

    def per_second(self) -> float:
        (start, before), (end, after) = self._samples[0], self._samples[-1]
        return (after - before) / (end - start) if end > start and after > before else 0.0


def clock(seconds: float) -> str:
    """`0:42`, `12:07`, `3:20:00`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty() and os.environ.get("TERM") != "dumb"
    except (OSError, ValueError):
        return False
