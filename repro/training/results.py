"""What the runs of a group leave: rows of their tables, files at their end, and logged metrics."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from repro.algorithms.iteration import Iteration
from repro.config.run import RunConfig
from repro.console import say
from repro.engines.blocks import later
from repro.errors import ConfigError, StorageError
from repro.runs.files import write_table
from repro.runs.schema import SCHEMAS, TABLES
from repro.runs.writer import RunWriter
from repro.training.loggers import Logger, open_logger

FLUSH_SECONDS = 10.0  # at least, between two writes of the tables
FLUSH_SHARE = 0.005  # at most, of the wall time that goes into writing them


class Results:
    """The run directories and loggers of P runs.

    Attributes:
        writers: by learner, of the runs that have not ended.
    """

    def __init__(
        self,
        configs: Sequence[RunConfig],
        infos: Sequence[Mapping[str, Any]],
        tables: Sequence[Mapping[str, Mapping[str, Any]]],
    ) -> None:
        """Start the files of every run.

        Args:
            configs: [P].
            infos: [P] fields of run.json that are known at the start.
            tables: [P] rows from checkpoints; empty where the runs start from the beginning.

        Raises:
            ConfigError: a directory cannot be written to.
        """
        self._configs = configs
        self._loggers: list[Logger] = []
        self._flushed, self._pause = time.monotonic(), FLUSH_SECONDS
        rows = dict(enumerate(tables))
        try:
            self.writers = {
                p: RunWriter(
                    config.directory,
                    config.as_dict(),
                    infos[p],
                    rows.get(p),
                    SCHEMAS[config.kind],
                )
                for p, config in enumerate(configs)
            }
        except OSError as error:
            raise ConfigError(
                f"runs_dir={configs[0].runs_dir} cannot be written to ({error.strerror}): "
                "choose another."
            ) from error

    def open_loggers(self, step: int) -> None:
        """Open every run's logger.

        Args:
            step: environment steps of each run so far.
        """
        for p, config in enumerate(self._configs):
            tables = self.writers[p].tables(self.writers[p].counts())
            self._loggers.append(open_logger(config, config.directory, step, tables))

    def add(self, record: Iteration) -> None:
        """Add one iteration's rows to the tables, and log them."""
        share = 1 / max(1, len(record.active))
        times = {f"time_{phase}": seconds * share for phase, seconds in record.seconds.items()}
        for p in record.active:
            row = {name: later(column, p) for name, column in record.metrics.items()} | times
            row |= {"iteration": record.number, "step": record.step} | record.summary(p)
            schema = SCHEMAS[self._configs[p].kind]["progress"]
            progress = {name: [row[name]] for name in schema}
            rows = record.rows(p)
            self.writers[p].add({"progress": progress} | rows)
            self._loggers[p].log(row, rows.get("episodes", {}))
            for name, columns in record.tables.get(p, {}).items():
                path = self._configs[p].directory / f"{name}.parquet"
                write_table(path, columns, TABLES[name])

    def finish(
        self,
        p: int,
        status: str,
        parameters: Mapping[str, np.ndarray[Any, Any]] | None,
        **info: Any,
    ) -> None:
        """Write a run's last files and its status.

        Raises:
            StorageError: they cannot be written.
        """
        try:
            self.writers[p].finish(status, parameters, **info)
        except OSError as error:
            raise StorageError(
                f"{self._configs[p].directory} cannot be written to ({error}): make room and give "
                "the same command again; it continues from the last checkpoint."
            ) from error
        self.writers.pop(p)

    def close_logger(self, p: int, status: str) -> None:
        """Close a run's logger, if it was opened."""
        if p < len(self._loggers):
            self._loggers[p].close(status)

    def flush_when_due(self) -> None:
        """Write the tables once in a while, for readers; resuming needs checkpoints only."""
        begin = time.monotonic()
        if begin - self._flushed <= self._pause:
            return
        try:
            for writer in self.writers.values():
                writer.flush()
        except OSError as error:
            say(f"The tables cannot be written for now ({error}).", sys.stderr)
        self._flushed = time.monotonic()
        self._pause = max(FLUSH_SECONDS, (self._flushed - begin) / FLUSH_SHARE)
