"""A sweep from its configurations to its run directories; knows no Hydra."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from repro import checks, packs, provenance, store, workers
from repro.config import Config
from repro.progress import ProgressBar, say
from repro.runner import resolve_device
from repro.session import SKIPPED, Outcome


class End(NamedTuple):
    """How a run ended; `crashed` where it was an error and not the numbers."""

    outcome: Outcome
    crashed: bool


def expect(configs: Sequence[Config]) -> None:
    """Write `sweep.json`, one for each `runs_dir`: which runs there are to be.

    Raises:
        ConfigError: runs that cannot be had on this machine. Nothing has been written then.
    """
    checks.preflight(configs)
    for device in dict.fromkeys(config.device for config in configs):
        resolve_device(device)
    for runs_dir in dict.fromkeys(config.runs_dir for config in configs):
        # With the whole configuration: a run that never starts can be told by any of its keys.
        expected = [
            provenance.identity(config) | {"config": config.as_dict()}
            for config in configs
            if config.runs_dir == runs_dir
        ]
        store.write_sweep(Path(runs_dir), expected)


def train(
    configs: Sequence[Config], processes: int, max_pack: int | None, backend: str
) -> list[End]:
    """Train the runs that are not done yet, show how far they are, and sum up.

    Args:
        configs: no two of one run.
        processes: how many to use at most.
        max_pack: runs in a pack at most.
        backend: a key of `workers.BACKENDS`.

    Returns:
        An end a run, in the order of `configs`.
    """
    done = [store.is_done(_directory(config)) for config in configs]
    waiting = [config for config, is_done in zip(configs, done, strict=True) if not is_done]
    plan = packs.plan(waiting, processes, max_pack) if waiting else []
    processes = min(processes, len(plan))
    say(_heading(len(configs), sum(done), len(plan), processes))
    ends = {
        _directory(config): End(Outcome(config.run_id, _directory(config), SKIPPED, None), False)
        for config in configs
    }
    if plan:
        steps = sum(pack.steps for pack in plan)
        with ProgressBar(len(waiting), steps, enabled=configs[0].progress) as bar:
            results = workers.run_packs(plan, processes, backend, bar)
        for result in results:
            for outcome in result.outcomes:
                ends[outcome.directory] = End(outcome, result.crashed)
    _summarize([end.outcome for end in ends.values()])
    return list(ends.values())


def _directory(config: Config) -> Path:
    return Path(config.runs_dir) / config.run_id


def _heading(runs: int, done: int, packs: int, processes: int) -> str:
    text = _count(runs, "run") + (f", {done} of them done before" if done else "")
    return text + (f": {_count(packs, 'pack')} on {_count(processes, 'worker')}" if packs else "")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _summarize(outcomes: Sequence[Outcome]) -> None:
    def count(status: str) -> int:
        return sum(outcome.status == status for outcome in outcomes)

    text = f"{count(store.DONE)} done"
    text += f", {count(SKIPPED)} done before" if count(SKIPPED) else ""
    text += f", {count(store.FAILED)} FAILED" if count(store.FAILED) else ""
    places = dict.fromkeys(str(outcome.directory.parent) for outcome in outcomes)
    say(f"{text}: {', '.join(places)}")
    for outcome in outcomes:
        if outcome.status == store.FAILED:
            log = outcome.directory / "error.log"
            error = str(outcome.error).removeprefix(f"{outcome.run_id} ")
            seen = log if log.is_file() else outcome.directory
            say(f"  FAILED {outcome.run_id}: {error} (see {seen})")
