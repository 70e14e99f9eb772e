"""A run that goes on from a checkpoint ends with the bits of one that never stopped."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from repro import checkpoint, session, store
from repro.config import Config
from tests.conftest import compose_config

TINY = (
    "algorithm.minibatch_size=16",
    "algorithm.epochs=2",
    "policy.hidden_sizes=[8,8]",
    "checkpoint.every_seconds=0",
    "checkpoint.max_share=1",
)


def tiny(runs_dir: Path, *overrides: str, steps: int = 192) -> Config:
    """T N = 32 steps an iteration, 6 iterations."""
    line = [*TINY, f"runs_dir={runs_dir}", f"total_timesteps={steps}", *overrides]
    return compose_config("algorithm.horizon=32", *line)


def result(directory: Path) -> dict[str, Any]:
    """All that a finished run leaves, but for wall-clock time."""
    tables = {
        name: store.read_table(directory / f"{name}.parquet") for name in ("episodes", "progress")
    }
    return {
        "digest": store.read_run(directory)["digest"],
        "parameters": store.read_parameters(directory),
        **{
            name: frame.loc[:, ~frame.columns.str.startswith("time_")]
            for name, frame in tables.items()
        },
    }


def assert_same(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    for name in ("episodes", "progress"):
        pd.testing.assert_frame_equal(ours[name], theirs[name], check_exact=True)
    assert ours["parameters"].keys() == theirs["parameters"].keys()
    for name, array in ours["parameters"].items():
        np.testing.assert_array_equal(array, theirs["parameters"][name], strict=True)
    assert ours["digest"] == theirs["digest"] is not None


def interrupt_after(iteration: int) -> session.Report:
    def report(progress: session.PackProgress) -> None:
        if progress.steps >= iteration * 32 * progress.runs:
            raise KeyboardInterrupt

    return report


def train_in_pieces(configs: Sequence[Config], *interruptions: int) -> list[session.Outcome]:
    for iteration in interruptions:
        with pytest.raises(KeyboardInterrupt):
            session.run_pack(configs, interrupt_after(iteration))
        for config in configs:
            directory = Path(config.runs_dir) / config.run_id
            assert store.read_run(directory)["status"] == store.PREEMPTED
            assert checkpoint.iterations(directory)[0] == iteration
    return session.run_pack(configs)


TASKS = [
    "half_cheetah",
    "hopper",
    "inverted_double_pendulum",
    "inverted_pendulum",
    "reacher",
    "swimmer",
    "walker2d",
    "gymnasium env.id=CartPole-v1",
    "gymnasium env.id=Pendulum-v1",
    "gymnasium env.id=Acrobot-v1",
]


@pytest.mark.parametrize("task", TASKS)
def test_a_run_in_pieces_is_the_run(tmp_path: Path, task: str) -> None:
    overrides = [*f"env={task} recipe=ppo2 objective=kl_adaptive env.num_envs=2".split()]
    overrides += ["algorithm.horizon=16"]
    configs = [tiny(tmp_path / place, *overrides) for place in ("whole", "pieces")]
    (whole,) = session.run_pack([configs[0]])
    (pieces,) = train_in_pieces([configs[1]], 1, 3, 4)
    assert_same(result(pieces.directory), result(whole.directory))
    run = store.read_run(pieces.directory)
    assert [each["iteration"] for each in run["resumed"]] == [1, 3, 4]
    assert all(each["exact"] for each in run["resumed"]) and run["approximate"] is False
    assert not (pieces.directory / "checkpoints").exists()
