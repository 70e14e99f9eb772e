"""Tidy tables with units, and the errors that a repeated measurement may differ by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from repro.runs import provenance
from repro.runs.files import write_atomically, write_json

Array = np.ndarray[Any, Any]
SEEDS = 3  # trained policies of a measurement, 0, 1, ...; fewer in tests


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        name: of its file.
        frame: one row an observation. A column `error` is one standard error of `value`.
        units: unit or meaning by column, in the order of the columns.
    """

    name: str
    frame: pd.DataFrame
    units: Mapping[str, str]

    def __post_init__(self) -> None:
        if list(self.frame) != list(self.units):
            raise ValueError(f"{self.name} has {list(self.frame)}, units {list(self.units)}")


def write(tables: Sequence[Table], command: str, directory: Path) -> list[Path]:
    """Write each table as CSV, and beside all of a command a JSON with its units and its origin."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for table in tables:
        paths.append(directory / f"{table.name}.csv")
        _write(paths[-1], table.frame)
    machine = provenance.machine()
    about = {
        "command": f"python -m repro.explain {command}",
        "units": {table.name: dict(table.units) for table in tables},
        "cpu": machine["cpu"],
        "versions": machine["versions"],
    }
    write_json(directory / f"{command}.json", about)
    return paths


def _write(path: Path, frame: pd.DataFrame) -> None:
    text = frame.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    write_atomically(path, lambda file: file.write(text.encode()))


def mean_and_error(values: pd.DataFrame, keys: Sequence[str], by: str = "seed") -> pd.DataFrame:
    """Mean of `value` over `by`, and its standard error from the spread, one row a `keys`."""
    grouped = values.groupby(list(keys), sort=False)["value"]
    table = grouped.agg(value="mean", std="std", seeds="count").reset_index()
    table["error"] = table["std"] / np.sqrt(table["seeds"])
    return table.drop(columns="std")[[*keys, "value", "error", "seeds"]]
