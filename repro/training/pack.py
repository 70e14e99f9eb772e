"""One pack from configurations to run directories: trains, writes, logs, and loses nothing."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

import torch

from repro.algorithms.iteration import Iteration
from repro.config.schema import Config
from repro.console import say
from repro.errors import ConfigError, StorageError, TaskError
from repro.runs import checkpoint, locks, provenance, store
from repro.training import failures, resume, stalls
from repro.training import loggers as sinks
from repro.training.loop import Training, resolve_device
from repro.training.outcome import CORRUPT, LOCKED, SKIPPED, Outcome, PackProgress, Report
from repro.training.profile import Profile
from repro.training.saving import Saver
from repro.training.signals import Deferral

ENDED = (store.DONE, store.FAILED)
FLUSH_SECONDS = 60.0


def run_pack(
    configs: Sequence[Config], report: Report | None = None, patience: float = locks.PATIENCE
) -> list[Outcome]:
    """Train the runs of one pack in this process, each into `runs_dir / run_id`.

    A run that is DONE already is skipped; one that was not finished goes on from its newest
    checkpoint. A learner that stops being finite, or whose task raises, ends as FAILED while the
    others go on. A run whose
    directory another process still owns after `patience` seconds is left to that process. A signal
    to leave saves all runs, marks them PREEMPTED and is raised.

    Raises:
        ConfigError: before anything is written.
        StorageError: the results cannot be written.
        PreemptedError: SIGTERM, SIGINT or SIGHUP.
    """
    directories = [config.directory for config in configs]
    with locks.owning(directories, patience) as refused:
        ours = [i for i in range(len(configs)) if i not in refused]
        outcomes = dict(zip(ours, _run_owned([configs[i] for i in ours], report), strict=True))
    return [
        outcomes.get(i) or Outcome(config.run_id, directories[i], LOCKED, refused[i])
        for i, config in enumerate(configs)
    ]


def _run_owned(configs: Sequence[Config], report: Report | None) -> list[Outcome]:
    torch.set_num_threads(1)
    directories = [config.directory for config in configs]
    waiting = [i for i, directory in enumerate(directories) if not store.is_done(directory)]
    outcomes = [
        Outcome(config.run_id, directory, SKIPPED, None)
        for config, directory in zip(configs, directories, strict=True)
    ]
    with Deferral() as signals:
        while waiting:
            chosen = [configs[i] for i in waiting]
            starts, damaged = _starts(chosen, [directories[i] for i in waiting])
            for i, error in damaged.items():
                outcomes[waiting[i]] = outcomes[waiting[i]]._replace(status=CORRUPT, error=error)
            left = []
            for start in starts:
                members = [waiting[i] for i in start.members]
                so_far = _behind(report, outcomes, configs)
                ended = _train([configs[i] for i in members], start, signals, so_far)
                for position, i in enumerate(members):
                    if position in ended:
                        outcomes[i] = ended[position]
                    else:
                        left.append(i)
            waiting = left
            configs = [_once(config) for config in configs]
    return outcomes


def _once(config: Config) -> Config:
    """For the second time that a run is begun: `resume=never` has been done."""
    return dataclasses.replace(config, resume="exact") if config.resume == "never" else config


def _train(
    configs: Sequence[Config], start: resume.Start, signals: Deferral, report: Report | None
) -> dict[int, Outcome]:
    """Train runs that are at one iteration.

    Returns:
        How they ended, by position; without those that are to be taken up again, since a task of
        another one has raised.
    """
    places = [config.directory for config in configs]
    with stalls.Watch(configs, places) as watch:
        try:
            pack = _Pack(configs, places, start, signals)
        except TaskError as error:
            culprit = configs[error.index]
            text = f"{culprit.run_id} failed before its first step: {error}"
            failures.mark(culprit, store.FAILED, text)
            failures.explain(culprit, text, start.iteration, error)
            ended = Outcome(culprit.run_id, places[error.index], store.FAILED, text)
            return {error.index: ended}
        watch.training = pack.training
        return pack.train(report)


def _behind(
    report: Report | None, outcomes: Sequence[Outcome], configs: Sequence[Config]
) -> Report | None:
    """A report that also counts the runs that have ended in another group of the pack."""
    if report is None:
        return None
    ended = [o.status for o in outcomes]
    totals = [config.updates * config.batch_size for config in configs]
    steps = sum(t for t, status in zip(totals, ended, strict=True) if status in ENDED)
    return lambda now: report(
        PackProgress(
            now.steps + steps,
            now.total_steps + steps,
            now.runs + sum(status in ENDED for status in ended),
            now.failed + ended.count(store.FAILED),
        )
    )


def _starts(
    configs: Sequence[Config], directories: Sequence[Path]
) -> tuple[list[resume.Start], dict[int, str]]:
    if not configs:
        return [], {}
    device = str(resolve_device(configs[0].device))
    starts, damaged = resume.plan(configs, directories, device, lambda text: say(text, sys.stderr))
    for start in starts:
        if start.checkpoints:
            runs = "1 run goes" if len(start.members) == 1 else f"{len(start.members)} runs go"
            say(f"{runs} on from iteration {start.checkpoints[0].iteration}")
    return starts, damaged


class _Pack:
    def __init__(
        self,
        configs: Sequence[Config],
        directories: Sequence[Path],
        start: resume.Start,
        signals: Deferral,
    ) -> None:
        self.configs, self.directories, self.signals = configs, directories, signals
        with signals.interrupting():  # it may have to compile something; nothing is written yet
            self.training = Training(configs)
        self.saver = Saver(configs, directories, self.training, start)
        self.flushed = time.monotonic()
        self.failed = 0
        self.open = dict(enumerate(self._writers(start)))
        self.number = start.iteration
        self.first = self.step = start.iteration * configs[0].batch_size
        self.sinks: list[sinks.Sink] = []
        self.outcomes: dict[int, Outcome] = {}
        self.profile = Profile()

    def _writers(self, start: resume.Start) -> list[store.RunWriter]:
        common = provenance.machine() | {
            "device": self.training.device,
            "engine": self.training.engine,
            "threads": torch.get_num_threads(),
            "pack_size": len(self.configs),
            "resumable": self.saver.resumable,
        }
        tables = dict(enumerate(saved.tables for saved in start.checkpoints))
        try:
            return [
                store.RunWriter(
                    self.directories[p],
                    config.as_dict(),
                    provenance.identity(config) | common | self.saver.history(p),
                    tables.get(p),
                )
                for p, config in enumerate(self.configs)
            ]
        except OSError as error:
            raise ConfigError(
                f"runs_dir={self.configs[0].runs_dir} cannot be written to ({error.strerror}): "
                "choose another."
            ) from error

    def train(self, report: Report | None) -> dict[int, Outcome]:
        """Until all have ended, or the task of one has raised: then the others are not in it."""
        self.saver.announce()
        try:
            for config, directory in zip(self.configs, self.directories, strict=True):
                self.sinks.append(sinks.open_sink(config, directory, self.step))
            for record in self.signals.interruptible(self.training):
                self._take(record)
                if report is not None:
                    report(self._progress(record))
                self.signals.check()
        except TaskError as error:
            self._leave_out(error)
            return self.outcomes
        except BaseException as error:
            self._abandon(error)
            raise
        if self.configs[0].profile:
            steps = (self.step - self.first) * len(self.configs)
            say(self.profile.text(len(self.configs), max(1, steps)))
        return self.outcomes

    def _take(self, record: Iteration) -> None:
        self.profile.add(record.seconds)
        self.number, self.step = record.number, record.step
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
        for p, remark in record.remarks.items():
            say(f"{self.configs[p].run_id}: {remark}.", sys.stderr)
        for p, error in record.failed.items():
            self._explain(p, error)
            self._close(p, store.FAILED, error=error, failed_iteration=record.number)
        for p in record.finished:
            self._close(p, store.DONE)
        for p, writer in self.open.items():
            self.saver.remember(p, record.number, writer.counts())
        if self.saver.due():
            self.saver.save(self.open)
        if time.monotonic() - self.flushed > FLUSH_SECONDS:
            self._flush()

    def _close(self, p: int, status: str, error: str | None = None, **info: object) -> None:
        """End a run: DONE, or FAILED because its numbers did, or left by `_abandon`."""
        ended = status == store.DONE or "failed_iteration" in info
        parameters = self.training.state(p) if ended else None
        # Of what has no checkpoints, the parameters are all there is to compare.
        state = self.training.checkpoint(p) or parameters if status == store.DONE else None
        try:
            self.open[p].finish(
                status,
                parameters,
                error=error,
                finished_at=provenance.now(),
                digest=None if state is None else checkpoint.digest(state),
                **self.saver.history(p),
                **info,
            )
        except OSError as failure:
            raise StorageError(
                f"{self.directories[p]} cannot be written to ({failure}): make room and give the "
                "same command again; it goes on from the last checkpoint."
            ) from failure
        self.open.pop(p)
        self.saver.forget(p)
        if status == store.DONE:
            checkpoint.clear(self.directories[p])
        self.failed += status == store.FAILED
        if p < len(self.sinks):  # not when opening one of them is what went wrong
            self.sinks[p].close(status)
        self.outcomes[p] = Outcome(self.configs[p].run_id, self.directories[p], status, error)

    def _flush(self) -> None:
        """Let the tables be read while the run goes on; what resumes reads checkpoints."""
        try:
            for writer in self.open.values():
                writer.flush()
        except OSError as error:
            say(f"The tables cannot be written for now ({error}).", sys.stderr)
        self.flushed = time.monotonic()

    def _explain(self, p: int, text: str, error: BaseException | None = None) -> None:
        """Keep what it takes to see a failure again: the state before it, and a word on it."""
        saved = self.saver.save_one(p, self.open[p])
        failures.explain(self.configs[p], text, saved, error)

    def _leave_out(self, error: TaskError) -> None:
        """A task has raised: its run has failed, the others are saved to go on without it."""
        self.saver.save(self.open)
        culprit = self.configs[error.index].run_id
        text = f"{culprit} failed in iteration {self.number + 1}: {error}"
        self._explain(error.index, text, error)
        self._close(error.index, store.FAILED, error=text)
        for p in list(self.open):
            self._close(p, store.PREEMPTED, error=f"it goes on without {culprit}")
            del self.outcomes[p]

    def _abandon(self, error: BaseException) -> None:
        """An interruption or a bug: save all runs as they last were, and say what happened."""
        left = isinstance(error, KeyboardInterrupt | SystemExit | StorageError)
        self.saver.save(self.open)
        trace = "".join(traceback.format_exception(error))
        for p in list(self.open):
            with contextlib.suppress(OSError):
                if not left:
                    (self.directories[p] / "error.log").write_text(trace, encoding="utf-8")
                name = type(error).__name__
                self._close(p, store.PREEMPTED if left else store.FAILED, error=f"{name}: {error}")

    def _progress(self, record: Iteration) -> PackProgress:
        runs = len(self.configs)
        totals = [config.updates * config.batch_size for config in self.configs]
        ended = sum(totals[p] for p in range(runs) if p not in self.open)
        steps = ended + sum(min(record.step, totals[p]) for p in self.open)
        return PackProgress(steps, sum(totals), runs, self.failed)


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
