"""Trains packs through a backend; a pack that fails leaves the others alone."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Sequence
from typing import cast

from repro.console import ProgressBar
from repro.runs import store
from repro.sweeps.backends import Backend
from repro.sweeps.heartbeats import Monitor
from repro.sweeps.packs import Pack
from repro.sweeps.settings import Settings
from repro.sweeps.worker import Task, settle
from repro.training.outcome import Outcome


class Interruption(KeyboardInterrupt):
    """The packs were interrupted; `outcomes` says how far each came."""

    def __init__(self, outcomes: list[list[Outcome]]) -> None:
        """Keep the outcomes, in the order of the packs."""
        super().__init__()
        self.outcomes = outcomes


def run_packs(
    packs: Sequence[Pack], workers: int, settings: Settings, bar: ProgressBar
) -> list[list[Outcome]]:
    """Train all packs; one that fails leaves the others alone.

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
    try:
        with Monitor(packs, bar) as monitor:
            tasks = [Task(*pair) for pair in zip(packs, monitor.paths, strict=True)]
            with contextlib.closing(
                backend(settings.backend).run(tasks, workers, settings)
            ) as ended:
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


def backend(name: str) -> Backend:
    """The module of `repro.sweeps.backends` with this name; only what is used is loaded."""
    return cast(Backend, importlib.import_module(f"repro.sweeps.backends.{name}"))
