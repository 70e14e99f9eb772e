"""Progress of runs: a live bar on a terminal, a few lines elsewhere, and never an error."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

LINE_SECONDS = 60.0  # off a terminal: a line at least this often,
LINES = 10  # and at every tenth of the steps
FRAME_SECONDS = 0.2
SPEED_SECONDS = 120.0  # the window of the speed that is shown; two iterations must fit into it


def say(text: str, stream: TextIO | None = None) -> None:
    """Print a line, to stdout by default; a stream that nobody reads any more is no error."""
    stream = sys.stdout if stream is None else stream
    if stream is None:  # Python has no stdout at all, as in a windowed process
        return
    with contextlib.suppress(OSError, ValueError):
        try:
            print(text, file=stream, flush=True)
        except UnicodeEncodeError:
            print(text.encode("ascii", "replace").decode(), file=stream, flush=True)


class ProgressBar:
    """Runs, environment steps, steps per second and the time left, of one pack or several."""

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
        # No refreshing thread: it would compete with the training for the interpreter.
        self._progress = Progress(
            BarColumn(bar_width=20),
            TextColumn("{task.fields[line]}"),
            console=_Console(file=self._stream),
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
            speed_estimate_period=SPEED_SECONDS,
            get_time=time.monotonic,
        )
        self._task = self._progress.add_task("", total=self.steps, line="")
        self._live = False
        self._cell: Any = None  # of a notebook: what is displayed there can be replaced
        self._ended = (0, 0)  # runs, and how many of them failed
        self._shown = (float("-inf"), 0)  # when, and which tenth was done
        self._drawn: tuple[float, int, int] | None = None

    def __enter__(self) -> Self:
        """Show the start."""
        if self._enabled and self._stream is sys.stdout and _in_notebook():
            self._cell = sys.modules["IPython"].display.display(
                {"text/plain": ""}, raw=True, display_id=True
            )
        elif self._enabled and _is_terminal(self._stream):
            with self._harmless():
                self._progress.start()
                self._live = True
        self.update(0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Show the end, also after an error."""
        self._show(force=True)
        if self._live:
            with self._harmless():
                self._progress.stop()

    def update(self, steps: int, runs: int = 0, failed: int = 0) -> None:
        """Take the totals so far.

        Args:
            steps: environment steps taken.
            runs: runs that have ended.
            failed: how many of them failed.
        """
        self._ended = (runs, failed)
        self._progress.update(self._task, completed=steps)
        self._show()

    def text(self) -> str:
        """The line that is shown."""
        task, (runs, failed) = self._progress.tasks[0], self._ended
        parts = [
            f"runs {runs}/{self.runs}" + (f" ({failed} failed)" if failed else ""),
            f"steps {task.completed:,}/{self.steps:,} ({task.percentage:.0f}%)",
        ]
        if task.speed and task.time_remaining is not None:
            left = timedelta(seconds=task.time_remaining)
            parts += [f"{task.speed:,.0f} steps/s", f"{left} left"]
        return "  ".join(parts)

    def _show(self, force: bool = False) -> None:
        if not self._enabled:
            return
        state = (self._progress.tasks[0].completed, *self._ended)
        now, tenth = time.monotonic(), int(state[0]) * LINES // self.steps
        waited = now - self._shown[0]
        if self._live or self._cell is not None:
            due = waited >= FRAME_SECONDS
        else:
            due = waited >= LINE_SECONDS or tenth > self._shown[1]
        if due or (force and state != self._drawn):
            self._drawn, self._shown = state, (now, tenth)
            with self._harmless():
                self._draw()

    def _draw(self) -> None:
        if self._cell is not None:
            self._cell.update({"text/plain": self.text()}, raw=True)
        elif self._live:
            self._progress.update(self._task, line=self.text(), refresh=True)
        else:
            print(self.text(), file=self._stream, flush=True)

    @contextlib.contextmanager
    def _harmless(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError):
            self._enabled = False


class _Console(Console):
    """Rich's own ends the process when the reader of its output has gone."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def _in_notebook() -> bool:
    """Whether Jupyter runs this. Rich would need ipywidgets there, and takes no other thread."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return type(shell).__name__ == "ZMQInteractiveShell"


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty() and os.environ.get("TERM") != "dumb"
    except (OSError, ValueError):
        return False
