"""A sweep from its configurations to its run directories; knows no Hydra."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from repro.config.schema import Config
from repro.console import ProgressBar, say
from repro.errors import (
    EXIT_BAD_INPUT,
    EXIT_CORRUPT,
    EXIT_CRASHED,
    EXIT_NUMERICAL,
    EXIT_PREEMPTED,
    ConfigError,
)
from repro.runs import locks, provenance, store
from repro.sweeps import dispatch, heartbeats, packs, worker
from repro.sweeps.backends import Settings
from repro.training import preflight
from repro.training.loop import resolve_device
from repro.training.outcome import CORRUPT, LOCKED, SKIPPED, Outcome

GRID_PATIENCE = 30.0  # other sweeps that start in the same directory write their grids quickly
UNFINISHED = (store.PREEMPTED, LOCKED)
EXIT_CODES = {
    store.DONE: 0,
    SKIPPED: 0,
    store.PREEMPTED: EXIT_PREEMPTED,
    LOCKED: EXIT_PREEMPTED,
    worker.REFUSED: EXIT_BAD_INPUT,
    CORRUPT: EXIT_CORRUPT,
    worker.UNWRITTEN: EXIT_CRASHED,
}


class End(NamedTuple):
    """How a run ended, and what a process of its own would have ended with."""

    outcome: Outcome
    exit_code: int


def expect(configs: Sequence[Config]) -> None:
    """Write `sweep.json`, one for each `runs_dir`: which runs there are to be.

    Raises:
        ConfigError: runs that cannot be had on this machine. Nothing has been written then.
    """
    preflight.preflight(configs)
    for device in dict.fromkeys(config.device for config in configs):
        resolve_device(device)
    for runs_dir in dict.fromkeys(config.runs_dir for config in configs):
        # With the whole configuration: a run that never starts can be told by any of its keys.
        expected = [
            provenance.identity(config) | {"config": config.as_dict()}
            for config in configs
            if config.runs_dir == runs_dir
        ]
        with _only_writer(Path(runs_dir)):
            store.write_sweep(Path(runs_dir), expected)


def train(configs: Sequence[Config], settings: Settings) -> list[End]:
    """Train the runs that are not done yet, show how far they are, and sum up.

    Runs that have failed stay so unless their `retry_failed` says otherwise.

    Args:
        configs: no two of one run.
        settings: how the packs are spread.

    Returns:
        An end a run, in the order of `configs`.

    Raises:
        KeyboardInterrupt: once it is summed up how far the runs are.
    """
    outcomes = {config.directory: _before(config) for config in configs}
    waiting = [config for config in configs if outcomes[config.directory] is None]
    slots, plan = 0, []
    if waiting:
        slots = settings.workers or dispatch.BACKENDS[settings.backend].slots(settings)
        plan = packs.plan(waiting, slots, settings.max_pack)
    say(_heading(list(outcomes.values()), len(plan), min(slots, len(plan))))
    interruption = None
    if plan:
        steps = sum(pack.steps for pack in plan)
        with ProgressBar(len(waiting), steps, enabled=configs[0].progress) as bar:
            try:
                results = dispatch.run_packs(plan, min(slots, len(plan)), settings, bar)
            except dispatch.Interruption as error:
                interruption, results = error, error.outcomes
        outcomes |= {outcome.directory: outcome for result in results for outcome in result}
    ended = [outcome for outcome in outcomes.values() if outcome is not None]
    _summarize(ended, before=[config.directory for config in configs if config not in waiting])
    if interruption is not None:
        raise interruption
    return [End(outcome, _exit_code(outcome)) for outcome in ended]


@contextlib.contextmanager
def _only_writer(runs_dir: Path) -> Iterator[None]:
    folder = runs_dir / heartbeats.FOLDER / "grid"
    with locks.owning([folder], GRID_PATIENCE) as refused:
        if refused:
            raise ConfigError(f"runs_dir={runs_dir}: {refused[0]}")
        heartbeats.remove_orphans(folder.parent)  # also where all runs are done
        yield
    with contextlib.suppress(OSError):  # another sweep may still use it
        folder.parent.rmdir()


def _before(config: Config) -> Outcome | None:
    """How a run ended before; None for one to be trained."""
    directory = config.directory
    try:
        info = store.read_run(directory) if (directory / "run.json").is_file() else {}
    except ValueError as error:
        return Outcome(config.run_id, directory, CORRUPT, str(error))
    status = info.get("status")
    if status == store.DONE:
        return Outcome(config.run_id, directory, SKIPPED, None)
    if status == store.FAILED and not config.retry_failed:
        return Outcome(config.run_id, directory, store.FAILED, info.get("error"))
    return None


def _exit_code(outcome: Outcome) -> int:
    if outcome.status in EXIT_CODES:
        return EXIT_CODES[outcome.status]
    with contextlib.suppress(OSError, ValueError):
        if "failed_iteration" in store.read_run(outcome.directory):
            return EXIT_NUMERICAL
    return EXIT_CRASHED


def _heading(before: Sequence[Outcome | None], packs: int, processes: int) -> str:
    done = sum(outcome is not None and outcome.status == SKIPPED for outcome in before)
    failed = sum(outcome is not None and outcome.status == store.FAILED for outcome in before)
    text = _count(len(before), "run") + (f", {done} of them done before" if done else "")
    text += f", {failed} failed before" if failed else ""
    return text + (f": {_count(packs, 'pack')} on {_count(processes, 'worker')}" if packs else "")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _summarize(outcomes: Sequence[Outcome], before: Sequence[Path]) -> None:
    """Say how many there are of each, and name each that is not as it should be.

    Args:
        outcomes: of all runs.
        before: directories of runs that have not been tried this time.
    """

    def count(status: str) -> int:
        return sum(outcome.status == status for outcome in outcomes)

    words = {
        SKIPPED: "done before",
        store.FAILED: "FAILED",
        store.PREEMPTED: "interrupted",
        LOCKED: "another process's",
        worker.REFUSED: "refused",
        CORRUPT: "damaged",
        worker.UNWRITTEN: "not written",
    }
    text = f"{count(store.DONE)} done"
    text += "".join(f", {count(status)} {word}" for status, word in words.items() if count(status))
    places = dict.fromkeys(str(outcome.directory.parent) for outcome in outcomes)
    say(f"{text}: {', '.join(places)}")
    for outcome in outcomes:
        if outcome.status not in (store.DONE, SKIPPED, store.PREEMPTED):
            _name(outcome, outcome.directory in before)
    if any(outcome.status == store.FAILED and outcome.directory in before for outcome in outcomes):
        say("  Runs that failed before are tried again with retry_failed=true.")


def _name(outcome: Outcome, before: bool) -> None:
    error = str(outcome.error).removeprefix(f"{outcome.run_id} ")
    if outcome.status != store.FAILED:  # the sentence says where
        say(f"  {outcome.status} {outcome.run_id}: {error}")
        return
    log = outcome.directory / "error.log"
    seen = log if log.is_file() else outcome.directory
    say(f"  FAILED {outcome.run_id}{' before' if before else ''}: {error} (see {seen})")
