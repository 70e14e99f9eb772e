"""Sweeps whose training is left out, and what sweeps leave behind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from repro import __main__ as command
from repro.config.schema import Config
from repro.runs import store
from repro.sweeps import packs, sweep
from repro.training.outcome import Outcome
from tests.helpers.bits import assert_equal_bits
from tests.helpers.tiny import result


def composed(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> list[Config]:
    """What a sweep would train."""
    seen: list[Config] = []
    asked = {"-m", "--multirun"} & set(arguments)

    def train(configs: Sequence[Config], *_: object) -> list[sweep.End]:
        seen.extend(configs)
        done = [Outcome(config.run_id, Path(), store.DONE, None) for config in configs]
        return [sweep.End(outcome, 0) for outcome in done]

    with monkeypatch.context() as patch:
        patch.setattr(sweep, "expect", lambda configs, settings: None)
        patch.setattr(sweep, "train", train)
        assert command.run(arguments if asked else ["-m", *arguments]) == 0
    return seen


def untrained(plan: Sequence[packs.Pack]) -> list[list[Outcome]]:
    """What `dispatch.run_packs` returns, without training anything."""
    return [
        [
            Outcome(config.run_id, Path(config.runs_dir) / config.run_id, store.DONE, None)
            for config in pack.configs
        ]
        for pack in plan
    ]


def assert_equal_results(here: Path, there: Path) -> None:
    """The same runs with the same bits, but for columns of wall-clock time."""
    names = [directory.name for directory in store.run_directories(there)]
    assert names == [directory.name for directory in store.run_directories(here)]
    for name in names:
        assert_equal_bits(result(here / name), result(there / name))


def statuses(runs_dir: Path = Path("runs")) -> dict[str, str]:
    """By run id."""
    found = [store.read_run(directory) for directory in store.run_directories(runs_dir)]
    return {info["run_id"]: info["status"] for info in found}
