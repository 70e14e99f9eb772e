"""What a pack reports: how far it is, and how each of its runs ended. No torch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

# Statuses that no run.json has, besides those of `repro.runs.store`.
SKIPPED = "SKIPPED"  # it was done before
PAUSED = "PAUSED"  # it is where it was to stop for now; its run.json says PREEMPTED
CORRUPT = "CORRUPT"  # its files are damaged, or none of its checkpoints is whole
LOCKED = "LOCKED"  # another process has it
REFUSED = "REFUSED"  # bad input that shows only when the run starts
UNWRITTEN = "UNWRITTEN"  # the disk is full; what was saved before is whole


class Outcome(NamedTuple):
    """How a run ended.

    Attributes:
        run_id: its name.
        directory: where it is kept.
        status: DONE, FAILED or PREEMPTED, or one of the statuses above.
        error: why it is not DONE.
    """

    run_id: str
    directory: Path
    status: str
    error: str | None


class PackProgress(NamedTuple):
    """How far a pack is; environment steps are summed over its runs.

    Attributes:
        steps: taken, or not to be taken any more since their run has failed.
        total_steps: of all its runs.
        runs: how many it has.
        failed: how many of them failed.
        taken: steps that this process took: a run that continues had others before.
        returns: mean over its runs of the mean return of their last 100 episodes; None
            where no episode has ended.
    """

    steps: int
    total_steps: int
    runs: int
    failed: int
    taken: int = 0
    returns: float | None = None


Report = Callable[[PackProgress], None]
