"""The environments' contract: states, packs, symmetry, Gymnasium's checks."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from repro.envs.gymnasium import GymnasiumVectorEnv
from repro.envs.humanoid.rewards import TERMS
from repro.envs.humanoid.rules import ids
from repro.envs.humanoid.vector import HumanoidVectorEnv
from repro.errors import ConfigError
from tests.helpers.states import through_files

pytestmark = pytest.mark.filterwarnings("ignore:.*out of date.*:DeprecationWarning")

V0 = [each for each in ids() if each.endswith("v0")]
HARDER = V0[-1]


@pytest.mark.parametrize("task_id", [*V0, ids()[-1]])
def test_a_restored_environment_goes_on_bit_equal(task_id: str) -> None:
    """Into other rows of a larger batch, through falls, throws, moved flags and resets."""
    original, restored = HumanoidVectorEnv(task_id, 2), HumanoidVectorEnv(task_id, 5)
    original.reset(seed=[5, 6])
    restored.reset(seed=0)
    rng = np.random.default_rng(0)
    original._elapsed[:] = 95  # so that cubes are thrown and flags moved soon
    if original.rules.flagrun:
        original.flag.steps_left[:] = 45
    for _ in range(30):
        original.step(rng.normal(0, 0.4, (2, 17)).astype(np.float32))
        restored.step(rng.normal(0, 0.4, (5, 17)).astype(np.float32))
    restored.set_state(through_files(original.state()), slice(2, 4))
    assert np.array_equal(original.observations, restored.observations[2:4])
    ends = 0
    for _ in range(70):
        actions = rng.normal(0, 0.4, (5, 17)).astype(np.float32)
        expected, found = original.step(actions[2:4]), restored.step(actions)
        for mine, theirs in zip(expected[:4], found[:4], strict=True):
            assert np.array_equal(mine, theirs[2:4])
        ends += int(np.sum(expected[2] | expected[3]))
    assert ends or original.rules.harder
    mine, theirs = original.state(), restored.state(slice(2, 4))
    for name, value in mine.items():
        assert np.array_equal(value, theirs[name]), name
    with pytest.raises(ConfigError, match="has number of environments 2"):
        restored.set_state(original.state())


def test_one_alone_is_bit_equal_to_one_of_a_batch_and_to_gymnasiums() -> None:
    batch, single = HumanoidVectorEnv(HARDER, 4), gymnasium.make(HARDER)
    batch.reset(seed=7)
    first, _ = single.reset(seed=9)
    assert np.array_equal(first, batch.observations[2])
    rng = np.random.default_rng(1)
    for _ in range(180):
        actions = rng.normal(0, 0.5, (4, 17)).astype(np.float32)
        observations, rewards, terminated, _, infos = batch.step(actions)
        found = single.step(actions[2])
        assert found[1] == rewards[2] and found[2] == terminated[2]
        assert found[4]["reward_alive"] == infos["reward_alive"][2]
        if terminated[2]:
            assert found[0].tolist() == infos["final_obs"][2].tolist()
            assert found[4]["speed"] == infos["measures"]["speed"][2]
            assert np.array_equal(single.reset()[0], observations[2])
        else:
            assert np.array_equal(found[0], observations[2])


def test_starting_some_episodes_anew_leaves_the_others() -> None:
    env, twin = HumanoidVectorEnv(HARDER, 3), HumanoidVectorEnv(HARDER, 3)
    env.reset(seed=0)
    for _ in range(20):
        env.step(np.zeros((3, 17)))
    twin.reset(seed=1)
    twin.set_state(env.state())
    env.restart(slice(1, 2), [77])
    twin.restart(slice(1, 2), [77])
    for _ in range(5):
        mine, theirs = env.step(np.zeros((3, 17))), twin.step(np.zeros((3, 17)))
        assert np.array_equal(mine[0], theirs[0]) and np.array_equal(mine[1], theirs[1])


@pytest.mark.parametrize("task_id", V0)
def test_gymnasium_finds_nothing_wrong(task_id: str) -> None:
    check_env(gymnasium.make(task_id).unwrapped, skip_render_check=True)


def test_the_gymnasium_backend_can_save_it() -> None:
    env = GymnasiumVectorEnv("repro/HumanoidFlagrun-v0", 1)
    env.reset(seed=0)
    state = through_files(env.state())
    expected = env.step(np.zeros((1, 17), np.float32))[0].copy()
    env.step(np.zeros((1, 17), np.float32))
    env.set_state(state)
    assert np.array_equal(env.step(np.zeros((1, 17), np.float32))[0], expected)


def _turn(env: HumanoidVectorEnv, angle: float, shift: np.ndarray) -> None:
    """Turn and shift the humanoid, its motion and the flag."""
    from scipy.spatial.transform import Rotation

    turn = Rotation.from_euler("z", angle)
    torso = Rotation.from_quat(env._qpos[0, 3:7], scalar_first=True)
    env._qpos[0, :3] = turn.apply(env._qpos[0, :3]) + np.array([*shift, 0])
    env._qpos[0, 3:7] = (turn * torso).as_quat(scalar_first=True)
    qvel = env.batch.bind("qvel")
    qvel[0, :3] = turn.apply(qvel[0, :3])
    env.flag.place[0] = turn.apply([*env.flag.place[0], 0])[:2] + shift


def _mirror(env: HumanoidVectorEnv) -> None:
    """Reflect the humanoid, its motion and the flag at the plane y = 0."""
    signs, order = mirrored_joints()
    qpos, qvel = env._qpos[0], env.batch.bind("qvel")[0]
    qpos[1] *= -1
    qpos[[4, 6]] *= -1  # quaternion: rotations about x and z turn around
    qpos[7:24] = signs * qpos[7:24][order]
    qvel[1] *= -1
    qvel[[3, 5]] *= -1
    qvel[6:23] = signs * qvel[6:23][order]
    env.flag.place[0, 1] *= -1


def mirrored_joints() -> tuple[np.ndarray, np.ndarray]:
    """Signs and indices of the joints, in the order of the actions, on the other side."""
    legs = [7, 8, 9, 10, 3, 4, 5, 6]
    signs = np.array([-1, 1, -1] + [1] * 8 + [-1, -1, 1] * 2, float)
    return signs, np.array([0, 1, 2, *legs, 14, 15, 16, 11, 12, 13])


def _seen(env: HumanoidVectorEnv) -> np.ndarray:
    env.batch.forward(np.array([0], np.int32))
    env.body.measure()
    env._observe()
    return env.observations[0].copy()


def test_what_is_seen_does_not_depend_on_place_and_heading() -> None:
    env = HumanoidVectorEnv("repro/HumanoidFlagrun-v0", 1)
    env.reset(seed=4)
    for _ in range(10):
        env.step(np.random.default_rng(0).normal(0, 0.4, (1, 17)))
    before = _seen(env)
    _turn(env, 1.234, np.array([3.0, -7.0]))
    assert _seen(env) == pytest.approx(before, abs=1e-9)


def test_a_mirrored_humanoid_sees_and_earns_the_mirror_image() -> None:
    env = HumanoidVectorEnv("repro/HumanoidFlagrun-v0", 1)
    env.reset(seed=4)
    rng, (signs, order) = np.random.default_rng(0), mirrored_joints()
    for _ in range(10):
        env.step(rng.normal(0, 0.4, (1, 17)))
    state, action = env.state(), rng.normal(0, 0.4, (1, 17))
    plain = env.step(action)
    plain_seen, plain_reward = plain[0][0].copy(), float(plain[1][0])
    env.set_state(state)
    _mirror(env)
    env._distance[:] = state["distance"]
    found = env.step(signs * action[:, order])
    expected = plain_seen.copy()
    expected[[1, 4, 6]] *= -1  # sine of the angle, sideways speed, roll
    joints = plain_seen[8:42].reshape(17, 2)
    expected[8:42] = (signs[:, None] * joints[order]).ravel()
    expected[[42, 43]] = plain_seen[[43, 42]]
    assert found[0][0] == pytest.approx(expected, abs=1e-6)
    assert float(found[1][0]) == pytest.approx(plain_reward, abs=1e-5)


@pytest.mark.parametrize(("steps", "n"), [(150, 4), pytest.param(3200, 32, marks=pytest.mark.slow)])
def test_random_steps_are_finite_and_named(steps: int, n: int) -> None:
    """With actions far outside of the box, too: 102,400 steps in the slow form."""
    env = HumanoidVectorEnv(HARDER, n)
    env.reset(seed=0)
    rng = np.random.default_rng(0)
    for step in range(steps):
        scale = (0.5, 1.0, 20.0)[step % 3]
        observations, rewards, _, _, infos = env.step(rng.normal(0, scale, (n, 17)))
        assert np.isfinite(observations).all() and np.isfinite(rewards).all()
        assert (np.abs(observations) <= 5).all()
        named = sum(infos[f"reward_{name}"] for name in TERMS)
        assert rewards == pytest.approx(named, abs=1e-9)
