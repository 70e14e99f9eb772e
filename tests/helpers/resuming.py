"""Runs that are interrupted in this process, and the same run without an interruption."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from repro.config.schema import Config
from repro.errors import PreemptedError
from repro.training.outcome import PackProgress
from repro.training.pack import run_pack
from tests.helpers.tiny import result, tiny


def interrupt(configs: Sequence[Config], iterations: int) -> None:
    """Train a pack, and interrupt it after so many iterations."""
    seen = []

    def report(progress: PackProgress) -> None:
        seen.append(progress)
        if len(seen) == iterations:
            raise PreemptedError("SIGTERM")

    with pytest.raises(PreemptedError):
        run_pack(configs, report)


def uninterrupted(tmp_path: Path, line: str) -> dict[str, Any]:
    """The result of a run that trains alone from its beginning to its end."""
    (outcome,) = run_pack([tiny(tmp_path / "uninterrupted", line)])
    return result(outcome.directory)
