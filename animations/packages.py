"""Whether manim can be installed and is: said before pip fails at length."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

LIBRARIES = ("cairo", "pangocairo")
MISSING = (
    "The films are drawn by manim, which is not installed and needs cairo and pango to be built: "
    "on Debian apt install libcairo2-dev libpango1.0-dev pkg-config python3-dev, "
    "then make animations."
)


def missing() -> bool:
    """Whether manim is not there."""
    return find_spec("manim") is None


def can_be_built() -> bool:
    """Whether what its parts in C are built with is there."""
    header = Path(sysconfig.get_path("include"), "Python.h")
    return (
        header.exists()
        and shutil.which("pkg-config") is not None
        and subprocess.run(["pkg-config", "--exists", *LIBRARIES], check=False).returncode == 0
    )


if __name__ == "__main__":
    sys.exit(MISSING if missing() and not can_be_built() else None)
