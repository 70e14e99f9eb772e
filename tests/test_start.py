"""What a command loads before it does what it is for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.helpers.cli import environment

_LOADED = """
import importlib, sys
def run(module, *arguments):
    importlib.import_module(module).run(arguments)
    return [name for name in ("omegaconf", "pyarrow", "torch", "pandas") if name in sys.modules]
found = [run("repro.__main__", line) for line in ("--version", "--help", "env=hoper")]
found.append(run("repro.status", "nowhere"))
found.append(run("repro.__main__", "env=reacher", "budget=smoke"))
print(found)
"""


def test_a_command_loads_what_it_needs(tmp_path: Path) -> None:
    """Hydra's parts for a configuration, torch for training, pandas for nothing of a run."""
    process = subprocess.run(
        [sys.executable, "-c", _LOADED],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    expected = [[], ["omegaconf"], ["omegaconf"], ["omegaconf", "pyarrow"]]
    expected.append(["omegaconf", "pyarrow", "torch"])
    assert process.stdout.splitlines()[-1] == str(expected)


def test_emulators_are_gone_before_python_ends(tmp_path: Path) -> None:
    """Its binding lists on stderr what is not."""
    process = subprocess.run(
        [sys.executable, "-m", "repro", "env=atari", "env.game=pong", "budget=smoke"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "leaked" not in process.stderr
    assert "done" in process.stdout
