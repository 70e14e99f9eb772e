"""How a command ends: one sentence and an exit code for each error that a user can mend."""

from __future__ import annotations

from collections.abc import Callable
from typing import Never

import pytest

from repro import errors
from repro.cli import Parser, finish

ENDS = [
    (errors.ConfigError("a"), 2),
    (errors.CorruptError("a"), 3),
    (errors.NumericalError("a"), 4),
    (errors.LockedError("a"), 75),
    (errors.StorageError("a"), 1),
    (errors.RunsFailedError("a", 4), 4),
]


def raising(error: BaseException) -> Callable[[], Never]:
    def command() -> Never:
        raise error

    return command


@pytest.mark.parametrize(("error", "code"), ENDS)
def test_an_error_is_one_sentence(
    capsys: pytest.CaptureFixture[str], error: errors.ReproError, code: int
) -> None:
    error.args = ("one sentence,\n  over two lines.",)
    assert finish(raising(error)) == code
    assert capsys.readouterr() == ("", "one sentence, over two lines.\n")


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), errors.PreemptedError("SIGTERM")])
def test_an_interruption(capsys: pytest.CaptureFixture[str], stop: BaseException) -> None:
    assert finish(raising(stop), "Stopped.") == 75
    assert capsys.readouterr().err == "Stopped.\n"


def test_a_command_chooses_its_own_code() -> None:
    assert [finish(lambda code=code: code) for code in (None, 0, 1)] == [0, 0, 1]


def test_a_bug_passes() -> None:
    with pytest.raises(ZeroDivisionError):
        finish(lambda: 1 // 0)


def test_the_traceback_comes_where_it_is_asked_for(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    assert finish(raising(errors.ConfigError("seed=x is wrong."))) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("Traceback") and lines[-1] == "seed=x is wrong."


def test_a_wrong_argument_is_one_sentence() -> None:
    with pytest.raises(errors.ConfigError, match="unrecognized arguments: --foo: see --help"):
        Parser(prog="repro").parse_args(["--foo"])
