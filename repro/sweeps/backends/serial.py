"""This process: one pack after another. A single run trains here too."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from repro.sweeps.backends import Ended
from repro.sweeps.settings import Settings
from repro.sweeps.worker import Task, train, unfinished


def run(tasks: Sequence[Task], workers: int, settings: Settings) -> Ended:
    """Train the tasks in their order; torch's number of threads is the caller's again after it."""
    threads = torch.get_num_threads()
    try:
        for index, task in enumerate(tasks):
            outcomes = train(task)
            yield index, outcomes
            if unfinished(outcomes):
                raise KeyboardInterrupt
    finally:
        torch.set_num_threads(threads)


def slots(settings: Settings, gpus: Sequence[str] = ()) -> int:
    """One."""
    return 1
