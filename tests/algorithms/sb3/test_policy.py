"""A policy of Stable-Baselines3 that is loaded acts as the trained model did."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from repro.algorithms.sb3 import mapping as sb3_mapping
from repro.algorithms.sb3 import policy as sb3_policy
from repro.errors import ConfigError, CorruptError
from repro.runs import store
from repro.runs.finished import open_run
from repro.training import pack
from repro.training.loop import Training
from tests.helpers.configs import compose
from tests.helpers.sb3_runs import CARTPOLE, FILTER, small

TASKS = ("env=reacher", f"env=hopper {FILTER}", CARTPOLE)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    (outcome,) = pack.run_pack([small("sb3_ppo", "env=reacher", f"runs_dir={tmp_path}")])
    return outcome.directory


@pytest.mark.parametrize("task", TASKS)
def test_it_acts_as_the_model_did(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models: list[Any] = []
    make = sb3_mapping.make_model

    def keep(*arguments: Any) -> Any:
        models.append(make(*arguments))
        return models[-1]

    monkeypatch.setattr(sb3_mapping, "make_model", keep)
    (outcome,) = pack.run_pack([small("sb3_a2c", task, f"runs_dir={tmp_path}")])
    policy = sb3_policy.load(open_run(outcome.directory))
    env = sb3_mapping.make_env(policy.config.env)
    env.reset(seed=0)
    observations = np.stack([env.step(env.action_space.sample())[0] for _ in range(5)])
    normalizer = models[0].get_vec_normalize_env()
    seen = normalizer.normalize_obs(observations) if normalizer else observations
    for deterministic in (True, False):
        torch.manual_seed(3)
        expected, _ = models[0].predict(seen, deterministic=deterministic)
        torch.manual_seed(3)
        actions = policy.predict(observations, deterministic)
        np.testing.assert_array_equal(actions, expected)
        assert actions.shape == (5, *env.action_space.shape)
    if normalizer:
        assert not np.array_equal(policy.policy.predict(observations)[0], expected)


def test_parameters_that_the_run_did_not_write_are_refused(run: Path) -> None:
    finished = open_run(run)
    parameters = sb3_policy.load(finished).policy.state_dict()
    np.savez(run / "parameters.npz", **{name: x.numpy() + 1 for name, x in parameters.items()})
    with pytest.raises(CorruptError, match="not the file that its run wrote"):
        sb3_policy.load(finished)


def test_parameters_of_other_networks_are_refused(run: Path) -> None:
    config = small("sb3_ppo", "env=reacher", "policy.hidden_sizes=[32,64]")
    with pytest.raises(CorruptError, match="does not fit the networks"):
        sb3_policy.Policy(config, store.read_parameters(run))


def test_a_run_of_another_algorithm_is_refused(tmp_path: Path) -> None:
    config = compose("env=reacher", "budget=smoke", f"runs_dir={tmp_path}")
    pack.run_pack([config])
    with pytest.raises(ConfigError, match=r"is a run of ppo, not of sb3_\*"):
        sb3_policy.load(open_run(config.directory))


def test_training_that_has_no_checkpoints_takes_none() -> None:
    training = Training([small("sb3_ppo", "env=reacher")])
    assert training.checkpoint(0) is None
    with pytest.raises(CorruptError, match="has no checkpoints"):
        training.restore(0, {})
