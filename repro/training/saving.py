"""Keeps the runs of a pack resumable: where they go on from, and when and what is saved."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from repro.config.schema import Config
from repro.console import say
from repro.errors import ConfigError, NumericalError
from repro.runs import checkpoint, provenance
from repro.runs.checkpoint import Checkpoint
from repro.runs.store import RunWriter
from repro.training import resume
from repro.training.loop import Training

EXACT, APPROXIMATE, NEVER = "exact", "approximate", "never"


class _Boundary(NamedTuple):
    """A run at the end of an iteration: a copy, whatever becomes of the learner."""

    iteration: int
    state: dict[str, Any]
    rows: Mapping[str, int]


class Saver:
    """The checkpoints of a pack."""

    def __init__(
        self,
        configs: Sequence[Config],
        directories: Sequence[Path],
        training: Training,
        start: resume.Start,
    ) -> None:
        """Put learners back to where their checkpoints are.

        Raises:
            ConfigError: a simulator that is not the one of the checkpoint.
            CorruptError: a checkpoint that does not fit.
        """
        self._configs, self._directories, self._training = configs, directories, training
        self._identities = [
            resume.identity(config, training.device, training.engine) for config in configs
        ]
        self.histories = [self._begin(p, start) for p in range(len(configs))]
        self._boundaries: dict[int, _Boundary] = {}
        self._saved = {p: saved.iteration for p, saved in enumerate(start.checkpoints)}
        self._began = self._last = time.monotonic()
        self._cost = 0.0  # seconds that the last save took
        self.resumable = self._resumable()

    def _begin(self, p: int, start: resume.Start) -> dict[str, Any]:
        """Restore a learner; what its run.json says of its attempts."""
        cpu = provenance.machine()["cpu"]
        if not start.checkpoints:
            return {"started_at": provenance.now(), "time_wall_s": 0.0, "cpu": cpu, "resumed": []}
        saved = start.checkpoints[p]
        engines = ({"engine": each["engine"]} for each in (saved.identity, self._identities[p]))
        changes = start.changes[p] | resume.accepted(self._configs[p], *engines)
        exact = self._restore(p, saved) and not changes
        before = saved.history["cpu"]
        if before != cpu:
            text = f"began on {before} and goes on on {cpu}: its last bits may differ"
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
        """Whether the learner goes on where it was, rather than with new episodes."""
        try:
            self._training.restore(p, saved.state)
        except ConfigError:
            if self._configs[p].resume != "approximate":
                raise
            self._training.restore(p, resume.without_envs(saved.state))
            return False
        return resume.holds_envs(saved.state)

    def _resumable(self) -> str:
        state = self._training.checkpoint(0)
        if state is None:
            return NEVER
        return EXACT if resume.holds_envs(state) else APPROXIMATE

    def announce(self) -> None:
        """Say what an interruption would cost, where that is more than a little time."""
        config = self._configs[0]
        if self.resumable == APPROXIMATE:
            say(
                f"{config.env.id} has no way to save its state: an interrupted run goes on with "
                "new episodes, and run.json says that it is approximate."
            )
        if self.resumable == NEVER:
            say(
                f"algorithm={config.algorithm.name} has no checkpoints: an interrupted run begins "
                "anew."
            )

    def history(self, p: int) -> dict[str, Any]:
        """Of a run's attempts, this one included: JSON values."""
        history = self.histories[p]
        wall = history["time_wall_s"] + time.monotonic() - self._began
        approximate = not all(entry["exact"] for entry in history["resumed"])
        return {**history, "time_wall_s": wall, "approximate": approximate}

    def remember(self, p: int, iteration: int, rows: Mapping[str, int]) -> None:
        """Copy a learner at the end of an iteration.

        Args:
            p: the learner.
            iteration: which it was.
            rows: how many each of its tables has now.
        """
        state = self._training.checkpoint(p)
        if state is not None:
            self._boundaries[p] = _Boundary(iteration, state, rows)

    def forget(self, p: int) -> None:
        """A learner has ended."""
        self._boundaries.pop(p, None)

    def due(self) -> bool:
        """Whether it is time to save, by what that costs."""
        settings = self._configs[0].checkpoint
        pause = max(settings.every_seconds, self._cost * (1 / settings.max_share - 1))
        return bool(self._boundaries) and time.monotonic() - self._last >= pause

    def save(self, writers: Mapping[int, RunWriter]) -> None:
        """Save every learner that `remember` holds, as it was then.

        What cannot be saved is told and tried again when it is due next: the checkpoint before
        it is whole.
        """
        begin = time.monotonic()
        for p, boundary in self._boundaries.items():
            if isinstance(self._attempt(p, boundary, writers[p]), OSError):
                break  # the others' disk is the same
        self._last = time.monotonic()
        self._cost = self._last - begin

    def save_one(self, p: int, writer: RunWriter) -> int | None:
        """Save a learner that is about to fail; the iteration that it can go on from, if any."""
        if p in self._boundaries:
            self._attempt(p, self._boundaries[p], writer)
        return self._saved.get(p)

    def _attempt(self, p: int, boundary: _Boundary, writer: RunWriter) -> Exception | None:
        """Save, or say why not."""
        if self._saved.get(p) == boundary.iteration:
            return None
        try:
            self._save(p, boundary, writer)
        except (OSError, NumericalError) as error:
            before = self._saved.get(p)
            kept = f"the one of iteration {before} stays" if before else "there is none yet"
            say(
                f"{self._configs[p].run_id}: the checkpoint of iteration {boundary.iteration} "
                f"could not be saved ({error}); {kept}.",
                sys.stderr,
            )
            return error
        self._saved[p] = boundary.iteration
        return None

    def _save(self, p: int, boundary: _Boundary, writer: RunWriter) -> None:
        checkpoint.save(
            self._directories[p],
            Checkpoint(
                boundary.iteration,
                self._identities[p],
                boundary.state,
                writer.tables(boundary.rows),
                self.history(p),
            ),
            self._configs[p].checkpoint.keep,
        )
