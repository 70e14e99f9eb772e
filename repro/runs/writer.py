"""Writes the directory of one run while it trains: config.yaml, run.json, tables, parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from repro.runs.files import sha256, write_atomically, write_json, write_table
from repro.runs.schema import (
    EVALUATIONS_FILE,
    PARAMETERS_FILE,
    RUNNING,
    SCHEMA_VERSION,
    SCHEMAS,
    TABLES,
)

Array = np.ndarray[Any, Any]


class Rows:
    """A growing table, kept as one array per column; rows are only appended."""

    def __init__(
        self, schema: Mapping[str, tuple[str, str]], initial: Mapping[str, Any] | None = None
    ) -> None:
        """Start with the columns of `initial`, or with no rows."""
        self._types = {name: kind for name, (kind, _) in schema.items()}
        self._arrays = {
            name: np.array([] if initial is None else initial[name], kind)
            for name, kind in self._types.items()
        }
        self._appended: dict[str, list[Any]] = {name: [] for name in self._types}

    def __len__(self) -> int:
        """Rows so far."""
        return len(next(iter(self._arrays.values()))) + len(next(iter(self._appended.values())))

    def extend(self, columns: Mapping[str, Iterable[Any]]) -> None:
        """Append rows; None becomes NaN."""
        for name, values in self._appended.items():
            values.extend(columns[name])

    def columns(self, rows: int | None = None) -> dict[str, Array]:
        """The first `rows` rows, all by default, as one array per column."""
        for name, kind in self._types.items():
            if self._appended[name]:
                new = np.array(self._appended[name], kind)
                self._arrays[name] = np.append(self._arrays[name], new)
                self._appended[name] = []
        return {name: column[:rows] for name, column in self._arrays.items()}


class RunWriter:
    """Writes one run's directory. Rows stay in memory until the next `flush`."""

    def __init__(
        self,
        directory: Path,
        config: Mapping[str, Any],
        info: Mapping[str, Any],
        tables: Mapping[str, Mapping[str, Any]] | None = None,
        schemas: Mapping[str, Mapping[str, tuple[str, str]]] = SCHEMAS["control"],
    ) -> None:
        """Start the run's files. Results of an earlier attempt in `directory` are overwritten.

        Args:
            directory: `runs_dir / run_id`.
            config: nested plain dictionaries, written as config.yaml.
            info: the fields of run.json that are known at the start.
            tables: rows from a checkpoint, by table and column. Rows on disk that are newer than
                the checkpoint are dropped.
            schemas: columns by table.
        """
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        for temporary in directory.glob("*.tmp-????????"):  # of a process killed while it wrote
            temporary.unlink()
        text = yaml.safe_dump(dict(config), sort_keys=False)
        write_atomically(directory / "config.yaml", lambda file: file.write(text.encode()))
        self._info = {"schema": SCHEMA_VERSION, **info, "status": RUNNING}
        write_json(directory / "run.json", self._info)
        # Now that no reader takes them for results.
        files = [f"{name}.parquet" for name in (*schemas, *TABLES)]
        for name in (*files, PARAMETERS_FILE, EVALUATIONS_FILE):
            (directory / name).unlink(missing_ok=True)
        tables = tables or {}
        self._schemas = schemas
        self._rows = {name: Rows(schema, tables.get(name)) for name, schema in schemas.items()}
        if tables:
            self.flush()

    def add(self, rows: Mapping[str, Mapping[str, Iterable[Any]]]) -> None:
        """Append rows: by table, a sequence for each of its columns."""
        for name, columns in rows.items():
            self._rows[name].extend(columns)

    def counts(self) -> dict[str, int]:
        """Rows so far, by table."""
        return {name: len(rows) for name, rows in self._rows.items()}

    def tables(self, counts: Mapping[str, int]) -> dict[str, dict[str, Array]]:
        """The first `counts[table]` rows of each table, by table and column."""
        return {name: rows.columns(counts[name]) for name, rows in self._rows.items()}

    def flush(self) -> None:
        """Write the rows so far to disk."""
        for name, rows in self._rows.items():
            write_table(self.directory / f"{name}.parquet", rows.columns(), self._schemas[name])

    def finish(
        self, status: str, parameters: Mapping[str, Array] | None = None, **info: Any
    ) -> None:
        """Write tables and parameters, then their sums and the status.

        A run marked DONE has all its files.
        """
        self.flush()
        names = (*self._schemas, *TABLES)
        paths = {name: self.directory / f"{name}.parquet" for name in names}
        self._info["tables_sha256"] = {
            name: sha256(path.read_bytes()) for name, path in paths.items() if path.is_file()
        }
        if parameters is not None:
            path = self.directory / PARAMETERS_FILE
            write_atomically(
                path, lambda file: np.savez(file, allow_pickle=False, **dict(parameters))
            )
            self._info["parameters_sha256"] = sha256(path.read_bytes())
        self._info |= {**info, "status": status}
        write_json(self.directory / "run.json", self._info)
