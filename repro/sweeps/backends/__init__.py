"""Where packs train: in this process, in others of this machine, on a cluster.

A backend takes tasks and yields (index, outcomes) as they end; closed early, it ends what it has
started. To add one, write its `run` and `slots` and name them in `BACKENDS`: progress and results
travel through files, which other machines share.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from repro.sweeps.worker import Task
from repro.training.outcome import Outcome

GRACE_SECONDS = 8.0  # what an interrupted pack has to write down where it is
# For a process before it loads NumPy: the libraries read these once.
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")}


@dataclass(frozen=True)
class Settings:
    """`conf/hydra/launcher/population.yaml`, which explains them."""

    backend: str = "loky"
    workers: int | None = None
    max_pack: int | None = None
    retries: int = 2
    submitit: Mapping[str, Any] = field(default_factory=dict)


Ended = Generator[tuple[int, list[Outcome]]]


class Backend(NamedTuple):
    """A way to train packs.

    Attributes:
        run: trains tasks, so many at a time, and yields (index, outcomes).
        slots: how many it has room for at a time.
    """

    run: Callable[[Sequence[Task], int, Settings], Ended]
    slots: Callable[[Settings], int]


def cores() -> int:
    """Processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
