"""The batched MuJoCo environments against Gymnasium's own, to the last bit."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import mujoco
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from numpy.typing import NDArray

import repro.envs
from repro.envs.mujoco.task import squared_norm
from repro.envs.mujoco.vector import MujocoVectorEnv, supported_ids
from repro.errors import ConfigError

pytestmark = pytest.mark.filterwarnings("ignore:.*out of date.*:DeprecationWarning")

ALL_IDS = supported_ids()
ENDLESS = ("HalfCheetah", "Reacher", "Swimmer")
"""Tasks that only the time limit ends."""
SEEDS = [3, 11, 11, 2**31]
INTEGRATION = mujoco.mjtState.mjSTATE_INTEGRATION

Array = NDArray[Any]


def terminates(env_id: str) -> bool:
    return not env_id.startswith(ENDLESS)


def action_stream(env_id: str, num_envs: int, seed: int = 0) -> Iterator[Array]:
    """Blocks of small, unclipped and extreme actions, in both dtypes."""
    rng = np.random.default_rng(seed)
    size = gymnasium.spec(env_id).make(disable_env_checker=True).action_space.shape
    assert size is not None
    while True:
        for scale in (0.1, 1.0, 100.0):
            for dtype in (np.float32, np.float64):
                for _ in range(11):
                    yield (scale * rng.standard_normal((num_envs, *size))).astype(dtype)


class Solo:
    """Gymnasium's environments, each made, stepped and reset alone."""

    def __init__(self, env_id: str, num_envs: int) -> None:
        self.envs = [gymnasium.make(env_id, disable_env_checker=True) for _ in range(num_envs)]
        self.terminations = self.truncations = 0

    def reset(self, seeds: list[int | None]) -> Array:
        return np.array(
            [env.reset(seed=seed)[0] for env, seed in zip(self.envs, seeds, strict=True)]
        )

    def check_step(self, batched: MujocoVectorEnv, actions: Array) -> None:
        """Step both; every number of every environment must be equal to the last bit."""
        observations, rewards, terminated, truncated, infos = batched.step(actions)
        for i, env in enumerate(self.envs):
            last, reward, ended, cut, _ = env.step(actions[i])
            if ended or cut:
                self.terminations += ended
                self.truncations += cut
                assert infos["_final_obs"][i]
                assert np.array_equal(infos["final_obs"][i], last)
                last = env.reset()[0]
            else:
                assert "_final_obs" not in infos or not infos["_final_obs"][i]
            assert np.array_equal(observations[i], last)
            assert np.array_equal(rewards[i], np.float64(float(reward)), equal_nan=True)
            assert (terminated[i], truncated[i]) == (ended, cut)


@pytest.mark.parametrize("env_id", ALL_IDS)
def test_bit_equal_to_gymnasium(env_id: str) -> None:
    batched, solo = MujocoVectorEnv(env_id, len(SEEDS)), Solo(env_id, len(SEEDS))
    assert np.array_equal(batched.reset(seed=SEEDS)[0], solo.reset(list(SEEDS)))
    steps = 500 if terminates(env_id) else 1010
    for actions, _ in zip(action_stream(env_id, len(SEEDS)), range(steps), strict=False):
        solo.check_step(batched, actions)
    if terminates(env_id):
        assert solo.terminations > 20
    else:
        assert solo.truncations >= len(SEEDS)
        assert solo.terminations == 0


@pytest.mark.parametrize("env_id", ALL_IDS)
def test_bit_equal_through_a_short_time_limit(env_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is the registered one; terminations and truncations mix, and may coincide."""
    monkeypatch.setattr(gymnasium.registry[env_id], "max_episode_steps", 6)
    batched, solo = MujocoVectorEnv(env_id, 5), Solo(env_id, 5)
    batched.reset(seed=40)
    solo.reset([40, 41, 42, 43, 44])
    for actions, _ in zip(action_stream(env_id, 5, seed=1), range(120), strict=False):
        solo.check_step(batched, actions)
    assert solo.truncations > 5
    if env_id.startswith("Inverted"):
        assert solo.terminations > 5


@pytest.mark.parametrize("env_id", ["InvertedPendulum-v4", "InvertedPendulum-v5"])
def test_a_balanced_pole_is_cut_at_the_registered_limit(env_id: str) -> None:
    """Environments 0 and 1 balance to step 1000; 2 and 3 fall and start again meanwhile."""
    batched, solo = MujocoVectorEnv(env_id, 4), Solo(env_id, 4)
    batched.reset(seed=7)
    solo.reset([7, 8, 9, 10])
    gains = np.outer([1.0, 1.0, 0.0, -1.0], [2.0, 20.0, 2.0, 3.0])
    for _ in range(1000):
        control = (batched.observations * gains).sum(axis=1, keepdims=True)
        solo.check_step(batched, control.astype(np.float32))
    assert solo.truncations == 2
    assert solo.terminations > 20


@pytest.mark.parametrize("env_id", ALL_IDS)
def test_bit_equal_when_actions_or_states_are_not_finite(env_id: str) -> None:
    batched, solo = MujocoVectorEnv(env_id, 3), Solo(env_id, 3)
    batched.reset(seed=0)
    solo.reset([0, 1, 2])
    size = batched.single_action_space.shape
    for value in (np.nan, np.inf, -np.inf, 1e300, 0.5):
        actions = np.full((3, *(size or ())), 0.1)
        actions[1, 0] = value
        with np.errstate(over="ignore", invalid="ignore"):
            solo.check_step(batched, actions)

    # MuJoCo resets a simulation whose state has become huge, in the middle of a step.
    state = batched.state()
    state["integration"][1, 1] = 1e12
    batched.set_state(state)
    inner: Any = solo.envs[1].unwrapped
    mujoco.mj_setState(inner.model, inner.data, state["integration"][1], INTEGRATION)
    for _ in range(3):
        solo.check_step(batched, np.full((3, *(size or ())), 0.1))


@pytest.mark.parametrize("env_id", ["InvertedPendulum-v4", "InvertedPendulum-v5"])
def test_a_pendulum_whose_state_is_not_finite_ends_its_episode(env_id: str) -> None:
    """MuJoCo 4 never leaves such a state behind, so it is written straight into the task's view."""
    env = MujocoVectorEnv(env_id, 4)
    env.reset(seed=0)
    env._qpos[1, 0], env._qvel[2, 1], env._qpos[3, 1] = np.nan, np.inf, np.nan
    rewards, terminated = np.zeros(4), np.zeros(4, dtype=np.bool_)
    env._task.score(np.zeros((4, 1)), rewards, terminated)
    assert terminated.tolist() == [False, True, True, True]
    assert rewards.tolist() == ([1, 1, 1, 1] if env_id.endswith("v4") else [1, 0, 0, 0])


def test_diverging_simulations_are_silent_and_leave_no_log(tmp_path: Path) -> None:
    program = (
        "import numpy as np; from repro.envs.mujoco.vector import MujocoVectorEnv\n"
        "env = MujocoVectorEnv('Walker2d-v4', 2); env.reset(seed=0)\n"
        "env.step(np.full((2, 6), np.nan, dtype=np.float32))\n"
    )
    root = str(Path(repro.envs.__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": root, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("env_id", ["HalfCheetah-v4", "Reacher-v4", "InvertedDoublePendulum-v5"])
def test_a_member_does_not_depend_on_its_neighbors(env_id: str) -> None:
    alone, together = MujocoVectorEnv(env_id, 1), MujocoVectorEnv(env_id, 7)
    alone.reset(seed=5)
    together.reset(seed=[9, 9, 9, 5, 1, 2, 3])
    for actions, _ in zip(action_stream(env_id, 7), range(80), strict=False):
        own = alone.step(actions[3:4])
        all_of_them = together.step(actions)
        for mine, theirs in zip(own[:4], all_of_them[:4], strict=True):
            assert np.array_equal(mine[0], theirs[3])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("actuators", [1, 2, 6, 9, 17])
def test_control_cost_is_summed_as_for_one_action(actuators: int, dtype: type) -> None:
    rng = np.random.default_rng(0)
    actions: Array = rng.standard_normal((33, actuators)).astype(dtype)
    expected = np.array([np.sum(np.square(action)) for action in actions])
    assert expected.dtype == dtype
    for layout in (actions, np.asfortranarray(actions), actions[:, ::-1][:, ::-1]):
        found = squared_norm(layout)
        assert np.array_equal(found, expected)
        assert found.dtype == dtype


@pytest.mark.parametrize("env_id", ["Hopper-v4", "Hopper-v5"])
def test_a_hopper_that_moves_too_fast_ends_its_episode(env_id: str) -> None:
    """The only ending that random actions never reach."""
    batched, solo = MujocoVectorEnv(env_id, 2), Solo(env_id, 2)
    batched.reset(seed=0)
    solo.reset([0, 1])
    inner: Any = solo.envs[1].unwrapped
    state = batched.state()
    forward_velocity = 1 + inner.model.nq
    state["integration"][1, forward_velocity] = 150.0
    batched.set_state(state)
    mujoco.mj_setState(inner.model, inner.data, state["integration"][1], INTEGRATION)
    solo.check_step(batched, np.zeros((2, 3)))
    assert solo.terminations == 1


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


def through_files(state: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint does: arrays through .npz without pickle, the rest through JSON."""
    file = io.BytesIO()
    named: dict[str, Any] = {k: v for k, v in state.items() if isinstance(v, np.ndarray)}
    np.savez(file, **named)
    text = json.dumps({k: v for k, v in state.items() if not isinstance(v, np.ndarray)})
    file.seek(0)
    arrays: dict[str, Any] = dict(np.load(file, allow_pickle=False).items())
    return {**arrays, **json.loads(text)}


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
    for _ in range(310 - stop_after):
        action = next(actions)
        expected, found = original.step(action), restored.step(action)
        for mine, theirs in zip(expected[:4], found[:4], strict=True):
            assert np.array_equal(mine, theirs)
        ends += int(np.sum(expected[2] | expected[3]))
    assert ends >= 3
    assert all(np.array_equal(state[key], before[key]) for key in before), "state() is a copy"


def assert_same_infos(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        if key == "final_obs":
            continue
        if isinstance(value, dict):
            assert_same_infos(found[key], value)
            continue
        assert np.array_equal(found[key], value), key
        assert found[key].dtype == value.dtype, key


@pytest.mark.parametrize("env_id", ALL_IDS)
def test_infos_equal_gymnasiums_when_asked(env_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gymnasium.registry[env_id], "max_episode_steps", 13)
    env = MujocoVectorEnv(env_id, 3, with_infos=True)
    sync = SyncVectorEnv(
        [lambda: gymnasium.make(env_id, disable_env_checker=True)] * 3,
        autoreset_mode=AutoresetMode.SAME_STEP,
    )
    assert_same_infos(env.reset(seed=0)[1], sync.reset(seed=0)[1])
    with_end = without_end = 0
    for actions, _ in zip(action_stream(env_id, 3), range(66), strict=False):
        found, expected = env.step(actions)[4], sync.step(actions)[4]
        assert_same_infos(found, expected)
        with_end += "final_info" in expected
        without_end += "final_info" not in expected
    assert min(with_end, without_end) > 3


def test_infos_are_empty_unless_asked() -> None:
    env = MujocoVectorEnv("HalfCheetah-v5", 2)
    assert env.reset(seed=0)[1] == {}
    assert env.step(np.zeros((2, 6), dtype=np.float32))[4] == {}


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
        ("Humanoid-v4", "has no environment 'Humanoid-v4'"),
        ("", "it has HalfCheetah-v4, HalfCheetah-v5, Hopper-v4"),
    ],
)
def test_an_unknown_id_is_refused_with_the_nearest(env_id: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        MujocoVectorEnv(env_id, 1)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(env_id: str) -> None:
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


def test_make_chooses_the_backend() -> None:
    assert isinstance(repro.envs.make("Hopper-v4", "mujoco", 2), MujocoVectorEnv)
    with pytest.raises(ConfigError, match="did you mean mujoco"):
        repro.envs.make("Hopper-v4", "mujoc", 2)
    with pytest.raises(ConfigError, match="choose one of mujoco, gymnasium"):
        repro.envs.make("Hopper-v4", "envpool", 2)
