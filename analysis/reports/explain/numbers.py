"""The tables of `python -m repro.explain`, with the units beside them."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from analysis.cli import option
from analysis.errors import AnalysisError, reading
from analysis.settings import DEFAULTS

DEFAULT = DEFAULTS.reference.parent / "explain"
TABLES = option(
    "--tables",
    "the tables of python -m repro.explain (default: results/explain)",
    type=Path,
    default=DEFAULT,
    metavar="DIR",
)


def read(directory: Path, name: str) -> pd.DataFrame:
    """One table.

    Raises:
        AnalysisError: it is not there, or is no table.
    """
    path = directory / f"{name}.csv"
    command = f"python -m repro.explain {name.split('_')[0]} --out {directory}"
    with reading(path, f"make it with {command}"):
        return pd.read_csv(path)


def units(directory: Path, name: str) -> dict[str, str]:
    """Unit or meaning by column of a table.

    Raises:
        AnalysisError: they are not there.
    """
    for path in sorted(directory.glob("*.json")):
        found = json.loads(path.read_text(encoding="utf-8")).get("units", {})
        if name in found:
            return {str(column): str(unit) for column, unit in found[name].items()}
    raise AnalysisError(f"{directory} says nothing of the units of {name}: make its table again.")


def clip_term(directory: Path, objective: str, epsilon: float) -> pd.DataFrame:
    """`advantage, ratio, term, gradient` of an objective at one clip range.

    Raises:
        AnalysisError: for a range that is not tabulated.
    """
    table = read(directory, "clip_term")
    table = table[table["objective"] == objective]
    found = table[(table["epsilon"] - epsilon).abs() < 1e-9]
    if found.empty:
        there = ", ".join(f"{x:g}" for x in sorted(table["epsilon"].dropna().unique()))
        raise AnalysisError(f"epsilon {epsilon:g} is not tabulated: choose one of {there}.")
    return found.reset_index(drop=True)
