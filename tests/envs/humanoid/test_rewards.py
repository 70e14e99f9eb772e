"""Each term of the reward and the observation against an oracle; what the potential ignores."""

from __future__ import annotations

import numpy as np
import pytest

from repro.envs.humanoid import rewards
from repro.envs.humanoid.rules import ids
from repro.envs.humanoid.vector import HumanoidVectorEnv
from tests.helpers.roboschool import Oracle

N = 3


@pytest.mark.parametrize("task_id", ids())
def test_every_term_and_the_observation_against_the_oracle(task_id: str) -> None:
    """Through falls, moved flags, ends of episodes, and contacts of the feet."""
    name, _, version = task_id.removeprefix("repro/").rpartition("-")
    env = HumanoidVectorEnv(task_id, N)
    env.reset(seed=3)
    oracles = [Oracle(env.model, name, version) for _ in range(N)]
    rng = np.random.default_rng(0)
    qpos, qvel = env.batch.bind("qpos"), env.batch.bind("qvel")
    feet = np.zeros((N, 2), bool)
    seen = dict.fromkeys(rewards.TERMS, 0.0)
    for oracle, flag in zip(oracles, env.flag.place, strict=True):
        oracle.look(qpos[oracles.index(oracle)], qvel[oracles.index(oracle)])
        oracle.start(flag)
    for step in range(130):
        action = rng.normal(0, 0.4, (N, 17)).astype(np.float32)
        states, flags = env.batch.state.copy(), env.flag.place.copy()
        kinds = env._starts.kind.copy()
        # Some flags are due, so that moved flags are among what is compared.
        if step % 40 == 20 and env.rules.flagrun:
            env.flag.steps_left[:] = 1
        thrown = env.cube is not None and env.cube.due(env._elapsed, env._ground_steps)
        total, terminated, truncated, infos = env.advance(action)
        for i, oracle in enumerate(oracles):
            after, touched = oracle.physics(states[i], action[i])
            assert np.array_equal(after[:24], qpos[i, :24]), "the physics are four plain substeps"
            oracle.look(qpos[i], qvel[i])
            place = env.flag.place[i]
            moved = not np.array_equal(place, flags[i])
            expected = oracle.terms(
                action[i].astype(float), touched, place, moved, bool(kinds[i] == 0)
            )
            for term, value in expected.items():
                assert infos[f"reward_{term}"][i] == pytest.approx(value, abs=1e-9), (step, term)
                seen[term] = max(seen[term], abs(value))
            assert total[i] == pytest.approx(sum(expected.values()), abs=1e-9)
            assert terminated[i] == (expected["alive"] < 0)
            expected_observation = oracle.observation(place, feet[i])
            assert env.observations[i] == pytest.approx(expected_observation, abs=1e-9)
            feet[i] = ["floor" in names for names in touched]
            assert not np.any(thrown) or qpos.shape[1] > 24
        done = terminated | truncated
        if done.any():
            rows = np.flatnonzero(done)
            env._start_episodes(rows)
            feet[rows] = False
            for i in rows:
                oracles[i].look(qpos[i], qvel[i])
                oracles[i].start(env.flag.place[i])
    assert min(seen.values()) > 0 or "feet_collision" in seen, seen


def test_crawling_nets_zero() -> None:
    """Whatever is covered below 0.8 m earns nothing, then or later; what is run earns all."""
    crawl, potential = rewards.Crawl(1), []
    heights = [1.0, 1.0, 0.5, 0.5, 0.5, 1.0, 1.0, 0.6, 1.0, 1.0]
    progress = [0.0, 2.0, 5.0, 9.0, 7.0, 10.0, 13.0, 20.0, 22.0, 23.0]
    for z, p in zip(heights, progress, strict=True):
        once = crawl.apply(np.array([z]), np.array([p])).copy()
        assert np.array_equal(crawl.apply(np.array([z]), np.array([p])), once), "idempotent"
        potential.append(float(once[0]))
    earned = np.diff(potential)
    # A fall or a rise belongs to the step at whose end it is seen, as in the original: of a fall
    # the whole step counts as run, of a rise as run as well.
    on_feet = np.array([2.0, 3.0, 0.0, 0.0, 3.0, 3.0, 7.0, 2.0, 1.0])
    assert earned == pytest.approx(on_feet)


@pytest.mark.parametrize("name", ["HumanoidFlagrun", "HumanoidFlagrunHarder"])
def test_no_reward_for_a_flag_that_moves(name: str) -> None:
    env = HumanoidVectorEnv(f"repro/{name}-v0", 4)
    env.reset(seed=0)
    action = np.zeros((4, 17))
    for step in range(12):
        env.flag.steps_left[:] = 1  # every flag moves in every step
        before = env.flag.place.copy()
        infos = env.step(action)[-1]
        assert (env.flag.place != before).all()
        assert np.array_equal(infos["reward_progress"], np.zeros(4)), step
    env.flag.steps_left[:] = 200
    assert np.abs(env.step(action)[-1]["reward_progress"]).max() < 60, "nor in the step after"
