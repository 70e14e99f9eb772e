"""Progress of runs: a live bar on a terminal, a few lines elsewhere, and never an error."""

from __future__ import annotations

import contextlib
import math
import os
import shutil
import sys
import textwrap
import time
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.progress import Progress, TextColumn
from rich.text import Text

LINE_SECONDS = 60.0  # off a terminal: a line at least this often,
LINES = 10  # and at every tenth of the steps
FRAME_SECONDS = 0.2
BAR = 12  # characters
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


def folded(text: str) -> str:
    """An indented line, broken between words where a terminal would break it within them."""
    if not is_terminal(sys.stdout):
        return f"  {text}"
    return textwrap.fill(
        text,
        shutil.get_terminal_size().columns - 1,
        initial_indent="  ",
        subsequent_indent="    ",
        break_long_words=False,
        break_on_hyphens=False,
    )


class Speed:
    """Steps per second of late. What was there at the first look was not taken just now."""

    def __init__(self) -> None:
        """Nothing was taken yet."""
        self._samples: deque[tuple[float, int]] = deque()
        self._last = self._sum = 0

    def add(self, taken: int) -> None:
        """Take the steps so far; where they are fewer than before, a pack has started again."""
        now, new = time.monotonic(), taken - self._last
        self._last = taken
        if new <= 0:
            return
        self._sum += new
        self._samples.append((now, self._sum))
        while len(self._samples) > 2 and self._samples[1][0] <= now - SPEED_SECONDS:
            self._samples.popleft()

    @property
    def per_second(self) -> float:
        """0 where it is not known yet."""
        if len(self._samples) < 2:
            return 0.0
        (begin, before), (end, after) = self._samples[0], self._samples[-1]
        return (after - before) / (end - begin) if end > begin else 0.0


class ProgressBar:
    """Runs, steps, returns, steps per second and the time left, of one pack or several."""

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
            TextColumn("{task.fields[line]}"),
            console=_Console(file=self._stream),
            auto_refresh=False,
            # Warnings and messages are written above the bar, not over it.
            redirect_stderr=is_terminal(sys.stderr),
        )
        self._speed = Speed()
        self._returns: Mapping[str, float] = {}
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
        elif self._enabled and is_terminal(self._stream):
            with self._harmless():
                self._progress.start()
                self._live = True
        self.update(0)
        return self

    def __exit__(self, *error: object) -> None:
        """Show the end, also after an error."""
        self._show(force=True)
        if self._live:
            with self._harmless():
                self._progress.stop()

    def update(
        self,
        steps: int,
        runs: int = 0,
        failed: int = 0,
        taken: int | None = None,
        returns: Mapping[str, float] | None = None,
    ) -> None:
        """Take the totals so far.

        Args:
            steps: environment steps that need not be taken any more.
            runs: runs that have ended.
            failed: how many of them failed.
            taken: how many of the steps were taken by this command, and not before; by default all.
            returns: task -> mean return of late, of the runs that train; "" for the only task.
        """
        self._ended = (runs, failed)
        self._speed.add(steps if taken is None else taken)
        self._returns = returns or {}
        self._progress.update(self._task, completed=steps)
        self._show()

    def text(self, width: int | None = None) -> str:
        """The line that is shown: of what does not fit into `width`, the rest."""
        task, (runs, failed) = self._progress.tasks[0], self._ended
        speed = self._speed.per_second
        scores = [f"{name} {score:,.1f}".lstrip() for name, score in self._returns.items()]
        percent = f"{task.percentage:.0f}%"
        parts = {
            "runs": f"runs {runs}/{self.runs}" + (f" ({failed} failed)" if failed else ""),
            "steps": f"steps {task.completed:,}/{self.steps:,} ({percent})",
            "return": f"return {', '.join(scores)}" if scores else "",
            "speed": f"{speed:,.0f} steps/s" if speed else "",
        }
        if speed and task.completed < self.steps:
            left = math.ceil(max(0, self.steps - task.completed) / speed)
            parts["left"] = f"{timedelta(seconds=left)} left"
        for key, short in (("steps", percent), ("speed", ""), ("return", ""), ("runs", "")):
            if width is None or len(_joined(parts)) <= width:
                break
            parts[key] = short
        return _joined(parts)

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
            line = self.text(self._progress.console.width - BAR - 2)
            share = self._progress.tasks[0].completed / self.steps
            line = f"{bar(share, ascii=is_ascii(self._stream))} {line}"
            self._progress.update(self._task, line=line, refresh=True)
        else:
            print(self.text(), file=self._stream, flush=True)

    @contextlib.contextmanager
    def _harmless(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError):
            self._enabled = False


class Frames:
    """Texts on the terminal's second screen, each in the place of the one before."""

    def __init__(self) -> None:
        """Show nothing yet."""
        self._live = Live(console=_Console(), screen=True, auto_refresh=False)

    def __enter__(self) -> Self:
        """Switch to the second screen."""
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        """Switch back."""
        self._live.stop()

    def show(self, text: str) -> None:
        """Show a text. What does not fit is cut, and a last line says how much."""
        lines, height = text.splitlines(), self._live.console.height
        if len(lines) > height:
            lines = [*lines[: height - 1], f"({len(lines) - height + 1} more lines)"]
        shown = Text("\n".join(lines), no_wrap=True, overflow="crop")
        self._live.update(shown, refresh=True)


class _Console(Console):
    """Rich's own ends the process when the reader of its output has gone."""

    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def bar(share: float, *, ascii: bool) -> str:
    """A share as `BAR` characters, which tell it without colors too."""
    full, empty = ("#", ".") if ascii else ("━", "╌")
    done = int(min(1.0, share) * BAR)
    return full * done + empty * (BAR - done)


def is_ascii(stream: TextIO | None) -> bool:
    """Whether a stream may not have other characters."""
    return not str(getattr(stream, "encoding", "")).lower().startswith("utf")


def _joined(parts: Mapping[str, str]) -> str:
    return "  ".join(part for part in parts.values() if part)


def _in_notebook() -> bool:
    """Whether Jupyter runs this. Rich would need ipywidgets there, and takes no other thread."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return type(shell).__name__ == "ZMQInteractiveShell"


def is_terminal(stream: TextIO | None) -> bool:
    """Whether what was written to a stream can be replaced."""
    try:
        return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"
    except (OSError, ValueError):
        return False
