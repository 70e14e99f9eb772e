"""A run, a sweep of runs, and why a run may enter no score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from analysis.statistics.bootstrap import FloatArray
from repro.runs import store

MISSING = "MISSING"
ENDED = (store.DONE, store.FAILED)


@dataclass(frozen=True)
class Run:
    """One run, found or only expected; `config` and `directory` may be None if it never started."""

    info: Mapping[str, Any]  # run.json; for a run that never started, its entry in sweep.json
    config: Mapping[str, Any] | None  # nested
    directory: Path | None  # where its files are, or the collected tables that hold it
    listed: bool = False  # whether a sweep.json expects it
    collected: tuple[Any, int] | None = None  # the `Collected` that holds it, its number there
    until: int | None = None  # the last step whose episodes count; None for all

    @property
    def run_id(self) -> str:
        """Name of the run, and of its directory."""
        return str(self.info["run_id"])

    @property
    def task(self) -> str:
        """The environment's id, version included: `HalfCheetah-v4`."""
        return str(self.info["env_id"])

    @property
    def row(self) -> str:
        """The objective with its value: `clip_0.2`."""
        return str(self.info["objective_label"])

    @property
    def algorithm(self) -> str:
        """`ppo`."""
        return str(self.info["algorithm"])

    @property
    def objective(self) -> tuple[str, float]:
        """Kind and value, NaN for one without: `("clip", 0.2)`."""
        value = self.info["objective_value"]
        return str(self.info["objective"]), float("nan") if value is None else float(value)

    @property
    def steps(self) -> int:
        """How many environment steps it is to take."""
        return int(self.info["total_timesteps"])

    @property
    def status(self) -> str:
        """What run.json says, or that there is none."""
        return MISSING if self.directory is None else str(self.info.get("status"))

    @property
    def ended(self) -> bool:
        """Whether its files stay as they are."""
        return self.status in ENDED


@dataclass(frozen=True)
class Sweep:
    """Runs in the order of their ids, and what a reader of the results has to know about them."""

    runs: tuple[Run, ...]
    notes: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()  # that asked for them, as far as sweep.json says

    def narrowed(self, kept: Sequence[Run], note: str = "") -> Sweep:
        """With fewer runs, and one note more where runs are lost."""
        lost = len(kept) < len(self.runs)
        notes = (*self.notes, note) if note and lost else self.notes
        return replace(self, runs=tuple(kept), notes=notes)


def hole_of(run: Run) -> str:
    """Why a run cannot enter a score, by its status; "" for a finished run."""
    if run.status == store.DONE:
        return ""
    if run.status == store.FAILED:
        iteration, error = run.info.get("failed_iteration"), run.info.get("error")
        place = "" if iteration is None else f" in iteration {iteration}"
        lines = str(error or "").strip().splitlines()
        return f"failed{place}" + (f": {lines[-1].strip()[:160]}" if lines else "")
    reasons = {
        MISSING: "never started",
        store.RUNNING: "still running, or killed while it ran",
        store.PREEMPTED: "stopped before its end",
    }
    return reasons.get(run.status, f"has the unknown status {run.status}")


def hole_in(returns: FloatArray) -> str:
    """Why a finished run's episodes cannot enter a score; "" when they can."""
    if not len(returns):
        return "finished without completing an episode"
    return "" if np.isfinite(returns).all() else "holds returns that are not finite"
