"""Environments of any registered id, against Gymnasium's own `SyncVectorEnv`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import (
    Box,
    Dict,
    Discrete,
    MultiBinary,
    MultiDiscrete,
    Space,
    Text,
    Tuple,
    flatdim,
)
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.vector.utils import batch_space

import repro.envs
from repro.envs.gymnasium import GymnasiumVectorEnv
from repro.errors import ConfigError, TaskError
from tests.helpers.spaces import Checks, register
from tests.helpers.states import through_files

FLAT = Box(-1, 1, (2,))


class Bare(gymnasium.Env[Any, Any]):
    """An environment with the given spaces and nothing else."""

    def __init__(self, **spaces: Space[Any]) -> None:
        self.observation_space = spaces.get("observation_space", FLAT)
        self.action_space = spaces.get("action_space", FLAT)


@pytest.fixture
def bare_id() -> Iterator[str]:
    gymnasium.register("ReproBare-v0", Bare)
    yield "ReproBare-v0"
    del gymnasium.registry["ReproBare-v0"]


class Walker(gymnasium.Env[Any, Any]):
    """With `reuse` it returns the same array every time, and changes and keeps its actions."""

    observation_space = Box(-np.inf, np.inf, (2,), np.float64)
    action_space = FLAT

    def __init__(self, reuse: bool) -> None:
        self.reuse, self.where, self.previous = reuse, np.zeros(2), np.zeros(2, np.float32)

    def observe(self) -> np.ndarray:
        return self.where if self.reuse else self.where.copy()

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, Any]:
        super().reset(seed=seed)
        self.where[:] = self.np_random.normal(size=2)
        return self.observe(), {}

    def step(self, action: np.ndarray) -> Any:
        if not self.reuse:
            action = action.copy()
        self.where += action + 0.1 * self.previous
        self.previous = action
        action *= 0.5
        return self.observe(), self.where.sum(), bool(abs(self.where).max() > 3), False, {}


gymnasium.register("ReproReuses-v0", Walker, kwargs={"reuse": True})
gymnasium.register("ReproCopies-v0", Walker, kwargs={"reuse": False})


def rollout(env: GymnasiumVectorEnv, actions: np.ndarray) -> list[np.ndarray]:
    """All that an environment returns for [T, N, A] actions, handed over in one reused array."""
    buffer = np.zeros_like(actions[0])
    trace = [env.reset(seed=3)[0].copy()]
    for action in actions:
        buffer[:] = action
        *results, infos = env.step(buffer)
        np.testing.assert_array_equal(buffer, action, err_msg="a task changed its caller's action")
        ended = infos.get("_final_obs", np.zeros(env.num_envs, bool))
        trace += [each.copy() for each in results] + [env._final_observations[ended].copy()]
    return trace


def test_nothing_is_shared_with_a_task_that_reuses_its_arrays() -> None:
    traces = []
    for env_id in ("ReproReuses-v0", "ReproCopies-v0"):
        env = GymnasiumVectorEnv(env_id, 3)
        traces.append(rollout(env, np.random.default_rng(0).normal(size=(60, 3, 2))))
    assert sum(len(finals) for finals in traces[0][5::5]) > 5
    for one, other in zip(*traces, strict=True):
        np.testing.assert_array_equal(one, other)


class Double(Bare):
    """Its observations are more precise than the dtype of its space."""

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, Any]:
        super().reset(seed=seed)
        return self.np_random.uniform(-1, 1, 2), {}

    def step(self, action: np.ndarray) -> Any:
        observation = self.np_random.uniform(-1, 1, 2)
        return observation, observation[0], bool(observation[1] > 0.5), False, {}


gymnasium.register("ReproDouble-v0", Double)


@pytest.mark.parametrize(
    ("env_id", "steps"),
    [
        *(("CartPole-v1", 400), ("Pendulum-v1", 410), ("MountainCar-v0", 210), ("Acrobot-v1", 60)),
        ("ReproDouble-v0", 100),
    ],
)
def test_equal_to_gymnasiums_own_vector_environment(env_id: str, steps: int) -> None:
    seeds = [4, 9, 9]
    ours = repro.envs.make(env_id, "gymnasium", 3)
    theirs = SyncVectorEnv(
        [lambda: gymnasium.make(env_id, disable_env_checker=True)] * 3,
        autoreset_mode=AutoresetMode.SAME_STEP,
    )
    assert ours.action_space == theirs.action_space
    theirs.action_space.seed(0)
    found = ours.reset(seed=seeds)[0]
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, theirs.reset(seed=seeds)[0])
    ends = 0
    for _ in range(steps):
        actions = theirs.action_space.sample()
        *found, infos = ours.step(actions)
        *expected, their_infos = theirs.step(actions)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_array_equal(one, other)
        assert [array.dtype for array in found] == [np.float64, np.float64, np.bool_, np.bool_]
        assert ("final_obs" in infos) == ("final_obs" in their_infos)
        if infos:
            ended = infos["_final_obs"]
            np.testing.assert_array_equal(ended, their_infos["_final_obs"])
            last = np.stack(list(their_infos["final_obs"][ended]))
            np.testing.assert_array_equal(infos["final_obs"][ended], last)
            assert infos["final_obs"].dtype == np.float64
            ends += int(ended.sum())
    assert ends >= (0 if env_id == "Acrobot-v1" else 3)


def test_seeds_as_in_gymnasium() -> None:
    env = GymnasiumVectorEnv("CartPole-v1", 2)
    by_int = env.reset(seed=6)[0].copy()
    assert np.array_equal(by_int, env.reset(seed=[6, 7])[0])
    later = env.reset()[0].copy()
    assert not np.array_equal(by_int, later)
    env.reset(seed=6)
    assert np.array_equal(env.reset(seed=[None, None])[0], later)
    with pytest.raises(ConfigError, match="got 1 seeds for 2 environments"):
        env.reset(seed=[1])


def test_observations_are_one_reused_array_within_the_declared_space() -> None:
    env = GymnasiumVectorEnv("CartPole-v1", 2)
    first = env.reset(seed=0)[0]
    assert env.observation_space.contains(first)
    copy = first.copy()
    second = env.step(np.array([0, 1]))[0]
    assert first is second is env.observations
    assert not np.array_equal(copy, second)
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP


@pytest.mark.parametrize(
    ("spaces", "message"),
    [
        *(
            ({"observation_space": each}, f"observation space {name}.*Flatten")
            for name, each in (
                ("Discrete", Discrete(5)),
                ("Box", Box(0, 255, (4, 4), np.uint8)),
                ("Box", Box(0, 1, ())),
                ("Box", Box(0, 1, (0,))),
                ("Dict", Dict({"x": FLAT})),
                ("Tuple", Tuple([FLAT])),
                ("MultiBinary", MultiBinary(3)),
                ("Text", Text(3)),
            )
        ),
        ({"observation_space": Box(0, 255, (8, 8, 3), np.uint8)}, "observation .*env=atari"),
        *(
            ({"action_space": each}, f"action space {name}.*TransformAction")
            for name, each in (
                ("MultiBinary", MultiBinary(3)),
                ("MultiDiscrete", MultiDiscrete([2, 2])),
                ("Box", Box(-1, 1, (2, 2))),
                ("Box", Box(-1, 1, ())),
                ("Box", Box(-1, 1, (0,))),
                ("Box", Box(0, 9, (2,), np.int32)),
                ("Box", Box(0, 1, (2,), np.uint8)),
                ("Dict", Dict({"x": FLAT})),
                ("Tuple", Tuple([FLAT])),
                ("Text", Text(3)),
            )
        ),
    ],
)
def test_other_spaces_are_refused(
    spaces: dict[str, Space[Any]], message: str, bare_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gymnasium.registry[bare_id], "kwargs", spaces)
    with pytest.raises(ConfigError, match=f"{bare_id} has {message}") as caught:
        GymnasiumVectorEnv(bare_id, 1)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("space", [Discrete(5), Dict({"x": FLAT, "y": MultiBinary(2)})])
def test_the_wrapper_that_is_named_helps(space: Space[Any]) -> None:
    def make() -> gymnasium.Env[Any, Any]:
        return gymnasium.wrappers.FlattenObservation(Checks(observation_space=space))

    env = GymnasiumVectorEnv(register("ReproFlattened", make), 2)
    assert env.reset(seed=0)[0].shape == (2, flatdim(space))
    assert env.observation_space.contains(env.step(np.zeros((2, 2), np.float32))[0])


@pytest.mark.parametrize(
    ("env_id", "message"),
    [
        ("CartPol-v1", "did you mean CartPole-v1"),
        ("Pendulum-v0", "did you mean Pendulum-v1"),
        ("CartPole-v7", "did you mean CartPole-v"),
        ("Nowhere/Nothing-v0", "Namespace Nowhere not found"),
        ("no such name", "has no environment 'no such name'"),
        ("ALE/MsPacman-v5", "say env=atari env.game=ms_pacman"),
        ("ale_py:ALE/Pong-v5", "say env=atari env.game=pong"),
        ("HalfCheetah-v2", "cannot be imported.*moved to the gymnasium-robotics"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*out of date.*:DeprecationWarning")
def test_an_unknown_id_is_refused_in_one_sentence(env_id: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        GymnasiumVectorEnv(env_id, 1)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("original", "message"),
    [
        (
            'Box2D is not installed, run `pip install swig` then `pip install "gymnasium[box2d]"`',
            r'needs a package that is missing: pip install "gymnasium\[box2d\]"',
        ),
        ("get it from example.org", "missing: get it from example.org"),
    ],
)
def test_a_missing_extra_is_named(
    original: str, message: str, bare_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise gymnasium.error.DependencyNotInstalled(original)

    monkeypatch.setattr(gymnasium.registry[bare_id], "entry_point", fail)
    with pytest.raises(ConfigError, match=message):
        GymnasiumVectorEnv(bare_id, 1)


@pytest.mark.parametrize(
    "env_id", ["CartPole-v1", "Acrobot-v1", "MountainCarContinuous-v0", "Pendulum-v1"]
)
def test_a_restored_environment_goes_on_bit_for_bit(env_id: str) -> None:
    original, restored = GymnasiumVectorEnv(env_id, 3), GymnasiumVectorEnv(env_id, 5)
    original.reset(seed=1)
    restored.reset(seed=2)
    actions = batch_space(original.single_action_space, 3)
    actions.seed(0)
    for _ in range(150):
        original.step(actions.sample())
    restored.set_state(through_files(original.state()), slice(1, 4))
    np.testing.assert_array_equal(restored.observations[1:4], original.observations)
    for _ in range(250):
        action = actions.sample()
        expected = original.step(action)
        found = restored.step(np.concatenate([action[:1], action, action[:1]]))
        for ours, theirs in zip(found[:4], expected[:4], strict=True):
            np.testing.assert_array_equal(ours[1:4], theirs)


class Fragile(Bare):
    """Raises at an action below 0, and at its second reset."""

    resets = 0

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[np.ndarray, Any]:
        self.resets += 1
        if self.resets == 2:
            raise RuntimeError("no second episode")
        return np.zeros(2, np.float32), {}

    def step(self, action: np.ndarray) -> Any:
        if action[0] < 0:
            raise RuntimeError("no way back")
        return np.zeros(2, np.float32), 0.0, bool(action[0] > 1), False, {}


gymnasium.register("ReproFragile-v0", Fragile, kwargs={"action_space": Box(-9, 9, (8,))})


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (
            -1.25,
            r"its step with action \[-1.25, (0, ){5}\.\.\.\] failed with RuntimeError: no way back",
        ),
        (2.0, "its reset failed with RuntimeError: no second episode"),
    ],
)
def test_an_error_names_the_environment_the_call_and_the_action(
    action: float, message: str
) -> None:
    env = GymnasiumVectorEnv("ReproFragile-v0", 3)
    env.reset()
    actions = np.zeros((3, 8))
    env.step(actions)
    actions[1, 0] = action
    with pytest.raises(TaskError, match=f"^{message}$") as caught:
        env.step(actions)
    assert caught.value.index == 1


def test_close_closes_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    env = GymnasiumVectorEnv("CartPole-v1", 2)
    closed: list[object] = []
    monkeypatch.setattr(gymnasium.Wrapper, "close", lambda self: closed.append(self))
    env.close()
    assert len(closed) == 2


def test_wrong_calls_are_refused() -> None:
    with pytest.raises(ConfigError, match="num_envs is 0"):
        GymnasiumVectorEnv("CartPole-v1", 0)
    with pytest.raises(gymnasium.error.ResetNeeded):
        GymnasiumVectorEnv("CartPole-v1", 1).step(np.array([0]))
