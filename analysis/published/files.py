"""Reference files: read, or refused with a sentence that names the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from analysis.errors import AnalysisError
from repro.runs import store


def read_csv(path: Path, *columns: str) -> pd.DataFrame:
    """These columns of a table; an AnalysisError if the file is missing, damaged or lacks one."""
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    lacking = [column for column in columns if column not in table]
    if lacking:
        raise AnalysisError(
            f"{path} lacks the column {lacking[0]}: restore it, or change --reference."
        )
    return table[list(columns)]


def read_json(path: Path) -> dict[str, Any]:
    """An object; an AnalysisError for a file that is missing or damaged."""
    try:
        return store.read_json(path)
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> AnalysisError:
    """The error for a file that is not what it should be."""
    reason = error.strerror if isinstance(error, OSError) else str(error)
    return AnalysisError(f"{path} cannot be read ({reason}): restore it, or change --reference.")
