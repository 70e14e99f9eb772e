"""Reference files: read, or refused with a sentence that names the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pandas as pd

from analysis.errors import reading

T = TypeVar("T")


def read_csv(path: Path, *columns: str) -> pd.DataFrame:
    """These columns of a table; an AnalysisError if the file is missing, damaged or lacks one."""

    def table(path: Path) -> pd.DataFrame:
        whole = pd.read_csv(path)
        if lacking := [column for column in columns if column not in whole]:
            raise ValueError(f"it lacks the column {lacking[0]}")
        return whole[list(columns)]

    return read(path, table)


def read(path: Path, how: Callable[[Path], T]) -> T:
    """What `how` makes of a file; an AnalysisError if the file is missing or damaged."""
    with reading(path, "restore it, or change --reference"):
        return how(path)
