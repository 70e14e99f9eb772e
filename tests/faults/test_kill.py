"""F1: `kill -9` at random moments, the same command again, and nothing is lost or doubled."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from repro.runs import checkpoint, store
from tests.helpers.bits import equal_bits
from tests.helpers.cli import finish, start
from tests.helpers.faults import report
from tests.helpers.tiny import result

# About 5 seconds of training after about 3 of starting; it saves as often as it can.
RUN = ("env=inverted_pendulum", "recipe=ppo2", "objective=kl_adaptive")
RUN += ("algorithm.horizon=256", "algorithm.epochs=4", "policy.hidden_sizes=[16,16]")
RUN += ("checkpoint.every_seconds=0.1", "checkpoint.max_share=1", "progress=false")
LINES = {
    "run": (*RUN, "total_timesteps=15360"),
    "pack": ("-m", *RUN, "seed=0,1,2", "total_timesteps=5120", "hydra.launcher.workers=1"),
}


def trained(where: Path, line: tuple[str, ...]) -> float:
    """Let a command end; how long that took."""
    begin = time.monotonic()
    finished = finish(start(where, *line))
    assert finished.code == 0, finished.err
    return time.monotonic() - begin


def results(where: Path) -> dict[str, dict[str, Any]]:
    return {run.name: result(run) for run in store.run_directories(where / "runs")}


def killed(where: Path, line: tuple[str, ...], after: float, saved: bool = False) -> bool:
    """Whether a command was still at work after so many seconds, when it was killed.

    Args:
        where: its directory.
        line: the command.
        after: seconds from its start, or from when it has saved something.
        saved: wait until it has.
    """
    process = start(where, *line)
    while saved and process.poll() is None and not any_saved(where):
        time.sleep(0.01)
    time.sleep(after)
    running = process.poll() is None
    if running:
        os.killpg(process.pid, signal.SIGKILL)
    finish(process)
    return running


def any_saved(where: Path) -> bool:
    return any(map(checkpoint.iterations, store.run_directories(where / "runs")))


def iterations(where: Path) -> dict[str, int]:
    """How far each run could continue from; whatever is there is whole."""
    found = {}
    for run in store.run_directories(where / "runs"):
        whole = checkpoint.load_whole(run, pytest.fail)
        done = store.read_run(run)["status"] == store.DONE
        found[run.name] = 10**9 if done else max(whole, default=0)
    return found


def rounds(tmp_path: Path, line: tuple[str, ...], kills: int, seconds: float) -> Iterator[Path]:
    """Finished directories, until there were so many kills while they were made."""
    rng = np.random.default_rng(0)
    done, number = 0, 0
    while done < kills:
        number += 1
        where = tmp_path / f"round {number}"
        where.mkdir()
        before: dict[str, int] = {}
        while done < kills and killed(where, line, *moment(rng, kills, done, seconds)):
            done += 1
            now = iterations(where)
            assert all(now[run] >= before[run] for run in before), "progress is never lost"
            before = now
        trained(where, line)
        yield where


def moment(rng: np.random.Generator, kills: int, done: int, seconds: float) -> tuple[float, bool]:
    """When to kill: at any time; with few kills, every other one while it trains."""
    if kills < 25 and done % 2 == 0:
        return rng.uniform(0, 0.2), True
    return rng.uniform(0, seconds), False


@pytest.mark.parametrize("kills", [3, pytest.param(25, marks=pytest.mark.faults)])
@pytest.mark.parametrize("what", LINES)
def test_f1_killed_at_random_moments(tmp_path: Path, what: str, kills: int) -> None:
    golden_place = tmp_path / "golden"
    golden_place.mkdir()
    seconds = trained(golden_place, LINES[what])
    golden = results(golden_place)
    assert len(golden) == (3 if what == "pack" else 1)
    figures = {"kills": kills, "runs": 0, "equal": 0, "rows": 0, "rows_lost": 0, "rows_doubled": 0}
    resumed = 0
    for where in rounds(tmp_path, LINES[what], kills, seconds):
        for name, ours in results(where).items():
            theirs = golden[name]
            for table in ("episodes", "progress"):
                figures["rows"] += len(theirs[table])
                figures["rows_doubled"] += int(ours[table].duplicated().sum())
                missing = theirs[table].merge(ours[table], how="left", indicator=True)["_merge"]
                figures["rows_lost"] += int((missing == "left_only").sum())
            figures["runs"] += 1
            figures["equal"] += equal_bits(ours, theirs)
        resumed += sum(
            len(store.read_run(run)["resumed"]) for run in store.run_directories(where / "runs")
        )
    assert figures["runs"] >= len(golden) and figures["equal"] == figures["runs"]
    assert figures["rows_lost"] == figures["rows_doubled"] == 0 < figures["rows"]
    assert resumed >= 1, "not always from the beginning"
    if kills >= 25:
        report("f1_kills", {what: figures | {"went_on_from_a_checkpoint": resumed}})
