"""Actions of a task's space, from training to the exported policy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Discrete

from repro import envs
from repro.envs import actions
from repro.errors import ConfigError
from repro.evaluation.episodes import play, play_single
from repro.evaluation.policies import load_policy
from repro.evaluation.standalone import StandalonePolicy
from repro.runs import store
from tests.helpers.finished_runs import finish
from tests.helpers.spaces import register

SPACES = {
    "later": Discrete(3, start=5),
    "below zero": Discrete(4, start=-7),
    "int32": Discrete(3, start=2, dtype=np.int32),
    "float64": Box(np.array([-0.1, 0.3]), np.array([0.1, 0.7]), dtype=np.float64),
}
ALGORITHMS = {
    "ppo": "recipe=sb3 algorithm.horizon=64 algorithm.minibatch_size=32",
    "cem": "algorithm=cem recipe.clip_actions=true",
    "sb3_ppo": "algorithm=sb3_ppo recipe=sb3 algorithm.horizon=64 algorithm.minibatch_size=32",
}


@pytest.mark.parametrize(
    ("name", "algorithm"),
    [
        *((name, "ppo") for name in SPACES),
        *((name, algorithm) for name in ("later", "float64") for algorithm in ("cem", "sb3_ppo")),
    ],
)
@pytest.mark.filterwarnings("ignore")  # Stable-Baselines3 prefers symmetric boxes
def test_every_action_is_a_member_of_the_space(tmp_path: Path, name: str, algorithm: str) -> None:
    space = SPACES[name]
    env_id = register("ReproActions", action_space=space)
    run = finish(tmp_path, f"env=gymnasium env.id={env_id} {ALGORITHMS[algorithm]}")
    trained = store.read_table(run.directory / "episodes.parquet")
    assert len(trained) and (trained["return"] == trained["length"]).all()

    policy = load_policy(run)
    vector = envs.make(env_id, "gymnasium", 2)
    task = gymnasium.make(env_id, disable_env_checker=True)  # as in a video
    for deterministic in (True, False):
        several = play(policy, vector, 4, 0, deterministic)
        np.testing.assert_array_equal(several.returns, several.lengths)
        single = play_single(policy, task, 4, 0, deterministic)
        np.testing.assert_array_equal(single.returns, single.lengths)

    alone = StandalonePolicy(run)
    batch = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    for deterministic in (True, False):
        assert all(space.contains(action) for action in alone(batch, deterministic=deterministic))
        assert space.contains(alone(batch[0], deterministic=deterministic))
    if algorithm != "sb3_ppo":
        alone.export(tmp_path / "policy.pt2")
        program = torch.export.load(tmp_path / "policy.pt2").module()
        exported = program(torch.from_numpy(batch)).detach().numpy()
        expected = alone(batch, deterministic=True)
        np.testing.assert_allclose(exported, expected, rtol=1e-5, atol=1e-6)
        assert all(space.contains(action) for action in exported)


def test_bounds_are_the_largest_box_of_float32_inside() -> None:
    low, high = np.array([-0.1, 0.1, -np.inf, -1e300]), np.array([0.3, 0.7, 1e300, np.inf])
    found = actions.bounds(Box(low, high, dtype=np.float64))
    assert found is not None and found[0].dtype == found[1].dtype == np.float32
    assert (found[0] >= low).all() and (found[1] <= high).all()
    with np.errstate(over="ignore"):
        wider = np.nextafter(found, np.float32([[-np.inf], [np.inf]]))
    assert ((wider[0] < low) | np.isinf(low)).all() and ((wider[1] > high) | np.isinf(high)).all()
    exact = Box(-0.5, 2, (2,), np.float32)
    np.testing.assert_array_equal(actions.bounds(exact), [exact.low, exact.high])


@pytest.mark.parametrize("space", [Box(-1, 1, (2,)), Discrete(3)])
def test_common_actions_stay_as_they_are(space: Any) -> None:
    given = np.array([0, 1]).astype(space.dtype)
    found = actions.to_task(given, space)
    assert found.dtype == given.dtype and actions.from_zero(space) == space
    np.testing.assert_array_equal(found, given)


@pytest.mark.filterwarnings("ignore")
def test_stable_baselines3_is_refused_where_bounds_are_infinite(tmp_path: Path) -> None:
    space = Box(np.array([-1, 0]), np.array([1, np.inf]), dtype=np.float64)
    env_id = register("ReproUnbounded", action_space=space)
    line = f"env=gymnasium env.id={env_id} {ALGORITHMS['sb3_ppo']}"
    with pytest.raises(ConfigError, match=f"{env_id} has action space Box.*sb3_ppo.*finite"):
        finish(tmp_path, line)
    assert not store.run_directories(tmp_path)
