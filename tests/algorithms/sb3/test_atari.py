"""Stable-Baselines3 on Atari: its own training to the last bit, whole games in the tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import DummyVecEnv
from torch import nn

from repro.algorithms.sb3 import algorithm
from repro.config.schema import Config
from repro.errors import ConfigError
from repro.runs import store
from repro.training import pack
from tests.helpers.atari_oracles import gymnasium_game
from tests.helpers.configs import compose

CPU = torch.device("cpu")
# 4 iterations: of powers of 2 are the same bits, whichever way a schedule is written.
SMALL = {
    "sb3_ppo": "algorithm.minibatch_size=32 algorithm.epochs=1",
    "sb3_a2c": "algorithm.learning_rate=1e-4",
}
COMMON = "env=atari env.game=breakout env.num_envs=4 algorithm.horizon=32"
# So that games end, by their time limit, and not on the second step of FIRE: docs/atari.md.
COMMON += " env.atari.max_game_frames=450"
STEPS = 512


def small(name: str, *further: str) -> Config:
    words = f"{COMMON} algorithm={name} {SMALL[name]} total_timesteps={STEPS}"
    return compose(*words.split(), *further, "progress=false")


class A3CFeatures(BaseFeaturesExtractor):
    """Section 6.4's network, as the documentation of Stable-Baselines3 has custom ones."""

    def __init__(self, space: Any) -> None:
        super().__init__(space, features_dim=256)
        self.cnn = nn.Sequential(
            nn.Conv2d(4, 16, 8, 4), nn.ReLU(), nn.Conv2d(16, 32, 4, 2), nn.ReLU(), nn.Flatten()
        )
        self.linear = nn.Sequential(nn.Linear(32 * 9 * 9, 256), nn.ReLU())

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        features: torch.Tensor = self.linear(self.cnn(observations))
        return features


def by_hand(name: str, network: str, envs: DummyVecEnv) -> OnPolicyAlgorithm:
    """Settings as its zoo has them for PPO, and Baselines for A2C; the rest its defaults."""
    kwargs: dict[str, Any] = {"ent_coef": 0.01, "vf_coef": 0.5, "seed": 3, "device": "cpu"}
    policy: dict[str, Any] = {} if network == "cnn_nature" else {"net_arch": []}
    if network == "cnn_a3c":
        policy["features_extractor_class"] = A3CFeatures

    def annealed(value: float) -> Any:  # from the first of 4 iterations on, as ours
        return lambda left: value * (left + 1 / 4)

    if name == "sb3_ppo":
        kwargs |= {"learning_rate": annealed(2.5e-4), "clip_range": annealed(0.1)}
        kwargs |= {"n_steps": 32, "batch_size": 32, "n_epochs": 1}
        return PPO("CnnPolicy", envs, policy_kwargs=policy, **kwargs)
    policy |= {"optimizer_kwargs": {"alpha": 0.99, "eps": 1e-5}}
    policy |= {"optimizer_class": torch.optim.RMSprop}
    kwargs |= {"learning_rate": annealed(1e-4), "n_steps": 32, "use_rms_prop": False}
    return A2C("CnnPolicy", envs, policy_kwargs=policy, **kwargs)


@pytest.mark.parametrize(("name", "network"), [("sb3_ppo", "cnn_nature"), ("sb3_a2c", "cnn_a3c")])
def test_parameters_are_those_of_its_own_learn(name: str, network: str) -> None:
    """On other people's wrappers, with the scores of the `Monitor`s below them."""
    plain = ["algorithm.rmsprop=torch"] if name == "sb3_a2c" else []
    config = small(name, f"policy={network}", "seed=3", *plain)
    assert config.env.atari is not None and config.env.atari.stack_padding == "zero"
    ours = algorithm.StableBaselines3(config, CPU)
    records = list(ours.train())
    assert [record.number for record in records] == [1, 2, 3, 4]
    atari = config.env.atari
    envs = DummyVecEnv([lambda: gymnasium_game("breakout", atari, Monitor)] * 4)
    theirs = by_hand(name, network, envs)
    start = algorithm.policy_state(theirs.policy)
    theirs.learn(STEPS)
    expected, state = algorithm.policy_state(theirs.policy), ours.state(0)
    assert sorted(state) == sorted(expected)
    for key, array in expected.items():
        np.testing.assert_array_equal(state[key], array, err_msg=key)
        assert (start[key] != array).any(), key
    assert_games([record.episodes[0] for record in records], envs)
    assert records[1].metrics["learning_rate"][0] == pytest.approx(
        0.75 * config.algorithm.learning_rate
    )
    for record in records:
        for column in ("value_loss", "entropy", "kl", "surrogate"):
            assert np.isfinite(record.metrics[column][0]), column


def assert_games(found: list[Any], envs: DummyVecEnv) -> None:
    """Scores are what each game's `Monitor` had, lengths the learner's steps between ends."""
    games = [
        game
        for each in found
        for game in zip(each.actor, each.step, each.returns, each.length, strict=True)
    ]
    for actor, env in enumerate(envs.envs):
        own = [game for game in games if game[0] == actor]
        while not isinstance(env, Monitor):
            env = env.env
        assert [score for _, _, score, _ in own] == env.episode_returns
        ends = np.array([0] + [step for _, step, _, _ in own]) // len(envs.envs)
        assert [length for *_, length in own] == np.diff(ends).tolist()
    assert len(games) >= 4 and any(score > 0 for _, _, score, _ in games)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("algorithm=sb3_trpo", "share the convolutions, but algorithm=sb3_trpo"),
        ("algorithm=sb3_ppo recipe=paper", "(of recipe=paper) has no counterpart"),
        ("algorithm=sb3_ppo policy.shared=false", "say policy.shared=true"),
        ("algorithm=sb3_ppo env.atari.screen_size=20 env.atari.frame_stack=21",
         "env.atari.frame_stack=21 has no counterpart for algorithm=sb3_ppo"),
        ("algorithm=sb3_ppo recipe.value_clip=0.1 recipe.value_clip_schedule=linear",
         "recipe.value_clip_schedule=linear has no counterpart"),
    ],
)  # fmt: skip
def test_what_it_cannot_do_is_one_sentence(line: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        compose("env=atari", "env.game=pong", *line.split())
    assert sentence in str(refusal.value) and "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("env=atari env.game=pong policy=mlp", "policy=mlp takes flat Box observations"),
        ("env=atari env.game=pong env.atari.screen_size=9", "raise env.atari.screen_size"),
        ("env=hopper policy=cnn_nature", "policy=cnn_nature takes frames"),
    ],
)
def test_networks_that_do_not_fit_are_refused_as_ours_are(line: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        algorithm.StableBaselines3(compose(*line.split(), "algorithm=sb3_ppo"), CPU)


@pytest.mark.parametrize("name", ["sb3_ppo", "sb3_a2c"])
def test_a_run_has_the_columns_of_ours(name: str, tmp_path: Path) -> None:
    config = small(name, "env.atari.screen_size=44", f"runs_dir={tmp_path}")
    (outcome,) = pack.run_pack([config])
    assert outcome.status == store.DONE
    progress = store.read_table(outcome.directory / "progress.parquet")
    episodes = store.read_table(outcome.directory / "episodes.parquet")
    assert list(episodes) == list(store.EPISODES) and list(progress) == list(store.PROGRESS)
    assert len(episodes) >= 4 and progress["step"].tolist() == [128, 256, 384, 512]
    info = store.read_run(outcome.directory)
    assert (info["env_id"], info["recipe"], info["pack_size"]) == ("breakout", "sb3", 1)
