"""Trains one pack in this process: every run from its configuration to its directory."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Sequence

import torch

from repro.config.run import RunConfig
from repro.console import say
from repro.errors import TaskError
from repro.runs import locks, store
from repro.runs.schema import DONE, FAILED
from repro.training import failures, resume
from repro.training.devices import resolve_device, settled
from repro.training.group import Group
from repro.training.outcome import CORRUPT, LOCKED, SKIPPED, Outcome, Report
from repro.training.signals import Deferral
from repro.training.stalls import Watchdog


def run_pack(
    configs: Sequence[RunConfig],
    report: Report | None = None,
    patience: float = locks.PATIENCE,
    pause: int | None = None,
) -> list[Outcome]:
    """Train the runs of one pack in this process, each into `runs_dir / run_id`.

    Runs that are DONE are skipped. Unfinished runs resume from their newest checkpoint. A learner
    whose values stop being finite, or whose task raises, ends as FAILED while the others go on. A
    run whose directory another process still owns after `patience` seconds is LOCKED. A signal
    saves all runs, marks them PREEMPTED, and is raised.

    Args:
        configs: [P], of one pack (`sweeps.packs.group`).
        report: called after each iteration.
        patience: seconds.
        pause: the iteration after which runs are saved and PAUSED; None: they are trained to their
            end. Started again they continue, to the last bit.

    Returns:
        [P] outcomes.

    Raises:
        ConfigError: before anything is written.
        StorageError: the results cannot be written.
        PreemptedError: SIGTERM, SIGINT or SIGHUP.
    """
    configs = settled(configs, say)
    directories = [config.directory for config in configs]
    with locks.owning(directories, patience) as refused:
        owned = [i for i in range(len(configs)) if i not in refused]
        ended = _run_owned([configs[i] for i in owned], report, pause)
        outcomes = dict(zip(owned, ended, strict=True))
    return [
        outcomes.get(i) or Outcome(config.run_id, directories[i], LOCKED, refused[i])
        for i, config in enumerate(configs)
    ]


def _run_owned(
    configs: Sequence[RunConfig], report: Report | None, pause: int | None
) -> list[Outcome]:
    """Train until every run has ended.

    Where a task raises, the other runs of its group are saved and start again without it.
    """
    torch.set_num_threads(1)
    outcomes = [Outcome(config.run_id, config.directory, SKIPPED, None) for config in configs]
    waiting = [i for i, config in enumerate(configs) if not store.is_done(config.directory)]
    with Deferral() as signals:
        while waiting:
            starts, damaged = _plan([configs[i] for i in waiting])
            for position, error in damaged.items():
                i = waiting[position]
                outcomes[i] = outcomes[i]._replace(status=CORRUPT, error=error)
            remaining = []
            for start in starts:
                members = [waiting[position] for position in start.members]
                report_all = _including_ended(report, outcomes, configs)
                ended = _train([configs[i] for i in members], start, signals, report_all, pause)
                for position, i in enumerate(members):
                    if position in ended:
                        outcomes[i] = ended[position]
                    else:
                        remaining.append(i)
            waiting = remaining
            configs = [_keeping_checkpoints(config) for config in configs]
    return outcomes


def _plan(configs: Sequence[RunConfig]) -> tuple[list[resume.Start], dict[int, str]]:
    """`resume.plan` for runs that wait, announced to the user."""
    device = str(resolve_device(configs[0].device))
    starts, damaged = resume.plan(configs, device, lambda text: say(text, sys.stderr))
    for start in starts:
        if start.checkpoints:
            runs = (
                "1 run continues"
                if len(start.members) == 1
                else f"{len(start.members)} runs continue"
            )
            say(f"{runs} from iteration {start.checkpoints[0].iteration}")
    return starts, damaged


def _keeping_checkpoints(config: RunConfig) -> RunConfig:
    """For the second start of a run within one command: `resume=never` was obeyed at the first."""
    return dataclasses.replace(config, resume="exact") if config.resume == "never" else config


def _train(
    configs: Sequence[RunConfig],
    start: resume.Start,
    signals: Deferral,
    report: Report | None,
    pause: int | None,
) -> dict[int, Outcome]:
    """Train runs that start at one iteration.

    Returns:
        Outcomes by position. Runs that must start again, since another one's task raised, have
        none.
    """
    with Watchdog(configs, [config.directory for config in configs]) as watchdog:
        try:
            group = Group(configs, start, signals)
        except TaskError as error:
            failed = configs[error.index]
            text = f"{failed.run_id} failed before its first step: {error}"
            failures.mark(failed, FAILED, text)
            failures.write_log(failed, text, start.iteration, error)
            return {error.index: Outcome(failed.run_id, failed.directory, FAILED, text)}
        watchdog.training = group.training
        return group.train(report, pause)


def _including_ended(
    report: Report | None, outcomes: Sequence[Outcome], configs: Sequence[RunConfig]
) -> Report | None:
    """A report that also counts the runs that ended in another group of the pack."""
    if report is None:
        return None
    statuses = [outcome.status for outcome in outcomes]
    ended = [config for config, s in zip(configs, statuses, strict=True) if s in (DONE, FAILED)]
    steps = sum(config.updates * config.batch_size for config in ended)
    return lambda progress: report(
        progress._replace(
            steps=progress.steps + steps,
            total_steps=progress.total_steps + steps,
            runs=progress.runs + len(ended),
            failed=progress.failed + statuses.count(FAILED),
        )
    )
