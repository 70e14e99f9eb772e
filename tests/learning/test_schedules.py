"""With `schedule_timesteps` a run is the beginning of a longer one, to the last bit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from repro.errors import ConfigError
from tests.helpers.configs import Compose
from tests.helpers.learners import Learners
from tests.helpers.tiny import TINY, TINY_PPO, result, train

SIZES = {
    "ppo": TINY_PPO,
    "a2c": ("algorithm.horizon=16", "env.num_envs=2"),
    "sb3_ppo": TINY_PPO,
}
LINES = [
    "algorithm=ppo recipe=ppo2 recipe.value_clip_schedule=linear",
    "algorithm=ppo recipe=ppo1 recipe.learning_rate_schedule=linear recipe.epsilon_schedule=linear",
    "algorithm=a2c algorithm.learning_rate_schedule=linear",
    "algorithm=sb3_ppo recipe.learning_rate_schedule=linear recipe.epsilon_schedule=linear",
]


@pytest.mark.parametrize("line", LINES)
def test_it_begins_as_the_longer_run_does(config: Compose, tmp_path: Path, line: str) -> None:
    name = line.split()[0].removeprefix("algorithm=")
    words = ["env=inverted_pendulum", *TINY, *SIZES[name], *line.split(), f"runs_dir={tmp_path}"]
    whole, beginning, short = (
        result(train([config(*words, *lengths)])[0].directory)
        for lengths in (
            ("total_timesteps=640",),
            ("total_timesteps=256", "schedule_timesteps=640"),
            ("total_timesteps=256",),
        )
    )
    for table in ("progress", "episodes"):
        seen = whole[table][: len(beginning[table])]
        assert 0 < len(seen) < len(whole[table])
        pd.testing.assert_frame_equal(beginning[table], seen, check_exact=True)
    own = short["progress"]["learning_rate"]
    assert (own[1:] < whole["progress"]["learning_rate"][1 : len(own)]).all(), "not annealed"


def test_runs_without_it_are_named_as_ever(config: Compose) -> None:
    plain = config("env=hopper")
    assert "schedule_timesteps" not in plain.as_dict()
    longer = config("env=hopper", "recipe=ppo2", "schedule_timesteps=2000000")
    assert longer.as_dict()["schedule_timesteps"] == 2_000_000
    assert longer.updates == config("env=hopper", "recipe=ppo2").updates < longer.schedule_updates


@pytest.mark.parametrize(
    ("line", "culprit"),
    [
        ("recipe=ppo2 schedule_timesteps=100000", "is less than total_timesteps=1000000"),
        ("recipe=ppo2 schedule_timesteps=0", "schedule_timesteps=0"),
        ("recipe=paper schedule_timesteps=2000000", "no schedule is linear"),
        # A2C has a schedule of its own, and does without the recipe's.
        ("algorithm=a2c algorithm.learning_rate_schedule=constant", "no schedule is linear"),
    ],
)
def test_what_it_cannot_mean_is_refused(config: Compose, line: str, culprit: str) -> None:
    words = line.split()
    if not any(word.startswith("schedule_timesteps") for word in words):
        words.append("schedule_timesteps=2000000")
    with pytest.raises(ConfigError, match=culprit):
        config("env=hopper", *words)


@pytest.mark.parametrize("engine", ["torch", "native"])
def test_a_schedule_has_the_standard_deviations_and_the_optimizer_not(
    config: Compose, tmp_path: Path, engine: str
) -> None:
    """Linear from the first iteration on, also in a run that is the beginning of a longer one."""
    line = (
        "env=inverted_pendulum recipe.initial_log_std=-0.7 recipe.log_std_schedule=linear "
        f"recipe.final_log_std=-1.6 engine={engine} algorithm.entropy_coef=1 runs_dir={tmp_path} "
        "total_timesteps=128 schedule_timesteps=320"
    )
    (done,) = train([config(*TINY, *TINY_PPO, *line.split())])
    left = result(done.directory)
    expected = -0.7 - 0.9 * np.arange(4) / 10
    np.testing.assert_allclose(left["progress"]["std"], np.exp(expected), rtol=1e-6)
    np.testing.assert_allclose(left["parameters"]["log_std"], expected[-1], rtol=1e-6)


def test_the_step_size_follows_the_kl(config: Compose, tmp_path: Path) -> None:
    line = "env=inverted_pendulum recipe.learning_rate_schedule=kl"
    members = [f"{line} recipe.learning_rate_target_kl={kl}" for kl in (1e-9, 10.0)]
    words = [*TINY, *TINY_PPO, f"runs_dir={tmp_path}", "total_timesteps=320"]
    low, high = (
        result(each.directory)["progress"]["learning_rate"]
        for each in train([config(*words, *member.split()) for member in members])
    )
    np.testing.assert_allclose(low, 3e-4 / 1.5 ** np.arange(10))
    np.testing.assert_allclose(high, np.minimum(3e-4 * 1.5 ** np.arange(10), 1e-2))


@pytest.mark.parametrize(
    ("line", "culprit"),
    [
        ("recipe.learning_rate_schedule=kl", "needs a value of recipe.learning_rate_target_kl"),
        ("recipe.learning_rate_target_kl=0.01", "changes nothing without recipe.learning_rate_s"),
        ("recipe.log_std_schedule=linear", "needs a value of recipe.final_log_std"),
        ("recipe.final_log_std=-1", "changes nothing without recipe.log_std_schedule=linear"),
        (
            "algorithm=vpg recipe.log_std_schedule=linear recipe.final_log_std=0",
            "has no meaning for algorithm=vpg",
        ),
        ("algorithm=sb3_ppo recipe.learning_rate_schedule=kl", "no counterpart"),
        ("env=humanoid env.humanoid.flag_stps=3", "did you mean env.humanoid.flag_steps"),
    ],
)
def test_switches_without_effect_are_refused(config: Compose, line: str, culprit: str) -> None:
    with pytest.raises(ConfigError, match=culprit):
        config("env=hopper", *line.split())


def test_discrete_actions_have_no_standard_deviation(config: Compose, learners: Learners) -> None:
    words = "env=gymnasium env.id=CartPole-v1 recipe.log_std_schedule=linear recipe.final_log_std=0"
    with pytest.raises(ConfigError, match="not for those of CartPole"):
        learners([config(*words.split())])
