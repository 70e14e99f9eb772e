"""With `schedule_timesteps` a run is the beginning of a longer one, to the last bit."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from repro.errors import ConfigError
from tests.helpers.configs import Compose
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
