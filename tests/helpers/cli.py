"""Runs the command line: in a process of its own, or quicker in this one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from repro import __main__ as command

ROOT = Path(__file__).parents[2]


class Finished:
    """What a command left behind."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


class Cli:
    """In this process, in an empty directory."""

    def __init__(self, directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.directory, self._capsys = directory, capsys

    def __call__(self, *arguments: str) -> Finished:
        self._capsys.readouterr()
        code = command.run(arguments)
        printed = self._capsys.readouterr()
        return Finished(code, printed.out, printed.err)

    def left(self) -> list[str]:
        """All files and directories that there are now."""
        return sorted(str(path.relative_to(self.directory)) for path in self.directory.rglob("*"))


def environment(*paths: Path) -> dict[str, str]:
    path = os.pathsep.join(str(path) for path in (ROOT, *paths))
    return os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}


def start(
    directory: Path, *arguments: str, path: tuple[Path, ...] = (), module: str = "repro"
) -> subprocess.Popen[str]:
    """A process of its own, and the head of its own group as a terminal would have it."""
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=directory,
        env=environment(*path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str], timeout: float = 300) -> Finished:
    out, err = process.communicate(timeout=timeout)
    return Finished(process.returncode, out, err)
