"""The batched MuJoCo environments against Gymnasium's own, to the last bit."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import gymnasium
import mujoco
import numpy as np
import pytest

import repro.envs
from repro.envs.mujoco.expressions import evaluate, load, sum_of_squares
from repro.envs.mujoco.vector import MujocoVectorEnv, supported_ids
from tests.helpers.mujoco_solo import Array, Solo, action_stream

pytestmark = pytest.mark.filterwarnings("ignore:.*out of date.*:DeprecationWarning")

ALL_IDS = supported_ids()
ENDLESS = ("HalfCheetah", "HumanoidStandup", "Pusher", "Reacher", "Swimmer")
"""Tasks that only the time limit ends."""
SLOW = ("Ant", "Humanoid")
SEEDS = [3, 11, 11, 2**31]
INTEGRATION = mujoco.mjtState.mjSTATE_INTEGRATION


def terminates(env_id: str) -> bool:
    return not env_id.startswith(ENDLESS)


@pytest.mark.parametrize("env_id", ALL_IDS)
def test_bit_equal_to_gymnasium(env_id: str) -> None:
    batched, solo = MujocoVectorEnv(env_id, len(SEEDS)), Solo(env_id, len(SEEDS))
    assert np.array_equal(batched.reset(seed=SEEDS)[0], solo.reset(list(SEEDS)))
    steps, least = (120, 5) if env_id.startswith(SLOW) else (330, 20)
    for actions, _ in zip(action_stream(env_id, len(SEEDS)), range(steps), strict=False):
        solo.check_step(batched, actions)
    assert solo.terminations > least if terminates(env_id) else solo.terminations == 0


@pytest.mark.parametrize("env_id", ALL_IDS)
def test_bit_equal_through_a_short_time_limit(env_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is the registered one; terminations and truncations mix, and may coincide."""
    monkeypatch.setattr(gymnasium.registry[env_id], "max_episode_steps", 6)
    batched, solo = MujocoVectorEnv(env_id, 5), Solo(env_id, 5)
    batched.reset(seed=40)
    solo.reset([40, 41, 42, 43, 44])
    steps = 40 if env_id.startswith(SLOW) else 120
    for actions, _ in zip(action_stream(env_id, 5, seed=1), range(steps), strict=False):
        solo.check_step(batched, actions)
    assert solo.truncations > 5
    if env_id.startswith("Inverted"):
        assert solo.terminations > 5


ENDLESSLY = {"terminate_when_unhealthy": False}
SHOWING = {"exclude_current_positions_from_observation": False}
ARGUMENTS: list[tuple[str, dict[str, Any]]] = [
    ("Ant-v4", {"use_contact_forces": True, "contact_force_range": (-0.5, 0.7), **ENDLESSLY}),
    ("Ant-v5", {"include_cfrc_ext_in_observation": False, "main_body": "aux_1", **SHOWING}),
    ("HalfCheetah-v4", {"forward_reward_weight": 0.7, "ctrl_cost_weight": 0.3, **SHOWING}),
    ("Hopper-v4", {"healthy_reward": 0.3, "healthy_z_range": (1.1, 1.3), **ENDLESSLY}),
    ("Hopper-v5", {"healthy_state_range": (-2.0, 2.0), "frame_skip": 2, "max_episode_steps": 9}),
    ("Humanoid-v4", {"healthy_z_range": (1.3, 1.5), **SHOWING, **ENDLESSLY}),
    ("Humanoid-v5", {"contact_cost_range": (0.1, 0.2), "include_cinert_in_observation": False}),
    ("HumanoidStandup-v5", {"impact_cost_weight": 1e-3, "include_cvel_in_observation": False}),
    ("InvertedDoublePendulum-v5", {"healthy_reward": 3.0, "reset_noise_scale": 0.3}),
    ("Pusher-v5", {"reward_near_weight": 0.7, "reward_control_weight": 0.3}),
    ("Reacher-v5", {"reward_dist_weight": 0.7, "reward_control_weight": 0.3}),
    ("Swimmer-v4", {"reset_noise_scale": 0.3, **SHOWING}),
    ("Walker2d-v5", {"healthy_angle_range": (-0.1, 0.1), **SHOWING, **ENDLESSLY}),
]


@pytest.mark.parametrize(("env_id", "kwargs"), ARGUMENTS)
def test_bit_equal_with_arguments_of_the_constructor(env_id: str, kwargs: dict[str, Any]) -> None:
    batched, solo = MujocoVectorEnv(env_id, 2, kwargs), Solo(env_id, 2, kwargs)
    assert np.array_equal(batched.reset(seed=[1, 2])[0], solo.reset([1, 2]))
    for actions, _ in zip(action_stream(env_id, 2), range(40), strict=False):
        solo.check_step(batched, actions)


@pytest.mark.parametrize("env_id", ["InvertedPendulum-v4", "InvertedPendulum-v5"])
def test_a_balanced_pole_is_cut_at_the_registered_limit(env_id: str) -> None:
    """Environments 0 and 1 balance until step 1000, while 2 and 3 fall again and again."""
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
    """MuJoCo 4 resets such a state itself, so that the test writes it into the task's arrays."""
    env = MujocoVectorEnv(env_id, 4)
    env.reset(seed=0)
    env._qpos[1, 0], env._qvel[2, 1], env._qpos[3, 1] = np.nan, np.inf, np.nan
    rewards, terminated = np.zeros(4), np.zeros(4, dtype=np.bool_)
    env.task.step(np.zeros((4, 1)), np.zeros((4, 4)), rewards, terminated)
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
        cost = sum_of_squares(load("action", actuators, own_dtype=True))
        found = evaluate(cost, {"action": layout}, {})[:, 0]
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
