"""Runs of a pack that start at one iteration, trained in lockstep until each has ended."""

from __future__ import annotations

import contextlib
import importlib
import sys
import traceback
from collections import deque
from collections.abc import Sequence
from statistics import fmean

import torch

from repro.algorithms.iteration import Iteration
from repro.config.run import RunConfig
from repro.config.schema import Config
from repro.console import say
from repro.engines import cuda
from repro.errors import StorageError, TaskError
from repro.runs import checkpoint, provenance
from repro.runs.schema import DONE, FAILED, LAST_EPISODES, PREEMPTED
from repro.training import failures, resume
from repro.training.loop import Training
from repro.training.outcome import PAUSED, Outcome, PackProgress, Report
from repro.training.profile import Profile
from repro.training.results import Results
from repro.training.saving import Saver
from repro.training.signals import Deferral

ENDLESS = 50_000  # steps of each environment, after which an episode should have ended


class Group:
    """P learners, their results and their checkpoints."""

    def __init__(
        self, configs: Sequence[RunConfig], start: resume.Start, signals: Deferral
    ) -> None:
        """Make the learners, restore their checkpoints, and start their run directories.

        Args:
            configs: [P].
            start: where they start.
            signals: held back except while an iteration is computed.

        Raises:
            ConfigError: something is not available here, or has changed since the checkpoint.
            CorruptError: a checkpoint does not fit.
            TaskError: a task raised when it was made or reset.
        """
        self.configs, self._signals = configs, signals
        with signals.interrupting():  # kernels may have to be compiled; nothing is written yet
            self.training: Training = importlib.import_module(configs[0].trainer).Training(configs)
        self.saver = Saver(configs, self.training, start)
        common = provenance.machine() | {
            "device": str(self.training.device),
            "engine": self.training.engine,
            "threads": torch.get_num_threads(),
            "pack_size": len(configs),
            **cuda.accelerator(torch.device(self.training.device)),
            "resumable": self.saver.resumable,
        }
        infos = [
            config.identity() | common | self.saver.history(p) for p, config in enumerate(configs)
        ]
        self.results = Results(configs, infos, [saved.tables for saved in start.checkpoints])
        self._iteration = start.iteration
        self._first_step = self._step = start.iteration * configs[0].batch_size
        self._taken = 0
        self._recent = [  # recent returns; a resumed run has some already
            deque(saved.tables.get("episodes", {}).get("return", ()), LAST_EPISODES)
            for saved in start.checkpoints
        ] or [deque[float](maxlen=LAST_EPISODES) for _ in configs]
        self._profile = Profile()
        self._outcomes: dict[int, Outcome] = {}
        self._endless: set[int] = set()  # runs whose lack of episodes has been reported

    def train(self, report: Report | None, pause: int | None = None) -> dict[int, Outcome]:
        """Train until every run has ended or the task of one has raised.

        Args:
            report: called after each iteration.
            pause: the iteration after which runs are saved and left, as by a signal.

        Returns:
            Outcomes by learner. After a task has raised, the runs that must start again have none.
        """
        self.saver.announce()
        try:
            self.results.open_loggers(self._step)
            for record in self._signals.interruptible(self.training):
                self._keep(record)
                if report is not None:
                    report(self._progress(record))
                self._signals.check()
                if pause is not None and record.number >= pause:
                    self._pause()
                    break
        except TaskError as error:
            self._task_failed(error)
            return self._outcomes
        except BaseException as error:
            self._stop(error)
            raise
        if self.configs[0].profile:
            steps = (self._step - self._first_step) * len(self.configs)
            say(self._profile.text(len(self.configs), max(1, steps)))
        return self._outcomes

    def _report_endless(self, record: Iteration) -> None:
        """Say once that no episode has ended: after a while, or at the end of a run."""
        first = self.configs[0]
        if not isinstance(first, Config):
            return
        long = record.step >= ENDLESS * first.env.num_envs
        found = [
            p
            for p, writer in self.results.writers.items()
            if p not in self._endless
            and (long or p in record.finished)
            and not writer.counts()["episodes"]
        ]
        self._endless |= set(found)
        if found:
            others = f" and {len(found) - 1} more" if len(found) > 1 else ""
            run = self.configs[found[0]].run_id
            say(f"{run}{others}: no episode has ended in {record.step:,} steps.", sys.stderr)

    def _keep(self, record: Iteration) -> None:
        """Write, log and save what an iteration left."""
        self._profile.add(record.seconds)
        self._iteration, self._step = record.number, record.step
        self.results.add(record)
        self._taken += self.configs[0].batch_size * len(record.active)
        for p in record.active:
            self._recent[p].extend(record.rows(p).get("episodes", {}).get("return", ()))
        self._report_endless(record)
        for p, remark in record.remarks.items():
            say(f"{self.configs[p].run_id}: {remark}.", sys.stderr)
        for p, error in record.failed.items():
            self._explain(p, error)
            self._end(p, FAILED, error, failed_iteration=record.number)
        for p in record.finished:
            self._end(p, DONE)
        for p, writer in self.results.writers.items():
            self.saver.remember(p, record.number, writer.counts())
        if self.saver.due():
            self.saver.save(self.results.writers)
        self.results.flush_when_due()

    def _end(self, p: int, status: str, error: str | None = None, **info: object) -> None:
        """End a run: write its files, delete the checkpoints if it is DONE, close its logger.

        Parameters are kept of runs that are DONE or whose values stopped being finite.
        """
        keep = status == DONE or "failed_iteration" in info
        parameters = self.training.state(p) if keep else None
        # Runs without checkpoints can only be compared by their parameters.
        state = self.training.checkpoint(p) or parameters if status == DONE else None
        self.results.finish(
            p,
            status,
            parameters,
            error=error,
            finished_at=provenance.now(),
            digest=None if state is None else checkpoint.digest(state),
            **self.saver.history(p),
            **info,
        )
        self.saver.forget(p)
        config = self.configs[p]
        if status == DONE:
            checkpoint.clear(config.directory)
        self._outcomes[p] = Outcome(config.run_id, config.directory, status, error)
        self.results.close_logger(p, status)

    def _explain(self, p: int, text: str, error: BaseException | None = None) -> None:
        """Save the state before a failure, and write error.log."""
        saved = self.saver.save_one(p, self.results.writers[p])
        failures.write_log(self.configs[p], text, saved, error)

    def _task_failed(self, error: TaskError) -> None:
        """Mark the run whose task raised as FAILED, and save the others, to start without it."""
        self.saver.save(self.results.writers)
        failed = self.configs[error.index].run_id
        text = f"{failed} failed in iteration {self._iteration + 1}: {error}"
        self._explain(error.index, text, error)
        self._end(error.index, FAILED, text)
        for p in list(self.results.writers):
            self._end(p, PREEMPTED, f"it starts again without {failed}")
            del self._outcomes[p]

    def _pause(self) -> None:
        self.saver.save(self.results.writers)
        for p in list(self.results.writers):
            self._end(p, PREEMPTED, f"paused after iteration {self._iteration}")
            self._outcomes[p] = self._outcomes[p]._replace(status=PAUSED)

    def _stop(self, error: BaseException) -> None:
        """Save all runs, and mark them PREEMPTED after a signal or a full disk, else FAILED."""
        preempted = isinstance(error, KeyboardInterrupt | SystemExit | StorageError)
        self.saver.save(self.results.writers)
        for p in list(self.results.writers):
            with contextlib.suppress(OSError):
                if not preempted:
                    log = self.configs[p].directory / failures.LOG
                    log.write_text("".join(traceback.format_exception(error)), encoding="utf-8")
                self._end(p, PREEMPTED if preempted else FAILED, f"{type(error).__name__}: {error}")

    def _progress(self, record: Iteration) -> PackProgress:
        runs = len(self.configs)
        totals = [config.updates * config.batch_size for config in self.configs]
        running = self.results.writers
        ended = sum(totals[p] for p in range(runs) if p not in running)
        steps = ended + sum(min(record.step, totals[p]) for p in running)
        failed = sum(outcome.status == FAILED for outcome in self._outcomes.values())
        means = [fmean(recent) for recent in self._recent if recent]
        returns = fmean(means) if means else None
        return PackProgress(steps, sum(totals), runs, failed, self._taken, returns)
