"""The progress bar: sparse off a terminal, live on one, and never a reason to fail."""

from __future__ import annotations

import datetime
import io
import math
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import pytest

from repro import console
from repro.console import FRAME_SECONDS, ProgressBar, say
from tests.helpers.cli import ROOT


class Clock:
    """Time that passes where a test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(console.time, "monotonic", lambda: self.now)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Broken(io.StringIO):
    """A stream whose reader goes after a few writes."""

    def __init__(self, writes: int, terminal: bool = False) -> None:
        super().__init__()
        self.left, self.terminal = writes, terminal

    def isatty(self) -> bool:
        return self.terminal

    def write(self, text: str) -> int:
        self.left -= 1
        if self.left < 0:
            raise BrokenPipeError
        return super().write(text)


@pytest.fixture
def passing(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def test_lines_are_sparse_off_a_terminal(passing: Clock) -> None:
    stream = io.StringIO()
    with ProgressBar(3, 1000, stream=stream) as bar:
        for steps in range(1, 1001):
            passing.now += 0.01
            bar.update(steps, runs=3 * (steps == 1000))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 11  # the start and every tenth
    assert lines[0] == "runs 0/3  steps 0/1,000 (0%)"
    assert lines[5] == "runs 0/3  steps 500/1,000 (50%)  100 steps/s  0:00:05 left"
    assert lines[-1].startswith("runs 3/3  steps 1,000/1,000 (100%)")


def test_a_slow_sweep_says_something_each_minute(passing: Clock) -> None:
    stream = io.StringIO()
    with ProgressBar(1, 1_000_000, stream=stream) as bar:
        for second in range(1, 601):
            passing.now += 1
            bar.update(second)
    assert 11 <= len(stream.getvalue().splitlines()) <= 12


def test_nothing_is_said_twice(passing: Clock) -> None:
    stream = io.StringIO()
    with ProgressBar(1, 10, stream=stream):
        pass
    assert stream.getvalue().count("\n") == 1


def test_silence(passing: Clock) -> None:
    for stream in (io.StringIO(), Terminal()):
        with ProgressBar(1, 10, enabled=False, stream=stream) as bar:
            bar.update(10, 1)
        assert not stream.getvalue()


def test_the_speed_is_a_recent_one(passing: Clock) -> None:
    steps = 0
    with ProgressBar(1, 1_000_000, stream=io.StringIO()) as bar:
        for speed in (1, 50):
            for _ in range(200):
                passing.now += 1
                steps += speed
                bar.update(steps)
    assert "50 steps/s" in bar.text()
    left = datetime.timedelta(seconds=math.ceil((1_000_000 - 200 * 51) / 50))
    assert bar.text().endswith(f"{left} left")


def test_steps_of_an_earlier_attempt_are_no_speed(passing: Clock) -> None:
    """A resumed run counts from where it was, and has not taken those steps just now."""
    with ProgressBar(1, 10_000, stream=io.StringIO()) as bar:
        for second in range(11):
            passing.now += 1
            bar.update(5000 + 10 * second)
    assert "  10 steps/s" in bar.text()


def test_packs_that_continue_one_after_the_other_are_no_speed(passing: Clock) -> None:
    """Steps that were there before jump into the total, and not into the speed."""
    with ProgressBar(2, 100_000, stream=io.StringIO()) as bar:
        for second in range(21):
            passing.now += 1
            before = 5000 if second < 10 else 45_000
            bar.update(before + 10 * second, taken=10 * (second + 1))
    assert "  10 steps/s" in bar.text()
    assert bar.text().endswith(f"{datetime.timedelta(seconds=(55_000 - 200) // 10)} left")


def test_a_pack_that_starts_again_does_not_go_backwards(passing: Clock) -> None:
    speed = console.Speed()
    for taken in (10, 20, 30, 0, 10, 20):
        passing.now += 1
        speed.add(taken)
    assert speed.per_second == 40 / 5


def test_the_return_is_shown_and_the_line_fits(passing: Clock) -> None:
    bar = ProgressBar(18, 18_000, enabled=False)
    for _ in range(3):
        passing.now += 1
        bar.update(2000, 2, 1, int(passing.now), {"hopper": 1234.56, "reacher": -5.0})
    assert "  return hopper 1,234.6, reacher -5.0  1 steps/s  " in bar.text()
    for width in range(30, 120):
        line = bar.text(width)
        assert len(line) <= width and line.endswith(" left")
    assert bar.text(80).startswith("runs 2/18 (1 failed)  11%  return hopper")
    bar.update(3, returns={"": -5.0})
    assert "  return -5.0  " in bar.text()


def test_messages_are_written_above_the_bar(
    passing: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of `say`, of warnings and of tasks: each erases the bar, which is drawn again below."""
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr(sys, "stderr", terminal)
    with ProgressBar(1, 10) as bar:
        bar.update(5)
        say("a message", sys.stderr)
        print("a print")
    assert sys.stdout is terminal and sys.stderr is terminal
    for message in ("a message", "a print"):
        before, after = terminal.getvalue().split(f"{message}\n")
        assert before.endswith("\x1b[2K"), "the bar is erased"
        assert "runs 0/1" in after, "and comes again"


def test_stderr_in_a_file_stays_there(passing: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, file = Terminal(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setattr(sys, "stderr", file)
    with ProgressBar(1, 10):
        say("a message", sys.stderr)
    assert file.getvalue() == "a message\n" and "a message" not in terminal.getvalue()


def test_failures_are_counted() -> None:
    bar = ProgressBar(3, 10, enabled=False)
    with bar:
        bar.update(5, runs=2, failed=1)
    assert bar.text().startswith("runs 2/3 (1 failed)  steps 5/10 (50%)")


def test_a_terminal_gets_one_live_line(passing: Clock) -> None:
    stream = Terminal()
    with ProgressBar(2, 1000, stream=stream) as bar:
        for steps in range(1, 1001):
            passing.now += 0.01
            bar.update(steps, runs=2 * (steps == 1000))
    text = stream.getvalue()
    frames = re.findall(r"steps ([\d,]+)/1,000", text)
    assert 40 <= len(frames) <= 60  # five a second
    assert frames[0] == "0" and frames[-1] == "1,000"
    assert text.count("\n") <= 2, "the frames replace each other"
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1, "the cursor comes back"


def test_a_notebook_gets_one_line_that_is_replaced(
    passing: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With as much of IPython as is used."""
    shown: list[str] = []

    class ZMQInteractiveShell:
        def update(self, data: dict[str, str], raw: bool) -> None:
            shown.append(data["text/plain"])

    def display(data: dict[str, str], raw: bool, display_id: bool) -> ZMQInteractiveShell:
        return ZMQInteractiveShell()

    ipython = SimpleNamespace(
        get_ipython=ZMQInteractiveShell, display=SimpleNamespace(display=display)
    )
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    with ProgressBar(1, 1000) as bar:
        for step in range(1000):
            passing.now += FRAME_SECONDS / 10
            bar.update(step)
        bar.update(1000, 1)
    assert 90 < len(shown) < 110
    assert shown[-1].startswith("runs 1/1  steps 1,000/1,000 (100%)")


def test_the_cursor_comes_back_after_an_error() -> None:
    stream = Terminal()
    with pytest.raises(RuntimeError), ProgressBar(2, 1000, stream=stream):
        raise RuntimeError
    assert "\x1b[?25h" in stream.getvalue()


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("writes", [0, 1, 5])
def test_a_reader_that_has_gone_stops_nothing(terminal: bool, writes: int) -> None:
    stream = Broken(writes, terminal)
    with ProgressBar(1, 10, stream=stream) as bar:
        for steps in range(11):
            bar.update(steps)
    say("the end", stream)
    assert bar.text().startswith("runs 0/1  steps 10/10 (100%)")


def test_a_closed_stream_stops_nothing() -> None:
    stream = io.StringIO()
    stream.close()
    with ProgressBar(1, 10, stream=stream) as bar:
        bar.update(10)
    say("the end", stream)


def test_no_stdout_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with ProgressBar(1, 10) as bar:
        bar.update(10)
    say("the end")


def test_an_ascii_stdout_gets_what_it_can_show() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    say("ε = 0.2", stream)
    assert raw.getvalue() == b"? = 0.2\n"


@pytest.mark.parametrize("last", ["", "say('the end')"])
def test_a_closed_pipe_leaves_the_exit_code_alone(last: str) -> None:
    """`python -m repro ... | head -1`, in small: Python's own last flush must not fail either."""
    script = (
        "from repro.console import FRAME_SECONDS, ProgressBar, say\n"
        "with ProgressBar(1, 100_000) as bar:\n"
        f"    for step in range(100_000): bar.update(step)\n{last}\n"
    )
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", script], stdout=write, stderr=subprocess.PIPE, cwd=ROOT, check=False
    )
    os.close(write)
    assert done.returncode == 0 and not done.stderr
