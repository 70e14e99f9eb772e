"""Waiting for what other processes do."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from typing import Any


def wait_for(
    condition: Callable[[], Any],
    process: subprocess.Popen[str] | None = None,
    seconds: float = 300,
) -> None:
    """Return once the condition holds; fail when time is up, or if the process ends before."""
    end = time.monotonic() + seconds
    while not condition():
        assert process is None or process.poll() is None, "the process has ended"
        assert time.monotonic() < end, f"nothing happened in {seconds:g} s"
        time.sleep(0.02)
