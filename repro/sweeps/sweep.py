"""Trains runs, many or one, from their configurations to their directories. No Hydra here.

torch is loaded only when there is something to train.
"""

from __future__ import annotations

import contextlib
import dataclasses
import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from repro.cli import loaded
from repro.config import devices
from repro.config.run import RunConfig
from repro.console import ProgressBar, say
from repro.errors import (
    EXIT_BAD_INPUT,
    EXIT_CORRUPT,
    EXIT_CRASHED,
    EXIT_NUMERICAL,
    EXIT_PREEMPTED,
    ConfigError,
    RunsFailedError,
)
from repro.runs import locks, store
from repro.sweeps import summary
from repro.sweeps.settings import Settings
from repro.training import preflight
from repro.training.outcome import CORRUPT, LOCKED, PAUSED, REFUSED, SKIPPED, UNWRITTEN, Outcome

if TYPE_CHECKING:  # it loads torch
    from repro.sweeps.packs import Pack

GRID_PATIENCE = 30.0  # seconds: other sweeps that start in the same directory write their grids
EXIT_CODES = {
    store.DONE: 0,
    SKIPPED: 0,
    PAUSED: 0,
    store.PREEMPTED: EXIT_PREEMPTED,
    LOCKED: EXIT_PREEMPTED,
    REFUSED: EXIT_BAD_INPUT,
    CORRUPT: EXIT_CORRUPT,
    UNWRITTEN: EXIT_CRASHED,
}
# A sweep whose runs end differently has the first of these codes that one of them has: that the
# same command continues matters most.
PRECEDENCE = (EXIT_PREEMPTED, EXIT_CORRUPT, EXIT_BAD_INPUT, EXIT_CRASHED, EXIT_NUMERICAL)


class End(NamedTuple):
    """How a run ended, and the exit code that it has as a single run."""

    outcome: Outcome
    exit_code: int


def expect(configs: Sequence[RunConfig], settings: Settings | None = None) -> None:
    """Write `sweep.json`, one for each `runs_dir`: which runs there are to be.

    One that was pruned before is expected to be done again.

    Args:
        configs: of the runs.
        settings: how they will be spread; None: over the cores of this machine.

    Raises:
        ConfigError: runs that are impossible on this machine. Nothing has been written then.
    """
    places = dict.fromkeys(config.runs_dir for config in configs)
    summary.beginning(len(configs), ", ".join(places), configs[0].progress)
    _check(configs, settings or Settings())
    _write(configs)


def prune(configs: Sequence[RunConfig]) -> None:
    """Say in `sweep.json` that these runs are not to be trained further."""
    _write(configs, pruned=True)


def _write(configs: Sequence[RunConfig], **further: bool) -> None:
    for runs_dir in dict.fromkeys(config.runs_dir for config in configs):
        # With the whole configuration, so that a run that never starts can be found by any key.
        expected = [
            config.identity() | {"config": config.as_dict()} | further
            for config in configs
            if config.runs_dir == runs_dir
        ]
        with _only_writer(Path(runs_dir)):
            store.write_sweep(Path(runs_dir), expected, _command())


def _command() -> str:
    """The command line, without where this machine has Python or the script `repro`."""
    _, *words = sys.orig_argv
    named = words and not words[0].startswith("-")
    return shlex.join([Path(words[0]).name, *words[1:]] if named else ["python", *words])


def train(configs: Sequence[RunConfig], settings: Settings, pause: int | None = None) -> list[End]:
    """Train the runs that are not done yet, show how far they are, and sum up.

    Runs that have failed stay so unless their `retry_failed` says otherwise.

    Args:
        configs: no two of one run; `expect` has checked them.
        settings: how the packs are spread.
        pause: the iteration after which runs are left for now; None: they are trained to their end.

    Returns:
        An end a run, in the order of `configs`.

    Raises:
        KeyboardInterrupt: after the summary.
    """
    before = [ended_before(config) for config in configs]
    return _train(configs, before, settings, alone=False, pause=pause)


def planned(configs: Sequence[RunConfig], settings: Settings) -> tuple[list[Pack], int]:
    """The packs of runs that are to be trained, and how many of them train at the same time."""
    from repro.sweeps import dispatch, packs  # only now: they load torch

    if settings.here:
        from repro.training.devices import gpus, settled

        configs = settled(configs, say)
    plan: list[Pack] = []
    processes = 0
    for device in dict.fromkeys(config.device for config in configs):
        own = [config for config in configs if config.device == device]
        found = [device] if devices.on_gpu(device) else []
        if settings.here and len(found := gpus(device)) > 1:
            named = devices.together(found)
            own = [dataclasses.replace(config, device=named) for config in own]
        slots = settings.workers or dispatch.backend(settings.backend).slots(settings, found)
        packed = packs.plan(own, slots, settings.max_pack)
        plan += packed
        processes += min(slots, len(packed))
    return sorted(plan, key=lambda pack: -pack.cost), processes


def train_one(config: RunConfig) -> Outcome:
    """Train a single run in this process: a sweep of one, without a `sweep.json`.

    A run that has failed is tried again.

    Raises:
        ConfigError: bad input. Nothing has been written then.
        RunsFailedError: it is not done; the error says why.
        KeyboardInterrupt: it was interrupted, and saved.
    """
    before, settings = ended_before(config), Settings(backend="serial")
    if before is None or before.status != SKIPPED:
        summary.beginning(1, str(config.directory), config.progress)
        _check([config], settings, alone=True)
    if before is not None and before.status == store.FAILED:
        before = None
    (end,) = _train([config], [before], settings, alone=True)
    if end.exit_code:
        raise RunsFailedError(summary.why(end.outcome), end.exit_code)
    return end.outcome


def raise_failures(codes: Sequence[int], runs: int) -> None:
    """Raise RunsFailedError if any run of a sweep is not done.

    Args:
        codes: exit codes of the runs that are not done.
        runs: how many there are in all.
    """
    if not codes:
        return
    unfinished = codes.count(EXIT_PREEMPTED)
    failed = len(codes) - unfinished
    parts = [f"{failed} of {runs} runs failed."] if failed else []
    if unfinished:
        parts.append(
            f"{unfinished} of {runs} runs are unfinished: the same command again continues."
        )
    raise RunsFailedError(" ".join(parts), min(codes, key=PRECEDENCE.index))


def _check(configs: Sequence[RunConfig], settings: Settings, alone: bool = False) -> None:
    named = dict.fromkeys(config.device for config in configs)
    for device in named:
        if not settings.here and devices.numbers(device):
            raise ConfigError(
                f"device={device}, but hydra.launcher.backend={settings.backend} hands out GPUs by "
                "itself: say device=cuda."
            )
    preflight.preflight(configs)
    from repro.training.devices import gpus  # only now: it loads torch

    for device in named if settings.here else ():
        gpus(device)
        if alone and len(names := devices.names(device)) > 1:
            raise ConfigError(
                f"device={device} names GPUs for a sweep to share, and this is a single run: say "
                f"device={names[0]}."
            )


def _train(
    configs: Sequence[RunConfig],
    before: Sequence[Outcome | None],
    settings: Settings,
    *,
    alone: bool,
    pause: int | None = None,
) -> list[End]:
    outcomes = dict(zip([config.directory for config in configs], before, strict=True))
    waiting = [config for config in configs if outcomes[config.directory] is None]
    interruption = None
    if waiting:
        from repro.sweeps import dispatch

        plan, processes = planned(waiting, settings)
        plan = [dataclasses.replace(pack, pause=pause) for pack in plan]
        loaded()
        if not alone:
            summary.heading(before, len(plan), processes)
        steps = sum(pack.steps for pack in plan)
        with ProgressBar(len(waiting), steps, enabled=configs[0].progress) as bar:
            try:
                results = dispatch.run_packs(plan, processes, settings, bar)
            except dispatch.Interruption as error:
                interruption, results = error, error.outcomes
        outcomes |= {outcome.directory: outcome for result in results for outcome in result}
    elif not alone:
        summary.heading(before, 0, 0)
    ended = [outcome for outcome in outcomes.values() if outcome is not None]
    if alone:
        summary.of_run(ended[0])
    else:
        tried = {config.directory for config in waiting}
        summary.of_sweep(ended, [each for each in outcomes if each not in tried])
    if interruption is not None:
        raise interruption
    return [End(outcome, _exit_code(outcome)) for outcome in ended]


@contextlib.contextmanager
def _only_writer(runs_dir: Path) -> Iterator[None]:
    from repro.sweeps import heartbeats

    folder = runs_dir / heartbeats.FOLDER / "grid"
    with locks.owning([folder], GRID_PATIENCE) as refused:
        if refused:
            raise ConfigError(f"runs_dir={runs_dir}: {refused[0]}")
        heartbeats.remove_orphans(folder.parent)  # also where all runs are done
        yield
    with contextlib.suppress(OSError):  # another sweep may still use it
        folder.parent.rmdir()


def ended_before(config: RunConfig) -> Outcome | None:
    """How a run ended before; None for one to be trained."""
    directory = config.directory
    try:
        info = store.read_run(directory) if (directory / "run.json").is_file() else {}
        status = info.get("status")
        if status == store.DONE:
            store.verify(directory)
    except OSError:
        return None  # `preflight` says why
    except ValueError as error:
        return Outcome(config.run_id, directory, CORRUPT, str(error))
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
