"""Runs of language models: from their directories, or from the tables that `--collect` made."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.runs.collected import Collected, is_collected
from repro.runs import store


@dataclass(frozen=True)
class Stored:
    """A run that was expected or found.

    Attributes:
        info: its `run.json`; of a run never started, its entry in `sweep.json`.
        listed: whether a `sweep.json` expected it.
        table: name -> its table.
    """

    info: dict[str, Any]
    listed: bool
    table: Callable[[str], pd.DataFrame]

    @property
    def done(self) -> bool:
        """Whether it ended well."""
        return self.info.get("status") == store.DONE


def read(directories: Sequence[Path]) -> list[Stored]:
    """Every run that is there or was expected; ValueError for a damaged file.

    Of a run that is in several directories, such as a base model, the first that is done.
    """
    found: dict[str, Stored] = {}
    for run in (run for place in directories for run in _read(place)):
        known = found.setdefault(run.info["run_id"], run)
        if run.done and not known.done:
            found[run.info["run_id"]] = run
    return list(found.values())


def _read(place: Path) -> Iterator[Stored]:
    if is_collected(place):
        tables = Collected(place)
        for number, line in enumerate(tables.table("runs").to_dict("records")):
            table = partial(_rows, tables, number)
            yield Stored(json.loads(line["run_json"]), bool(line["listed"]), table)
        return
    expected = {run["run_id"]: run for run in store.read_sweep(place)}
    for path in store.run_directories(place):
        info = store.read_run(path)
        listed = expected.pop(info["run_id"], None) is not None
        yield Stored(info, listed, partial(store.read_run_table, path))
    for run in expected.values():
        info = {key: value for key, value in run.items() if key != "config"}
        yield Stored(info, True, partial(store.read_run_table, place / run["run_id"]))


def _rows(tables: Collected, number: int, name: str) -> pd.DataFrame:
    return tables.rows(name, number).drop(columns="run").reset_index(drop=True)
