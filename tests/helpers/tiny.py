"""Runs that take a moment, in pieces and whole, and what must be the same of both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from repro.config.schema import Config
from repro.runs import checkpoint, store
from repro.training import pack
from tests.helpers.configs import compose

STEPS = 32  # of an iteration, unless the horizon is changed
ITERATIONS = 6
TINY = (
    f"algorithm.horizon={STEPS}",
    "policy.hidden_sizes=[8,8]",
    "checkpoint.every_seconds=0",
    "checkpoint.max_share=1",
)
TINY_PPO = ("algorithm.minibatch_size=16", "algorithm.epochs=2")


def tiny(runs_dir: Path, line: str) -> Config:
    """A run of a few iterations that saves after each."""
    steps = f"total_timesteps={STEPS * ITERATIONS}"
    ppo = () if "algorithm=" in line else TINY_PPO
    return compose(*TINY, *ppo, steps, f"runs_dir={runs_dir}", *line.split())


def directory(config: Config) -> Path:
    return Path(config.runs_dir) / config.run_id


def train(configs: Sequence[Config], *interruptions: int) -> list[pack.Outcome]:
    """Train a pack, interrupted after each of some iterations and started again."""
    for iteration in interruptions:
        with pytest.raises(KeyboardInterrupt):
            pack.run_pack(configs, _interrupt_after(iteration))
        for config in configs:
            assert store.read_run(directory(config))["status"] == store.PREEMPTED
            assert checkpoint.iterations(directory(config))[0] == iteration
    return pack.run_pack(configs)


def _interrupt_after(iteration: int) -> pack.Report:
    def report(progress: pack.PackProgress) -> None:
        if progress.steps >= iteration * STEPS * progress.runs:
            raise KeyboardInterrupt

    return report


def result(run: Path) -> dict[str, Any]:
    """All that a finished run leaves, but for wall-clock time."""
    info = store.read_run(run)
    assert info["status"] == store.DONE
    tables = {name: store.read_table(run / f"{name}.parquet") for name in ("episodes", "progress")}
    timeless = {
        name: frame.loc[:, ~frame.columns.str.startswith("time_")] for name, frame in tables.items()
    }
    assert info["digest"] is not None
    return {"digest": info["digest"], "parameters": store.read_parameters(run), **timeless}


def undisturbed(place: Path, line: Sequence[str]) -> dict[str, Any]:
    """What a command line would have given."""
    (outcome,) = pack.run_pack([compose(*line, f"runs_dir={place / 'undisturbed'}")])
    return result(outcome.directory)
