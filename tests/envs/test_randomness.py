"""Tasks that draw from elsewhere than `self.np_random`: the draws are their environment's own."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.spaces import Box, Dict, Discrete

from repro.envs.gymnasium import GymnasiumVectorEnv
from repro.envs.randomness import Randomness
from repro.evaluation.episodes import play, play_single
from repro.runs import store
from tests.helpers.states import through_files
from tests.helpers.tiny import directory, train
from tests.helpers.tiny import tiny as tiny_run

STEPS = 40
MODULES = np.random.default_rng()
OLD = np.random.RandomState()
TORCHS = torch.Generator()


class Drawing(gymnasium.Env[Any, Any]):
    """Two numbers and a reward that `draw` draws; the length of an episode is drawn too."""

    observation_space = Box(-np.inf, np.inf, (2,), np.float64)
    action_space = Discrete(2)
    rng = np.random.default_rng()
    python = random.Random()
    inner = Dict({"x": Box(-1, 1), "y": Discrete(3)})

    def __init__(self, source: str, only_in_steps: bool = False) -> None:
        self.draw, self.quiet = source, only_in_steps
        self.drawn = np.random.random() + random.random() + float(torch.rand(1))

    def _draw(self) -> float:
        return float(SOURCES[self.draw](self))

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, Any]:
        if self.draw == "reseeded" and seed is not None:
            np.random.seed(seed)
        self.left = 5
        return np.zeros(2) if self.quiet else np.array([self._draw(), self._draw()]), {}

    def step(self, action: Any) -> Any:
        self.left -= 1
        seen = np.array([self._draw(), self.drawn])
        return seen, self._draw(), self.left == 0 or self._draw() > 0.8, False, {}


SOURCES: dict[str, Any] = {
    "numpy": lambda task: np.random.random(),
    "pairs": lambda task: np.random.normal(),
    "reseeded": lambda task: np.random.random(),
    "python": lambda task: random.random(),
    "gauss": lambda task: random.gauss(0, 1),
    "many words": lambda task: random.randbytes(624 * 4)[5] / 256,
    "torch": lambda task: torch.rand(1),
    "space": lambda task: task.action_space.sample(),
    "space inside": lambda task: task.inner.sample()["x"][0],
    "class": lambda task: task.rng.random(),
    "class of python": lambda task: task.python.random(),
    "module": lambda task: MODULES.random(),
    "module, old": lambda task: OLD.normal(),
    "module, torch": lambda task: torch.rand(1, generator=TORCHS),
    "forgotten seed": lambda task: task.np_random.random(),
}
for number, name in enumerate(SOURCES):
    gymnasium.register(f"ReproDraws{number}-v0", Drawing, kwargs={"source": name})
gymnasium.register("ReproDrawsLate-v0", Drawing, kwargs={"source": "python", "only_in_steps": True})
IDS = [f"ReproDraws{number}-v0" for number in range(len(SOURCES))] + ["ReproDrawsLate-v0"]
NAMES = [*SOURCES, "late"]


def steps(env: GymnasiumVectorEnv, count: int) -> list[np.ndarray]:
    """Observations and rewards, [N, 3] each; others draw in between."""
    found = []
    for _ in range(count):
        observations, rewards, *_ = env.step(np.zeros(env.num_envs, np.int64))
        found.append(np.column_stack([observations, rewards]))
        np.random.random(), random.random(), torch.rand(1), MODULES.random()
    return found


@pytest.mark.parametrize("env_id", IDS, ids=NAMES)
def test_alone_as_among_others_and_resumed_as_whole(env_id: str) -> None:
    three, one = GymnasiumVectorEnv(env_id, 3), GymnasiumVectorEnv(env_id, 1)
    three.reset(seed=[5, 6, 7])
    together = np.array(steps(three, STEPS))
    state = through_files(three.state(slice(1, 2)))
    later = np.array(steps(three, STEPS))
    assert not np.array_equal(together[:, 0], together[:, 1]), "separated"

    one.reset(seed=[6])
    np.testing.assert_array_equal(np.array(steps(one, STEPS))[:, 0], together[:, 1])
    one.reset(seed=[6])  # as a process that starts again
    one.set_state(state)
    np.testing.assert_array_equal(np.array(steps(one, STEPS))[:, 0], later[:, 1])


@pytest.mark.parametrize("env_id", IDS[::3], ids=NAMES[::3])
def test_the_callers_generators_are_left_alone(env_id: str) -> None:
    env = GymnasiumVectorEnv(env_id, 2)

    def states() -> list[Any]:
        numpy = np.random.get_state(legacy=False)["state"]["key"].tolist()  # type: ignore[call-overload]
        return [
            numpy,
            random.getstate(),
            torch.get_rng_state().tolist(),
            MODULES.bit_generator.state,
        ]

    before = states()
    env.reset(seed=1)
    for _ in range(3):
        env.step(np.zeros(2, np.int64))
    assert states() == before


def test_what_draws_nothing_saves_nothing() -> None:
    env = GymnasiumVectorEnv("CartPole-v1", 2)
    env.reset(seed=1)
    for _ in range(20):
        env.step(np.zeros(2, np.int64))
    state = env.state()
    assert state is not None and "drawn" not in state


@pytest.mark.filterwarnings("ignore:.*out of date.*:DeprecationWarning")
def test_gymnasiums_own_tasks_need_no_exchange() -> None:
    """They draw nothing from the generators that are not exchanged for them."""
    classic = [key for key, spec in gymnasium.registry.items() if "classic_control" in str(spec)]
    others = ("Hopper-v5", "Humanoid-v4", "Pusher-v5")
    assert len(classic) >= 5
    for env_id in (*classic, *others):
        env = GymnasiumVectorEnv(env_id, 2)
        assert not env._randomness.needed
        env._randomness.needed = True
        env.reset(seed=1)
        env.action_space.seed(0)
        for _ in range(60):
            env.step(env.action_space.sample())
        assert [env._randomness.state(i) for i in range(2)] == [{}, {}], env_id


def test_a_wrapper_around_gymnasiums_tasks_may_draw() -> None:
    env = gymnasium.make("CartPole-v1", disable_env_checker=True)
    assert not Randomness([env]).needed
    noisy = gymnasium.wrappers.TransformReward(env, lambda reward: reward + random.random())
    assert Randomness([noisy]).needed


def test_pythons_generator_is_read_only_after_a_draw() -> None:
    env = gymnasium.make("CartPole-v1", disable_env_checker=True)
    python = Randomness([env])._shared[1]
    assert python.name == "random" and python._readable  # type: ignore[attr-defined]
    assert python.get() is python.get()
    before = python.get()
    random.random()
    assert python.get() is not before and python.get() == random.getstate()


class FirstAction:
    """A policy without a network."""

    stochastic, observation_shape, largest = False, (2,), 1e38

    def act(self, observations: Any, generators: Any) -> Any:
        return np.zeros(len(observations), np.int64)


@pytest.mark.parametrize("env_id", IDS[::2], ids=NAMES[::2])
def test_evaluation_plays_the_same_episodes_however_many_at_once(env_id: str) -> None:
    played = [play(FirstAction(), GymnasiumVectorEnv(env_id, n), 6, seed=3) for n in (1, 4)]
    env = gymnasium.make(env_id, disable_env_checker=True)
    played.append(play_single(FirstAction(), env, 6, seed=3))
    for other in played[1:]:
        np.testing.assert_array_equal(other.returns, played[0].returns)
        np.testing.assert_array_equal(other.lengths, played[0].lengths)


def test_training_is_the_same_in_a_pack_and_in_pieces(tmp_path: Path) -> None:
    line = f"env=gymnasium env.id={IDS[0]}"
    alone = tiny_run(tmp_path / "alone", line)
    pack = [tiny_run(tmp_path / "pack", f"{line} seed={seed}") for seed in (1, 0)]
    train([alone])
    train(pack, 2, 4)
    infos = [store.read_run(directory(config)) for config in (alone, pack[1])]
    assert infos[0]["digest"] == infos[1]["digest"]
    assert infos[1]["resumable"] == "exact" and len(infos[1]["resumed"]) == 2
    assert all(entry["exact"] for entry in infos[1]["resumed"])
