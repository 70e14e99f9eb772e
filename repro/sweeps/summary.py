"""Messages at the start and the end of a sweep or a single run."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path

from repro.console import is_terminal, say
from repro.runs import store
from repro.runs.schema import LAST_EPISODES
from repro.training.outcome import CORRUPT, LOCKED, PAUSED, REFUSED, SKIPPED, UNWRITTEN, Outcome

_WORDS = {
    SKIPPED: "done before",
    PAUSED: "paused",
    store.FAILED: "FAILED",
    store.PREEMPTED: "interrupted",
    LOCKED: "trained by another process",
    REFUSED: "refused",
    CORRUPT: "damaged",
    UNWRITTEN: "not written",
}


def beginning(runs: int, place: str, progress: bool) -> None:
    """Tell who sits at a terminal something at once: checks and torch take seconds."""
    if progress and is_terminal(sys.stdout):
        say(f"checking {_count(runs, 'run')}: {place}")


def heading(before: Sequence[Outcome | None], packs: int, processes: int) -> None:
    """Say how many runs there are, and how they are spread.

    Args:
        before: how each run ended before, None for one to be trained.
        packs: how many there are.
        processes: packs that train at the same time.
    """
    done = sum(outcome is not None and outcome.status == SKIPPED for outcome in before)
    failed = sum(outcome is not None and outcome.status == store.FAILED for outcome in before)
    text = _count(len(before), "run") + (f", {done} of them done before" if done else "")
    text += f", {failed} failed before" if failed else ""
    say(text + (f": {_count(packs, 'pack')} on {_count(processes, 'worker')}" if packs else ""))


def of_sweep(outcomes: Sequence[Outcome], before: Sequence[Path]) -> None:
    """Count the runs by how they ended, and name each that did not end well.

    Args:
        outcomes: of all runs.
        before: directories of runs that have not been tried this time.
    """

    def count(status: str) -> int:
        return sum(outcome.status == status for outcome in outcomes)

    text = f"{count(store.DONE)} done"
    text += "".join(f", {count(status)} {word}" for status, word in _WORDS.items() if count(status))
    places = dict.fromkeys(str(outcome.directory.parent) for outcome in outcomes)
    say(f"{text}: {', '.join(places)}")
    for outcome in outcomes:
        if outcome.status not in (store.DONE, SKIPPED, PAUSED, store.PREEMPTED):
            _name(outcome, outcome.directory in before)
    if any(outcome.status == store.FAILED and outcome.directory in before for outcome in outcomes):
        say("  Runs that failed before are tried again with retry_failed=true.")


def of_run(outcome: Outcome) -> None:
    """Say where a single run is, and its score; nothing of one that is not done."""
    if outcome.status not in (store.DONE, SKIPPED):
        return
    say(f"{'done' if outcome.status == store.DONE else 'done before'}: {outcome.directory}")
    if (outcome.directory / "episodes.parquet").is_file():
        score, episodes = final_return(outcome.directory)
        if episodes:
            say(f"  mean return of the last {episodes} episodes: {score:,.1f}")


def why(outcome: Outcome) -> str:
    """One sentence on a single run that is not done."""
    log = outcome.directory / "error.log"
    seen = f" (see {log})" if outcome.status == store.FAILED and log.is_file() else ""
    return f"{outcome.error}{seen}"


def final_return(directory: Path) -> tuple[float, int]:
    """Mean return of a run's last 100 training episodes, NaN without one; and of how many it is.

    Raises:
        CorruptError: the table is damaged, or not what the run wrote.
    """
    returns = store.read_run_numbers(directory, "episodes", "return")[-LAST_EPISODES:]
    return float(returns.mean()) if len(returns) else math.nan, len(returns)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _name(outcome: Outcome, before: bool) -> None:
    error = str(outcome.error).removeprefix(f"{outcome.run_id} ")
    if outcome.status != store.FAILED:  # the sentence says where
        say(f"  {outcome.status} {outcome.run_id}: {error}")
        return
    log = outcome.directory / "error.log"
    seen = log if log.is_file() else outcome.directory
    say(f"  FAILED {outcome.run_id}{' before' if before else ''}: {error} (see {seen})")
