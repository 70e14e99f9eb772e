"""Where a result comes from: the machine and versions that made it."""

from __future__ import annotations

import datetime
import functools
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import repro

PACKAGES = (
    "torch",
    "numpy",
    "mujoco",
    "gymnasium",
    "ale-py",
    "opencv-python-headless",
    "hydra-core",
    "pandas",
    "stable-baselines3",
    "sb3-contrib",
)


@functools.cache
def machine() -> dict[str, Any]:
    """Host, processor and versions of this process."""
    # Installed, this file may lie in a repository of another project.
    tracked = _git("ls-files", "--error-unmatch", Path(__file__).name)
    revision = _git("rev-parse", "HEAD") if tracked else None
    return {
        "git_revision": revision,
        "git_dirty": bool(_git("status", "--porcelain")) if revision else None,
        "versions": {"python": platform.python_version(), "repro": repro.__version__}
        | {package: version(package) for package in PACKAGES},
        "host": platform.node(),
        "cpu": _cpu(),
        "cores": cores(),
    }


def cores() -> int:
    """Processors that this process may use; on macOS all there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


@functools.cache
def version(package: str) -> str | None:
    """The installed version of a package; None where there is none."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _git(*arguments: str) -> str | None:
    """Output of a git command in this source tree; None outside of a repository."""
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
