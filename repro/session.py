"""One pack from configurations to run directories: trains, writes, logs, and loses nothing."""

from __future__ import annotations

import contextlib
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from repro import locks, provenance, sinks, store
from repro.config import Config
from repro.errors import ConfigError
from repro.records import Iteration
from repro.runner import Training

SKIPPED = "SKIPPED"
LOCKED = "LOCKED"
FLUSH_SECONDS = 60.0


class Outcome(NamedTuple):
    """How a run ended: DONE, FAILED, SKIPPED (it was done) or LOCKED (another process's)."""

    run_id: str
    directory: Path
    status: str
    error: str | None


class PackProgress(NamedTuple):
    """How far a pack is; environment steps are summed over its runs."""

    steps: int
    total_steps: int
    runs: int
    failed: int


def run_pack(
    configs: Sequence[Config],
    report: Callable[[PackProgress], None] | None = None,
    patience: float = locks.PATIENCE,
) -> list[Outcome]:
    """Train the runs of one pack in this process, each into `runs_dir / run_id`.

    A run that is DONE already is skipped; one that was not finished starts again. A learner that
    stops being finite ends as FAILED while the others go on. A run whose directory another process
    still owns after `patience` seconds is left to that process.

    Raises:
        ConfigError: before anything is written.
    """
    directories = [Path(config.runs_dir) / config.run_id for config in configs]
    with locks.owning(directories, patience) as refused:
        ours = [i for i in range(len(configs)) if i not in refused]
        outcomes = dict(zip(ours, _run_owned([configs[i] for i in ours], report), strict=True))
    return [
        outcomes.get(i) or Outcome(config.run_id, directories[i], LOCKED, refused[i])
        for i, config in enumerate(configs)
    ]


def _run_owned(
    configs: Sequence[Config], report: Callable[[PackProgress], None] | None
) -> list[Outcome]:
    torch.set_num_threads(1)
    directories = [Path(config.runs_dir) / config.run_id for config in configs]
    done = [store.is_done(directory) for directory in directories]
    waiting = [i for i, skip in enumerate(done) if not skip]
    outcomes = [
        Outcome(config.run_id, directory, SKIPPED, None)
        for config, directory in zip(configs, directories, strict=True)
    ]
    if waiting:
        pack = _Pack([configs[i] for i in waiting], [directories[i] for i in waiting])
        for i, outcome in zip(waiting, pack.train(report), strict=True):
            outcomes[i] = outcome
    return outcomes


class _Pack:
    def __init__(self, configs: Sequence[Config], directories: Sequence[Path]) -> None:
        self.configs, self.directories = configs, directories
        self.training = Training(configs)
        self.started = self.flushed = time.monotonic()
        self.failed = 0
        self.open = dict(enumerate(self._writers()))
        self.sinks: list[sinks.Sink] = []
        self.outcomes: dict[int, Outcome] = {}

    def _writers(self) -> list[store.RunWriter]:
        common = provenance.machine() | {
            "device": self.training.device,
            "threads": torch.get_num_threads(),
            "pack_size": len(self.configs),
            "started_at": provenance.now(),
        }
        try:
            return [
                store.RunWriter(directory, config.as_dict(), provenance.identity(config) | common)
                for config, directory in zip(self.configs, self.directories, strict=True)
            ]
        except OSError as error:
            raise ConfigError(
                f"runs_dir={self.configs[0].runs_dir} cannot be written to ({error.strerror}): "
                "choose another."
            ) from error

    def train(self, report: Callable[[PackProgress], None] | None) -> list[Outcome]:
        try:
            for config, directory in zip(self.configs, self.directories, strict=True):
                self.sinks.append(sinks.open_sink(config, directory))
            for record in self.training:
                self._take(record)
                if report is not None:
                    report(self._progress(record))
        except BaseException as error:
            self._abandon(error)
            raise
        return [self.outcomes[p] for p in range(len(self.configs))]

    def _take(self, record: Iteration) -> None:
        share = 1 / max(1, len(record.active))
        times = {f"time_{phase}": seconds * share for phase, seconds in record.seconds.items()}
        for p in record.active:
            episodes = record.episodes[p].columns()
            row = {name: values[p] for name, values in record.metrics.items()} | times
            row |= {
                "iteration": record.number,
                "step": record.step,
                "episodes": len(episodes["return"]),
                "return_mean": _mean(episodes["return"]),
            }
            self.open[p].add(row, episodes)
            self.sinks[p].log(record.step, row)
            for name, columns in record.tables.get(p, {}).items():
                path = self.directories[p] / f"{name}.parquet"
                store.write_table(path, columns, store.TABLES[name])
        for p, error in record.failed.items():
            self._close(p, store.FAILED, error=error, failed_iteration=record.number)
        for p in record.finished:
            self._close(p, store.DONE)
        if time.monotonic() - self.flushed > FLUSH_SECONDS:
            self._flush()

    def _close(self, p: int, status: str, error: str | None = None, **info: object) -> None:
        self.open.pop(p).finish(
            status,
            self.training.state(p),
            error=error,
            finished_at=provenance.now(),
            time_wall_s=time.monotonic() - self.started,
            **info,
        )
        self.failed += status == store.FAILED
        if p < len(self.sinks):  # not when opening one of them is what went wrong
            self.sinks[p].close(status)
        self.outcomes[p] = Outcome(self.configs[p].run_id, self.directories[p], status, error)

    def _flush(self) -> None:
        for writer in self.open.values():
            writer.flush()
        self.flushed = time.monotonic()

    def _abandon(self, error: BaseException) -> None:
        """An interruption or a bug: keep the rows so far, and say what happened."""
        interrupted = isinstance(error, KeyboardInterrupt | SystemExit)
        status = store.PREEMPTED if interrupted else store.FAILED
        trace = "".join(traceback.format_exception(error))
        for p in list(self.open):
            (self.directories[p] / "error.log").write_text(trace, encoding="utf-8")
            with contextlib.suppress(OSError):
                self._close(p, status, error=f"{type(error).__name__}: {error}")

    def _progress(self, record: Iteration) -> PackProgress:
        runs = len(self.configs)
        totals = [config.updates * config.batch_size for config in self.configs]
        ended = sum(totals[p] for p in range(runs) if p not in self.open)
        steps = ended + sum(min(record.step, totals[p]) for p in self.open)
        return PackProgress(steps, sum(totals), runs, self.failed)


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
