"""The batched MuJoCo environments: seeds, saved states, returned arrays, and what they refuse."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from repro.envs.mujoco.vector import MujocoVectorEnv, supported_ids
from repro.errors import ConfigError
from tests.helpers.mujoco_solo import Array, Solo, action_stream
from tests.helpers.states import through_files

pytestmark = pytest.mark.filterwarnings("ignore:.*out of date.*:DeprecationWarning")

ALL_IDS = supported_ids()


def test_seeds_as_in_gymnasium() -> None:
    env, solo = MujocoVectorEnv("Hopper-v4", 3), Solo("Hopper-v4", 3)
    assert np.array_equal(env.reset(seed=10)[0], solo.reset([10, 11, 12]))
    assert np.array_equal(env.reset()[0], solo.reset([None, None, None]))
    assert np.array_equal(env.reset(seed=[None, 0, None])[0], solo.reset([None, 0, None]))
    assert np.array_equal(env.reset(seed=np.array([1, 2, 3]))[0], solo.reset([1, 2, 3]))
    assert np.array_equal(env.reset(seed=np.int64(10))[0], solo.reset([10, 11, 12]))


def test_without_a_seed_streams_start_from_fresh_entropy() -> None:
    one, other = MujocoVectorEnv("Hopper-v4", 2), MujocoVectorEnv("Hopper-v4", 2)
    rows = np.concatenate([one.reset()[0], other.reset()[0]])
    assert len(np.unique(rows, axis=0)) == 4


def test_a_reset_in_mid_episode_restarts_the_step_count() -> None:
    env, solo = MujocoVectorEnv("Reacher-v5", 2), Solo("Reacher-v5", 2)
    env.reset(seed=0)
    solo.reset([0, 1])
    actions = np.zeros((2, 2), dtype=np.float32)
    for _ in range(30):
        solo.check_step(env, actions)
    assert np.array_equal(env.reset()[0], solo.reset([None, None]))
    for _ in range(50):
        assert solo.truncations == 0
        solo.check_step(env, actions)
    assert solo.truncations == 2


@pytest.mark.parametrize("stop_after", [0, 37, 61])
@pytest.mark.parametrize("env_id", ALL_IDS)
def test_a_restored_environment_goes_on_bit_equal(
    env_id: str, stop_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped right after the reset, in mid-episode, and right after an automatic reset (61)."""
    monkeypatch.setattr(gymnasium.registry[env_id], "max_episode_steps", 61)
    original, restored = MujocoVectorEnv(env_id, 3), MujocoVectorEnv(env_id, 3)
    original.reset(seed=[5, 6, 7])
    restored.reset(seed=0)
    actions = action_stream(env_id, 3)
    for _ in range(stop_after):
        original.step(next(actions))
    for _ in range(20):
        restored.step(next(actions))

    state = original.state()
    before = through_files(state)
    restored.set_state(through_files(state))
    assert np.array_equal(original.observations, restored.observations)
    ends = 0
    for _ in range(130 - stop_after):
        action = next(actions)
        expected, found = original.step(action), restored.step(action)
        for mine, theirs in zip(expected[:4], found[:4], strict=True):
            assert np.array_equal(mine, theirs)
        ends += int(np.sum(expected[2] | expected[3]))
    assert ends >= 3
    assert all(np.array_equal(state[key], before[key]) for key in before), "state() is a copy"


def test_returned_arrays_are_reused_and_have_the_promised_types() -> None:
    env = MujocoVectorEnv("InvertedDoublePendulum-v4", 3)
    first_observation, _ = env.reset(seed=0)
    actions = np.full((3, 1), 1.0, dtype=np.float32)
    first = env.step(actions)
    assert first[0] is first_observation is env.observations
    copies = [array.copy() for array in first[:4]]
    second = env.step(-actions)
    assert all(a is b for a, b in zip(first[:4], second[:4], strict=True))
    assert not np.array_equal(copies[0], first[0])
    assert not np.array_equal(copies[1], first[1])
    dtypes = [array.dtype for array in first[:4]]
    assert dtypes == [np.float64, np.float64, np.bool_, np.bool_]
    assert [array.shape for array in first[:4]] == [(3, 11), (3,), (3,), (3,)]
    while not (ended := env.step(actions)[4]):
        pass
    assert ended["final_obs"].dtype == np.float64
    assert ended["final_obs"].shape == (3, 11)


def test_simulate_does_the_physics_of_a_step_and_nothing_else() -> None:
    stepped, simulated = MujocoVectorEnv("Walker2d-v4", 4), MujocoVectorEnv("Walker2d-v4", 4)
    stepped.reset(seed=0)
    simulated.reset(seed=0)
    observations = simulated.observations.copy()
    actions = np.full((4, 6), 0.3, dtype=np.float32)
    stepped.step(actions)
    simulated.simulate(actions)
    one, other = stepped.state(), simulated.state()
    assert np.array_equal(one["integration"], other["integration"])
    assert np.array_equal(simulated.observations, observations)
    assert (one["elapsed"] - other["elapsed"]).tolist() == [1, 1, 1, 1]


def test_spaces_and_metadata_are_gymnasiums() -> None:
    for env_id in ALL_IDS:
        env, solo = MujocoVectorEnv(env_id, 2), gymnasium.make(env_id)
        assert env.single_observation_space == solo.observation_space
        assert env.single_action_space == solo.action_space
        assert env.observation_space.contains(env.reset(seed=0)[0])
        assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP


@pytest.mark.parametrize(
    ("env_id", "message"),
    [
        ("HalfChetah-v4", "did you mean HalfCheetah-v4"),
        ("HalfCheetah-v3", "did you mean HalfCheetah-v"),
        ("Hammer-v4", "has no environment 'Hammer-v4'"),
        ("", "it has Ant-v4, Ant-v5, HalfCheetah-v4"),
    ],
)
def test_an_unknown_id_is_refused_with_the_nearest(env_id: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MujocoVectorEnv(env_id, 1)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(env_id: str, **_: object) -> None:
        raise ModuleNotFoundError("No module named 'imageio'", name="imageio")

    monkeypatch.setattr(gymnasium, "make", fail)
    with pytest.raises(ConfigError, match=r'imageio.*pip install "gymnasium\[mujoco\]"'):
        MujocoVectorEnv("Hopper-v4", 1)


def test_wrong_calls_are_refused() -> None:
    with pytest.raises(ConfigError, match="num_envs is 0"):
        MujocoVectorEnv("Hopper-v4", 0)
    env = MujocoVectorEnv("Hopper-v4", 2)
    good = np.zeros((2, 3), dtype=np.float32)
    with pytest.raises(gymnasium.error.ResetNeeded):
        env.step(good)
    with pytest.raises(ConfigError, match="got 3 seeds for 2 environments"):
        env.reset(seed=[1, 2, 3])
    with pytest.raises(ConfigError, match="no reset options"):
        env.reset(options={"x": 1})
    env.reset(seed=0)
    refused: list[Array] = [good[:1], good[0], np.zeros((2, 1)), good.astype(np.int64)]
    for bad in refused:
        with pytest.raises(ValueError, match=r"float actions of shape \(2, 3\)"):
            env.step(bad)


def test_a_state_that_does_not_fit_is_refused() -> None:
    state = MujocoVectorEnv("Hopper-v4", 2).state()
    with pytest.raises(ConfigError, match="number of environments 2, but this one has 3"):
        MujocoVectorEnv("Hopper-v4", 3).set_state(state)
    with pytest.raises(ConfigError, match="env_id Hopper-v4, but this one has Walker2d-v4"):
        MujocoVectorEnv("Walker2d-v4", 2).set_state(state)
    with pytest.raises(ConfigError, match=r"mujoco 3\.0\.0"):
        MujocoVectorEnv("Hopper-v4", 2).set_state(state | {"mujoco": "3.0.0"})
