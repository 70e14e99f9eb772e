"""The preprocessing of Atari made of the wrappers of Gymnasium and Stable-Baselines3."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import ale_py
import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import AtariPreprocessing, FrameStackObservation
from stable_baselines3.common import atari_wrappers as sb3

from repro.config.atari import AtariConfig
from repro.envs.atari.vector import AtariVectorEnv
from tests.helpers.configs import compose

PLAIN = {"episodic_life": False, "fire_reset": False, "clip_rewards": False}


@functools.cache
def _standard() -> AtariConfig:
    atari = compose("env=atari", "env.game=pong").env.atari
    assert atari is not None
    return atari


def settings(**changes: Any) -> AtariConfig:
    """The settings of `conf/env/atari.yaml` with changes."""
    return dataclasses.replace(_standard(), **changes)


class Scores(gymnasium.Wrapper):
    """Sums up the game's own rewards, below all other wrappers."""

    def __init__(self, env: gymnasium.Env) -> None:
        super().__init__(env)
        self.score, self.scores = 0.0, []

    def reset(self, **kwargs: Any) -> Any:
        self.score = 0.0
        return self.env.reset(**kwargs)

    def step(self, action: Any) -> Any:
        observation, reward, terminated, truncated, info = self.env.step(action)
        self.score += reward
        if terminated or truncated:
            self.scores.append(self.score)
        return observation, reward, terminated, truncated, info


def gymnasium_game(
    game: str, config: AtariConfig, record: Callable[[gymnasium.Env], gymnasium.Env] = Scores
) -> gymnasium.Env:
    """One game through the wrappers in Baselines' order; `record` wraps the game itself."""
    env: gymnasium.Env = ale_py.AtariEnv(
        game,
        frameskip=1,
        repeat_action_probability=0.0,
        max_num_frames_per_episode=config.max_game_frames,
    )
    env = record(env)
    if config.sticky_actions:
        env = sb3.StickyActionEnv(env, config.sticky_actions)
    env = AtariPreprocessing(env, noop_max=config.noop_max, frame_skip=config.frame_skip)
    if config.episodic_life:
        env = sb3.EpisodicLifeEnv(env)
    if config.fire_reset and "FIRE" in env.unwrapped.get_action_meanings():
        env = sb3.FireResetEnv(env)
    if config.clip_rewards:
        env = sb3.ClipRewardEnv(env)
    return FrameStackObservation(env, config.frame_stack, padding_type=config.stack_padding)


def scores(env: gymnasium.Env) -> Scores:
    """The `Scores` in a chain of wrappers."""
    while not isinstance(env, Scores):
        env = env.env
    return env


def compare(game: str, config: AtariConfig, steps: int, num_envs: int = 1, seed: int = 7) -> Any:
    """Assert that ours and the wrappers return the same for the same random actions.

    Returns:
        Number of ended episodes, number of ended games, and the sum of the rewards.
    """
    ours = AtariVectorEnv(game, num_envs, config)
    makers: list[Callable[[], gymnasium.Env]] = [lambda: gymnasium_game(game, config)] * num_envs
    theirs = SyncVectorEnv(makers, autoreset_mode=AutoresetMode.SAME_STEP)
    rng = np.random.default_rng(seed)
    found, expected = ours.reset(seed=seed)[0], theirs.reset(seed=seed)[0]
    np.testing.assert_array_equal(found, expected)
    ends, finished, total = 0, [[] for _ in range(num_envs)], 0.0
    for step in range(steps):
        actions = rng.integers(ours.single_action_space.n, size=num_envs)
        found, rewards, terminated, truncated, infos = ours.step(actions)
        expected, *others, their_infos = theirs.step(actions)
        where = f"{game}, step {step}"
        np.testing.assert_array_equal(found, expected, err_msg=where)
        for own, other in zip((rewards, terminated, truncated), others, strict=True):
            np.testing.assert_array_equal(own, other, err_msg=where)
        if (terminated | truncated).any():
            ended = infos["_final_obs"]
            np.testing.assert_array_equal(ended, their_infos["_final_obs"])
            finals = np.stack(list(their_infos["final_obs"][ended]))
            np.testing.assert_array_equal(infos["final_obs"][ended], finals, err_msg=where)
        for i in np.flatnonzero(infos.get("_episode", np.zeros(num_envs, bool))):
            finished[i].append(infos["episode"]["r"][i])
        ends, total = ends + int((terminated | truncated).sum()), total + float(rewards.sum())
    their_scores = [scores(env).scores for env in theirs.envs]
    assert finished == their_scores, "whole games, unclipped"
    return ends, sum(map(len, finished)), total
