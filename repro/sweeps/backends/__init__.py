"""Where packs train: in this process, in others of this machine, on a cluster.

A backend is a module here that `repro.sweeps.settings.BACKENDS` names. It has two functions:

- `run(tasks, workers, settings)` trains tasks, `workers` of them at a time, and yields
  (index, outcomes) as they end; closed early, it ends what it has started;
- `slots(settings, gpus)` says how many tasks it has room for at a time.

Progress and results travel through files, which the machines of a cluster share.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Protocol

from repro.sweeps.settings import Settings
from repro.sweeps.worker import Task
from repro.training.outcome import Outcome

GRACE_SECONDS = 8.0  # how long an interrupted pack may take to save
# For a process before it loads NumPy: the libraries read these once.
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}

Ended = Generator[tuple[int, list[Outcome]]]


class Backend(Protocol):
    """A module of this folder."""

    def run(self, tasks: Sequence[Task], workers: int, settings: Settings) -> Ended:
        """Train tasks, `workers` of them at a time; yield (index, outcomes) as they end."""
        ...

    def slots(self, settings: Settings, gpus: Sequence[str] = ()) -> int:
        """How many tasks there is room for at a time; on these GPUs, where there are any."""
        ...
