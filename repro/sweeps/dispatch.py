"""Trains packs through a backend: what goes wrong in one stays in one."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from repro.console import ProgressBar
from repro.runs import store
from repro.sweeps.backends import Backend, Ended, Settings, cores, loky, ray, submitit
from repro.sweeps.heartbeats import Monitor
from repro.sweeps.packs import Pack
from repro.sweeps.worker import Task, settle, train, unfinished
from repro.training.outcome import Outcome


class Interruption(KeyboardInterrupt):
    """The packs were interrupted; `outcomes` is what became of each."""

    def __init__(self, outcomes: list[list[Outcome]]) -> None:
        """Keep the outcomes, in the order of the packs."""
        super().__init__()
        self.outcomes = outcomes


def run_packs(
    packs: Sequence[Pack], workers: int, settings: Settings, bar: ProgressBar
) -> list[list[Outcome]]:
    """Train all packs, whatever becomes of each.

    Args:
        packs: in the order in which they should start.
        workers: how many may train at the same time.
        settings: which backend, and how.
        bar: kept up to date.

    Returns:
        The outcomes of each pack's runs, in the order of `packs`.

    Raises:
        Interruption: with the outcomes, on Ctrl-C or SIGTERM.
    """
    results: dict[int, list[Outcome]] = {}
    backend = BACKENDS[settings.backend]
    try:
        with Monitor(packs, bar) as monitor:
            tasks = [Task(*pair) for pair in zip(packs, monitor.paths, strict=True)]
            with contextlib.closing(backend.run(tasks, workers, settings)) as ended:
                for index, outcomes in ended:
                    results[index] = outcomes
                    monitor.finish(index, outcomes)
    except BaseException as error:
        why = f"{type(error).__name__} {error}".strip()
        for index in set(range(len(packs))) - set(results):
            results[index] = settle(packs[index], store.PREEMPTED, why)
        if isinstance(error, KeyboardInterrupt):
            raise Interruption([results[index] for index in range(len(packs))]) from None
        raise
    return [results[index] for index in range(len(packs))]


def _serial(tasks: Sequence[Task], workers: int, settings: Settings) -> Ended:
    """One after another, in this process."""
    for index, task in enumerate(tasks):
        outcomes = train(task)
        yield index, outcomes
        if unfinished(outcomes):
            raise KeyboardInterrupt


def _loky(tasks: Sequence[Task], workers: int, settings: Settings) -> Ended:
    """A single worker needs no other process, unless it may have to be ended."""
    mortal = any(config.stall_timeout for task in tasks for config in task.pack.configs)
    return (loky.run if workers > 1 or mortal else _serial)(tasks, workers, settings)


def _cores(settings: Settings) -> int:
    return cores()


BACKENDS: dict[str, Backend] = {
    "loky": Backend(_loky, _cores),
    "serial": Backend(_serial, lambda settings: 1),
    "ray": Backend(ray.run, ray.slots),
    "submitit": Backend(submitit.run, submitit.slots),
}
