"""The replay returns what was put in: segments of real tasks, beside plain copies of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from repro.rollouts.replay import Observation, Replay
from tests.helpers.configs import Compose
from tests.helpers.learners import Learners

SMALL = "algorithm=acer env.num_envs=3 algorithm.replay_size=24 algorithm.replay_start=0"
CARTPOLE = f"{SMALL} env=gymnasium env.id=CartPole-v1 algorithm.horizon=4 recipe=sb3"
GAME = f"env=atari env.game=breakout {SMALL} policy.hidden_sizes=[16] env.atari.screen_size=44"


def record(pack: Any, iterations: int) -> list[dict[str, np.ndarray]]:
    """Whole copies of every segment, with the stacks that the environments returned."""
    seen: list[np.ndarray] = [pack.collector._observations.copy()]
    observe = pack.collector._seen.observe

    def listen(observations: np.ndarray) -> None:
        seen.append(observations.copy())
        observe(observations)

    pack.collector._seen.observe = listen
    kept = []
    for iteration in range(1, iterations + 1):
        rollout = pack.collector.collect(iteration)
        pack.replay.add(rollout, pack.collector.newest())
        shape = rollout.rewards.shape
        kept.append(
            {
                "observations": np.stack(seen[-shape[1] - 1 :], axis=1),
                "actions": rollout.actions.numpy().reshape(shape).astype(np.int64),
                "rewards": rollout.rewards.numpy().copy(),
                "logits": rollout.old.logits.numpy().reshape(*shape, -1).copy(),
                "terminated": rollout.terminated.numpy().copy(),
                "truncated": rollout.truncated.numpy().copy(),
            }
        )
    return kept


def assert_returns(replay: Replay, kept: list[dict[str, np.ndarray]]) -> None:
    """A number of its own for each learner and actor, several times."""
    rng = np.random.default_rng(0)
    learners, _, num_envs = kept[0]["rewards"].shape
    for _ in range(20):
        numbers = rng.integers(replay.count - replay.size, replay.count, (learners, num_envs))
        found = replay.take(numbers)
        for p in range(learners):
            for n in range(num_envs):
                expected = kept[numbers[p, n]]
                steps = found.observations[p].reshape(-1, num_envs, *found.observations.shape[2:])
                np.testing.assert_array_equal(steps[:, n], expected["observations"][p, :, n])
                for name in set(expected) - {"observations"}:
                    one = getattr(found, name)[p, :, n]
                    np.testing.assert_array_equal(one, expected[name][p, :, n], strict=True)


@pytest.mark.parametrize(
    "line",
    [
        CARTPOLE,
        f"{GAME} algorithm.horizon=8",
        f"{GAME} algorithm.horizon=8 env.atari.stack_padding=reset",
        f"{GAME} algorithm.horizon=2",  # a stack reaches into two segments before
    ],
)
def test_it_returns_what_was_put_in(config: Compose, learners: Learners, line: str) -> None:
    pack = learners([config(*line.split(), f"seed={seed}") for seed in (0, 1)])
    capacity = pack.replay.capacity
    horizon = pack.config.algorithm.horizon
    rounds = max(3 * capacity + 1, 100 // horizon)
    kept = record(pack, rounds)
    assert sum(int(each["terminated"].sum()) for each in kept[-capacity:]) > 0
    assert pack.replay.size == capacity == 24 // horizon
    assert_returns(pack.replay, kept)
    for p in range(2):
        segments = pack.replay.checkpoint(p)["segments"]
        assert segments.end == rounds and segments.first <= rounds + 1 - capacity


def test_a_state_of_before_the_last_segment_can_still_be_saved(
    config: Compose, learners: Learners
) -> None:
    """A run is saved as it was after an iteration, when the next one may be under way."""
    line = f"{GAME} algorithm.horizon=8".split()
    pack = learners([config(*line)])
    kept = record(pack, 7)
    state = pack.replay.checkpoint(0)
    kept += record(pack, 1)
    other = learners([config(*line)]).replay
    other.restore(0, state)  # reads what `pack` holds now
    assert other.count == 7
    rollout = pack.collector._rollout([])
    other.add(rollout, pack.collector.newest())
    assert_returns(other, kept)


def test_memory_is_told_and_frames_are_kept_once() -> None:
    frames = Observation((84, 84), np.uint8, 4, zeros=True)
    rngs = [np.random.default_rng(0)]
    replay = Replay((1, 20, 16), 4, 50000 // 20, frames, rngs)  # the defaults of Atari
    per_step = 84 * 84 + 1 + 4 + 4 + 4 * 4 + 1 + 1
    assert replay.nbytes == pytest.approx(50000 * 16 * per_step, rel=0.002)
    assert replay.nbytes / 2**30 == pytest.approx(5.3, abs=0.05)
