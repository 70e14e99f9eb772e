"""Restores the checkpoints of a group's runs, and decides when new ones are saved."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from repro.config.run import RunConfig
from repro.config.schema import Config
from repro.console import say
from repro.errors import ConfigError, NumericalError
from repro.runs import checkpoint, provenance
from repro.runs.checkpoint import Checkpoint
from repro.runs.writer import RunWriter
from repro.training import resume
from repro.training.loop import Training

EXACT, APPROXIMATE, NEVER = "exact", "approximate", "never"


class _Snapshot(NamedTuple):
    """A copy of a run's state at the end of an iteration."""

    iteration: int
    state: dict[str, Any]
    rows: Mapping[str, int]


class Saver:
    """The checkpoints of P runs.

    Attributes:
        resumable: EXACT, APPROXIMATE (the simulators' state cannot be saved, or the device's
            arithmetic is not deterministic) or NEVER.
    """

    def __init__(
        self,
        configs: Sequence[RunConfig],
        training: Training,
        start: resume.Start,
    ) -> None:
        """Restore the learners from their checkpoints.

        Raises:
            ConfigError: engine or simulator differ from the checkpoint's.
            CorruptError: a checkpoint does not fit.
        """
        self._configs, self._training = configs, training
        self._fingerprints = [
            resume.fingerprint(config, str(training.device), training.engine) for config in configs
        ]
        self._histories = [self._start(p, start) for p in range(len(configs))]
        self._snapshots: dict[int, _Snapshot] = {}
        self._saved = {p: saved.iteration for p, saved in enumerate(start.checkpoints)}
        self._started = self._last_save = time.monotonic()
        self._save_seconds = 0.0  # of the last save
        self.resumable = self._resumable()

    def _start(self, p: int, start: resume.Start) -> dict[str, Any]:
        """Restore a learner, and return the run's history with this attempt in it."""
        cpu = provenance.machine()["cpu"]
        if not start.checkpoints:
            return {"started_at": provenance.now(), "time_wall_s": 0.0, "cpu": cpu, "resumed": []}
        saved = start.checkpoints[p]
        then, now = (
            {"engine": each["engine"]} for each in (saved.fingerprint, self._fingerprints[p])
        )
        changes = start.changes[p] | resume.checked_changes(self._configs[p], then, now)
        exact = self._restore(p, saved) and not changes
        before = saved.history["cpu"]
        if before != cpu:
            text = f"started on {before} and continues on {cpu}: its last bits may differ"
            say(f"{self._configs[p].run_id} {text}.", sys.stderr)
        entry = {
            "iteration": saved.iteration,
            "at": provenance.now(),
            "exact": exact,
            "changed": {name: list(pair) for name, pair in changes.items()},
            "cpu": [before, cpu],
        }
        return {**saved.history, "cpu": cpu, "resumed": [*saved.history["resumed"], entry]}

    def _restore(self, p: int, saved: Checkpoint) -> bool:
        """Restore a learner; False if it continues with new episodes."""
        try:
            self._training.restore(p, saved.state)
        except ConfigError:
            if self._configs[p].resume != "approximate":
                raise
            self._training.restore(p, resume.without_envs(saved.state))
            return False
        return resume.holds_envs(saved.state) and self._training.deterministic

    def _resumable(self) -> str:
        state = self._training.checkpoint(0)
        if state is None:
            return NEVER
        exact = resume.holds_envs(state) and self._training.deterministic
        return EXACT if exact else APPROXIMATE

    def announce(self) -> None:
        """Tell the user what the algorithm needs, and if runs could not continue exactly."""
        config = self._configs[0]
        if not isinstance(config, Config):
            return  # all of its state is saved
        if self._training.notice:
            say(self._training.notice)
        if not self._training.deterministic:
            say(
                f"device={self._training.device}: discrete actions are drawn by operations that "
                "torch does not call deterministic there, so that an interrupted run may continue "
                "with other bits, and run.json marks it as approximate."
            )
        elif self.resumable == APPROXIMATE:
            say(
                f"{config.env.id} has no way to save its state: an interrupted run continues with "
                "new episodes, and run.json marks it as approximate."
            )
        if self.resumable == NEVER:
            say(
                f"algorithm={config.algorithm.name} has no checkpoints: an interrupted run starts "
                "again from the beginning."
            )

    def history(self, p: int) -> dict[str, Any]:
        """What run.json says of a run's attempts, this one included."""
        history = self._histories[p]
        wall = history["time_wall_s"] + time.monotonic() - self._started
        approximate = not all(entry["exact"] for entry in history["resumed"])
        return {**history, "time_wall_s": wall, "approximate": approximate}

    def remember(self, p: int, iteration: int, rows: Mapping[str, int]) -> None:
        """Take a snapshot of a learner at the end of an iteration.

        Args:
            p: the learner.
            iteration: from 1.
            rows: number of rows of each of its tables.
        """
        state = self._training.checkpoint(p)
        if state is not None:
            self._snapshots[p] = _Snapshot(iteration, state, rows)

    def forget(self, p: int) -> None:
        """Drop the snapshot of a learner that has ended."""
        self._snapshots.pop(p, None)

    def due(self) -> bool:
        """Whether to save now: saving takes at most `checkpoint.max_share` of the time."""
        settings = self._configs[0].checkpoint
        pause = max(settings.every_seconds, self._save_seconds * (1 / settings.max_share - 1))
        return bool(self._snapshots) and time.monotonic() - self._last_save >= pause

    def save(self, writers: Mapping[int, RunWriter]) -> None:
        """Save the snapshots of all learners.

        A failure is reported and retried at the next save; the previous checkpoint stays intact.
        """
        begin = time.monotonic()
        for p, snapshot in self._snapshots.items():
            if isinstance(self._try_save(p, snapshot, writers[p]), OSError):
                break  # the other runs are on the same disk
        self._last_save = time.monotonic()
        self._save_seconds = self._last_save - begin

    def save_one(self, p: int, writer: RunWriter) -> int | None:
        """Save the snapshot of a learner that failed; the iteration it can resume from, if any."""
        if p in self._snapshots:
            self._try_save(p, self._snapshots[p], writer)
        return self._saved.get(p)

    def _try_save(self, p: int, snapshot: _Snapshot, writer: RunWriter) -> Exception | None:
        """Save a snapshot; report and return the error if that fails."""
        if self._saved.get(p) == snapshot.iteration:
            return None
        try:
            self._save(p, snapshot, writer)
        except (OSError, NumericalError) as error:
            before = self._saved.get(p)
            kept = f"the one of iteration {before} stays" if before else "there is none yet"
            say(
                f"{self._configs[p].run_id}: the checkpoint of iteration {snapshot.iteration} "
                f"could not be saved ({error}); {kept}.",
                sys.stderr,
            )
            return error
        self._saved[p] = snapshot.iteration
        return None

    def _save(self, p: int, snapshot: _Snapshot, writer: RunWriter) -> None:
        checkpoint.save(
            self._configs[p].directory,
            Checkpoint(
                snapshot.iteration,
                self._fingerprints[p],
                snapshot.state,
                writer.tables(snapshot.rows),
                self.history(p),
            ),
            self._configs[p].checkpoint.keep,
        )
