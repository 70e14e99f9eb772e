"""It learns: minutes of real training (`make test-slow`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from repro.runs import store
from repro.training import pack
from tests.helpers.configs import Compose

pytestmark = pytest.mark.slow

CARTPOLE = (
    "env=gymnasium",
    "env.id=CartPole-v1",
    "env.num_envs=8",
    "recipe=sb3",
    "algorithm.horizon=256",
    "algorithm.minibatch_size=256",
    "algorithm.learning_rate=1e-3",
    "total_timesteps=102400",
)


def train(config: Compose, runs_dir: Path, *overrides: str) -> list[np.ndarray]:
    """Returns of all episodes, in order, of seeds 0, 1 and 2."""
    outcomes = pack.run_pack(
        [config(*overrides, f"runs_dir={runs_dir}", f"seed={seed}") for seed in range(3)]
    )
    assert [outcome.status for outcome in outcomes] == [store.DONE] * 3
    tables = [store.read_table(outcome.directory / "episodes.parquet") for outcome in outcomes]
    return [table["return"].to_numpy() for table in tables]


def best_mean_of_100(returns: np.ndarray) -> float:
    return float(np.convolve(returns, np.ones(100) / 100, mode="valid").max())


def test_cartpole_reaches_475(config: Compose, tmp_path: Path) -> None:
    assert min(best_mean_of_100(returns) for returns in train(config, tmp_path, *CARTPOLE)) >= 475


def test_acer_reaches_475_on_cartpole(config: Compose, tmp_path: Path) -> None:
    """At the end of its run, not only at its best."""
    line = ("env=gymnasium", "env.id=CartPole-v1", "env.num_envs=8", "recipe=sb3")
    line += ("algorithm=acer", "policy.shared=true", "algorithm.learning_rate=2e-3")
    line += ("algorithm.replay_start=500", "total_timesteps=250000")
    assert min(returns[-100:].mean() for returns in train(config, tmp_path, *line)) >= 475


def test_inverted_pendulum_passes_900_within_150k_steps(config: Compose, tmp_path: Path) -> None:
    runs = train(config, tmp_path, "env=inverted_pendulum", "total_timesteps=150000")
    assert sum(best_mean_of_100(returns) > 900 for returns in runs) >= 2


@pytest.mark.parametrize("name", ["vpg", "trpo", "a2c", "a2c_tr"])
def test_the_others_balance_inverted_pendulum(config: Compose, tmp_path: Path, name: str) -> None:
    chosen = ("env=inverted_pendulum", f"algorithm={name}", "total_timesteps=150000")
    runs = train(config, tmp_path, *chosen)
    assert sum(best_mean_of_100(returns) > 500 for returns in runs) >= 2


def test_half_cheetah_ends_above_400_at_300k_steps(config: Compose, tmp_path: Path) -> None:
    runs = train(config, tmp_path, "env=half_cheetah", "objective=clip", "budget=medium")
    assert np.mean([returns[-100:].mean() for returns in runs]) > 400
