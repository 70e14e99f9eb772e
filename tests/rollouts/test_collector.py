"""Collection and normalization against Gymnasium, NumPy and Stable-Baselines3."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
import torch
from stable_baselines3.common.running_mean_std import RunningMeanStd

from repro.algorithms.ppo import PPO
from repro.learning.normalize import ObservationNormalizer, RewardScaler, RunningMoments
from repro.rollouts.rollout import Rollout
from tests.helpers.configs import Compose
from tests.helpers.learners import Learners


def drawn(ppo: PPO, rollout: Rollout) -> np.ndarray:
    """The actions of a learner's rollout, [T, N, A]: what unclipped environments get."""
    shape = (ppo.collector.horizon, ppo.collector.num_envs, -1)
    return rollout.actions[0].numpy().reshape(shape)


@pytest.mark.parametrize("env", ["hopper", "reacher"])
def test_a_rollout_is_what_gymnasium_gives_for_the_same_actions(
    config: Compose, learners: Learners, env: str
) -> None:
    own = config(f"env={env}", "env.num_envs=2", "algorithm.horizon=256", "seed=5")
    ppo = learners([own])
    rollout = ppo.collector.collect(1)
    actions = drawn(ppo, rollout)
    raw = ppo.collector._seen.raw[0]
    found = rollout.episodes[0]
    expected: list[tuple[int, int, float, int]] = []
    for actor, seed in enumerate(ppo.streams[0].env_seeds(2)):
        task = gymnasium.make(own.env.id)
        observation, _ = task.reset(seed=seed)
        total, length = 0.0, 0
        for t, action in enumerate(actions):
            np.testing.assert_array_equal(raw[t, actor], observation)
            observation, reward, terminated, truncated, _ = task.step(action[actor])
            assert rollout.rewards[0, t, actor] == np.float32(reward)
            assert rollout.terminated[0, t, actor] == terminated
            assert rollout.truncated[0, t, actor] == truncated
            total, length = total + float(reward), length + 1
            if terminated or truncated:
                expected.append((2 * (t + 1), actor, total, length))
                observation, _ = task.reset()
                total, length = 0.0, 0
    assert len(expected) > 4
    rows = zip(found.step, found.actor, found.returns, found.length, strict=True)
    assert sorted(rows) == sorted(expected)


def test_only_the_environment_sees_clipped_actions(config: Compose, learners: Learners) -> None:
    shape = ("env.num_envs=20", "algorithm.horizon=16")
    for clipped in (False, True):
        own = config("env=half_cheetah", f"recipe.clip_actions={clipped}", *shape)
        ppo = learners([own])
        kept = drawn(ppo, ppo.collector.collect(1))[-1]
        assert np.abs(kept).max() > 1.5
        sent = ppo.collector.envs.simulations.field("ctrl")  # type: ignore[attr-defined]
        np.testing.assert_array_equal(sent, np.clip(kept, -1, 1) if clipped else kept)


def test_running_moments_are_those_of_all_samples() -> None:
    rng = np.random.default_rng(0)
    batches = [rng.normal(3, 2, size=(2, m, 4)) for m in (1, 1, 7, 50)]
    moments = RunningMoments(2, 4, count=1e-12)
    for batch in batches:
        moments.update(batch)
    everything = np.concatenate(batches, axis=1)
    np.testing.assert_allclose(moments.mean, everything.mean(1), rtol=1e-9)
    np.testing.assert_allclose(moments.variance, everything.var(1), rtol=1e-9)


def test_running_moments_equal_stable_baselines3() -> None:
    rng = np.random.default_rng(1)
    ours, theirs = RunningMoments(1, 3, count=1e-4), RunningMeanStd(epsilon=1e-4, shape=(3,))
    for _ in range(20):
        batch = rng.normal(size=(1, 5, 3))
        ours.update(batch)
        theirs.update(batch[0])
    np.testing.assert_allclose(ours.mean[0], theirs.mean, rtol=1e-12)
    np.testing.assert_allclose(ours.variance[0], theirs.var, rtol=1e-12)


def test_observation_normalizer_of_ppo1_has_a_floor_and_a_clip(config: Compose) -> None:
    recipe = config("env=hopper").recipe
    normalizer = ObservationNormalizer(1, 2, recipe)
    samples = np.random.default_rng(0).normal([5.0, 1.0], [2.0, 1e-4], size=(1, 5000, 2))
    normalizer.observe_step(samples)  # a recipe that updates once a rollout ignores steps
    out = np.zeros((1, 3, 2), np.float32)
    probe = np.array([[[7.0, 1.0], [500.0, 1.05], [5.0, 0.9]]])
    normalizer.apply(probe, out)
    np.testing.assert_allclose(out, np.clip(probe, -5, 5))
    normalizer.observe_rollout(samples)
    normalizer.apply(probe, out)
    np.testing.assert_allclose(out[0, :, 0], [1.0, 5.0, 0.0], atol=0.05)
    np.testing.assert_allclose(out[0, :, 1], [0.0, 0.5, -1.0], atol=0.01)  # std 0.1, not 1e-4


def test_rollout_normalization_changes_at_the_end_of_the_rollout(
    config: Compose, learners: Learners
) -> None:
    ppo = learners([config("env=half_cheetah", "algorithm.horizon=64")])
    rollout = ppo.collector.collect(1)
    raw = torch.from_numpy(ppo.collector._seen.raw[0, :, 0]).float()
    torch.testing.assert_close(rollout.inputs[0], raw.clamp(-5, 5))
    before = rollout.inputs.clone()
    ppo.collector.renormalize(rollout)
    assert not torch.equal(before, rollout.inputs)
    assert float(rollout.inputs[0].mean(0).abs().max()) < 0.05


def test_step_normalization_equals_gymnasium(config: Compose, learners: Learners) -> None:
    """CleanRL's wrappers: NormalizeObservation and NormalizeReward of Gymnasium, then a clip."""
    own = config("env=hopper", "recipe=cleanrl", "algorithm.horizon=256", "seed=3")
    ppo = learners([own])
    rollout = ppo.collector.collect(1)
    task = gymnasium.wrappers.NormalizeObservation(gymnasium.make(own.env.id))
    task = gymnasium.wrappers.NormalizeReward(task, gamma=own.algorithm.gamma)
    observation, _ = task.reset(seed=ppo.streams[0].env_seeds(1)[0])
    ends = 0
    # The environments get them clipped.
    for t, action in enumerate(np.clip(drawn(ppo, rollout), -1, 1)):
        np.testing.assert_allclose(
            rollout.inputs[0, t], np.clip(observation, -10, 10), rtol=1e-4, atol=1e-5
        )
        observation, reward, terminated, truncated, _ = task.step(action[0])
        expected = np.clip(reward, -10, 10)
        np.testing.assert_allclose(rollout.rewards[0, t, 0], expected, rtol=1e-4, atol=1e-5)
        if terminated or truncated:
            # From here on the two differ: ours, like ppo2's VecNormalize, never sees the last
            # observation of an episode.
            ends += 1
            break
    assert ends and t > 8


@pytest.mark.parametrize("reset", ["never", "termination", "episode"])
def test_reward_accumulator(config: Compose, reset: str) -> None:
    recipe = config("env=hopper", "recipe=ppo2", f"recipe.reward_accumulator_reset={reset}").recipe
    scaler = RewardScaler(1, np.array([0.5]), recipe)
    one = np.ones((1, 1))
    for kind in ("none", "truncated", "none", "terminated", "none"):
        scaler.apply(one, one * (kind == "terminated") > 0, one * (kind == "truncated") > 0)
    expected = {"never": 1.9375, "termination": 1.5, "episode": 1.0}
    assert scaler.returns[0, 0] == expected[reset]
    scaler.apply(one, one < 0, one > 0)
    assert scaler.returns[0, 0] == (0 if reset == "episode" else expected[reset] / 2 + 1)


def test_returns_are_of_unscaled_rewards(config: Compose, learners: Learners) -> None:
    overrides = ("env=reacher", "algorithm.horizon=64", "recipe=ppo2", "recipe.clip_actions=false")
    scaled = learners([config(*overrides)])
    plain = learners([config(*overrides, "recipe.reward_scaling=false")])
    one, other = (ppo.collector.collect(1) for ppo in (scaled, plain))
    assert one.episodes[0].returns == other.episodes[0].returns
    assert not torch.allclose(one.rewards, other.rewards)


def test_schedules_and_the_end_of_a_run(config: Compose, learners: Learners) -> None:
    base = ("env=hopper", "algorithm.horizon=128", "total_timesteps=640", "algorithm.epochs=1")
    linear = learners([config(*base, "recipe=ppo2")])
    rates = [record.metrics["learning_rate"][0] for record in linear.train()]
    np.testing.assert_allclose(rates, 3e-4 * (1 - np.arange(5) / 5))
    for end, iterations in (("floor", 3), ("reach", 4)):
        uneven = learners([config(*base, f"recipe.end_of_run={end}", "total_timesteps=500")])
        assert len(list(uneven.train())) == iterations


def test_ppo1_counts_the_steps_of_finished_episodes_only(
    config: Compose, learners: Learners
) -> None:
    """Reacher's episodes last 50 steps: 128-step rollouts finish 100, then 150, 100, ..."""
    base = ("env=reacher", "recipe=ppo1", "algorithm.horizon=128", "total_timesteps=300")
    records = list(learners([config(*base, "algorithm.epochs=1")]).train())
    assert len(records) == 3
    done = np.array([0, 100 / 300, 250 / 300])
    for name, start in (("learning_rate", 3e-4), ("epsilon", 0.2)):
        found = [record.metrics[name][0] for record in records]
        np.testing.assert_allclose(found, start * (1 - done), rtol=1e-6)
