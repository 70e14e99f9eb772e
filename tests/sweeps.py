"""Sweeps whose training is left out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from repro import __main__ as command
from repro import packs, store, sweep
from repro.config import Config
from repro.session import Outcome


def composed(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> list[Config]:
    """What a sweep would train."""
    seen: list[Config] = []

    def train(configs: Sequence[Config], *_: object) -> list[sweep.End]:
        seen.extend(configs)
        done = [Outcome(config.run_id, Path(), store.DONE, None) for config in configs]
        return [sweep.End(outcome, 0) for outcome in done]

    with monkeypatch.context() as patch:
        patch.setattr(sweep, "expect", lambda configs: None)
        patch.setattr(sweep, "train", train)
        assert command.run(["-m", *arguments]) == 0
    return seen


def untrained(plan: Sequence[packs.Pack]) -> list[list[Outcome]]:
    """What `workers.run_packs` returns, without training anything."""
    return [
        [
            Outcome(config.run_id, Path(config.runs_dir) / config.run_id, store.DONE, None)
            for config in pack.configs
        ]
        for pack in plan
    ]
