"""Saved states of Gymnasium environments: complete, or refused."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.wrappers import TimeAwareObservation, TimeLimit

from repro.envs import plain_state
from repro.errors import ConfigError


class Holder(gymnasium.Env[Any, Any]):
    """Holds its arguments as attributes."""

    observation_space = gymnasium.spaces.Box(-1, 1, (2,))
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, **held: object) -> None:
        vars(self).update(held)


class SavesItself(Holder):
    def checkpoint(self) -> dict[str, Any]:
        return {"where": id(self.simulator) % 7}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.restored = dict(state)

    simulator = object()


def through_json(env: gymnasium.Env[Any, Any]) -> Any:
    return json.loads(json.dumps(plain_state.take(env), allow_nan=False))


VALUES: dict[str, Any] = {
    "number": -0.0,
    "infinity": float("inf"),
    "nothing": None,
    "flag": True,
    "count": 10**30,
    "text": "text",
    "single": np.float32(0.1),
    "array": np.array([[1.5, np.nan]], np.float32),
    "mask": np.array([True, False]),
    "pair": (1, [2.5, {"deep": (np.int64(3),)}]),
    "empty": (),
    "also_empty": (),
}


def test_plain_values_are_restored_with_their_types_to_the_bit() -> None:
    env, other = Holder(**VALUES), Holder(number=3, left_over=[1])
    plain_state.put(other, through_json(env))
    assert vars(other).keys() == VALUES.keys()
    np.testing.assert_equal(vars(other), VALUES)
    for name, value in VALUES.items():
        assert type(vars(other)[name]) is type(value), name
    assert other.single.dtype == np.float32 and np.signbit(other.number)  # type: ignore[attr-defined]


def test_a_state_does_not_depend_on_what_a_wrapper_has_cached() -> None:
    asked, other = gymnasium.make("CartPole-v1"), gymnasium.make("CartPole-v1")
    asked.reset(seed=0)
    other.reset(seed=0)
    assert asked.spec is not None and asked.action_space is not None
    assert through_json(asked) == through_json(other)
    plain_state.put(other, through_json(asked))
    assert other.spec == asked.spec


@pytest.mark.parametrize(
    "rng",
    [
        np.random.default_rng(3),
        np.random.Generator(np.random.MT19937(3)),
        np.random.Generator(np.random.Philox(3)),
        np.random.RandomState(3),
        random.Random(3),
    ],
)
def test_generators_go_on(rng: Any) -> None:
    env, other = Holder(rng=rng), Holder()
    gauss = rng.normalvariate if isinstance(rng, random.Random) else rng.normal
    gauss(0, 1)  # RandomState keeps the second of a pair
    plain_state.put(other, through_json(env))
    theirs = other.rng  # type: ignore[attr-defined]
    assert type(theirs) is type(rng)
    again = theirs.normalvariate if isinstance(rng, random.Random) else theirs.normal
    assert [again(0, 1) for _ in range(3)] == [gauss(0, 1) for _ in range(3)]


SHARED = np.zeros(2)


@pytest.mark.parametrize(
    "held",
    [
        {"simulator": object()},
        {"rng": np.random.default_rng},
        {"objects": np.array([object()])},
        {"deep": {"list": [lambda: 0]}},
        {"table": {1: 2}},
        {"one": SHARED, "other": SHARED},
        {"inside": [SHARED, SHARED]},
    ],
)
def test_what_is_not_plain_is_refused_as_a_whole(held: dict[str, Any]) -> None:
    with pytest.raises(plain_state.NotPlainError, match=f"Holder.{list(held)[-1]} is "):
        plain_state.take(TimeLimit(Holder(**held), 5))


def test_a_task_may_save_itself() -> None:
    env = TimeLimit(SavesItself(simulator=object()), 5)
    env._elapsed_steps = 4
    other = TimeLimit(SavesItself(simulator=object()), 5)
    plain_state.put(other, through_json(env))
    assert other._elapsed_steps == 4
    assert other.unwrapped.restored == env.unwrapped.checkpoint()  # type: ignore[attr-defined]


def test_other_wrappers_are_refused() -> None:
    state = through_json(TimeLimit(Holder(), 5))
    for other in (Holder(), TimeAwareObservation(TimeLimit(Holder(), 5))):
        with pytest.raises(ConfigError, match="other wrappers"):
            plain_state.put(other, state)
