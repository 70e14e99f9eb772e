"""Many steps in one call of the kernels, against the collector's own loop, to the last bit."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import gymnasium
import mujoco
import numpy as np
import pytest
import torch

from repro.algorithms import ALGORITHMS
from repro.engines import native
from repro.engines.native.collect import STEPS_A_CALL, Collecting
from repro.envs.mujoco import expressions
from repro.envs.mujoco.vector import MujocoVectorEnv, supported_ids
from repro.errors import TaskError
from repro.rollouts.collector import Collector
from tests.helpers.bits import assert_equal_bits, traces
from tests.helpers.configs import compose, with_value
from tests.helpers.learners import make_learners

pytestmark = pytest.mark.filterwarnings("ignore:.*out of date.*:DeprecationWarning")

SMALL = ("policy.hidden_sizes=[8,8]", "algorithm.horizon=70", "algorithm.minibatch_size=10")
RECIPES = ("paper", "ppo2", "cleanrl", "sb3")


def pack_of(env_id: str, *overrides: str, learners: int = 2) -> Any:
    configs = [
        with_value(compose("env=hopper", *SMALL, f"seed={seed}", *overrides), "env.id", env_id)
        for seed in range(learners)
    ]
    return make_learners(configs)


def collected(collector: Collector, iteration: int) -> dict[str, Any]:
    """All that a rollout leaves."""
    rollout = collector.collect(iteration)
    collector.renormalize(rollout)
    tensors = {name: x for name, x in vars(rollout).items() if isinstance(x, torch.Tensor)}
    return {
        **{name: x.numpy().copy() for name, x in tensors.items()},
        "old": rollout.old[0].numpy().copy(),
        "finished_steps": rollout.finished_steps,
        **{str(p): rows.columns() for p, rows in enumerate(rollout.episodes)},
        **{f"state{p}": collector.state(p) for p in range(collector.learners)},
        **{f"checkpoint{p}": copy.deepcopy(collector.checkpoint(p)) for p in range(2)},
    }


@pytest.mark.parametrize("number", range(len(supported_ids())))
def test_many_steps_are_the_collectors_own(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each task under one of the recipes, through short and long episodes."""
    env_id = supported_ids()[number]
    monkeypatch.setattr(gymnasium.registry[env_id], "max_episode_steps", 33)
    recipe = f"recipe={RECIPES[number % len(RECIPES)]}"
    packs = [pack_of(env_id, recipe, "env.num_envs=3") for _ in range(2)]
    many, own = (each.collector for each in packs)
    assert isinstance(many._many_steps, Collecting), "the kernels give other bits than NumPy"
    own._many_steps = None
    for iteration in (1, 2):
        expected, found = collected(own, iteration), collected(many, iteration)
        assert_equal_bits(expected, found)
        assert expected["finished_steps"].all()


@pytest.mark.parametrize(
    "algorithm",
    [
        *("a2c", "a2c_tr", "cem", "vpg", "trpo", "trpo algorithm.freeze_log_std=true"),
        "ppo recipe.log_std_schedule=linear recipe.final_log_std=-1.6 algorithm.minibatch_size=64",
    ],
)
def test_every_algorithm_collects_many_steps_in_a_call(algorithm: str) -> None:
    shape = ("env=hopper", "env.num_envs=3", "policy.hidden_sizes=[8,8]", "algorithm.horizon=64")
    overrides = (*shape, *f"algorithm={algorithm}".split())
    packs = [
        make_learners([compose(*overrides, f"seed={seed}") for seed in range(2)]) for _ in range(2)
    ]
    many, own = (each.collector for each in packs)
    assert isinstance(many._many_steps, Collecting)
    own._many_steps = None
    for _ in range(3):
        assert_equal_bits(packs[1].iterate().metrics, packs[0].iterate().metrics)
    for p in range(2):
        assert_equal_bits(packs[1].state(p), packs[0].state(p))
        assert_equal_bits(own.checkpoint(p), many.checkpoint(p))


def twice(env_id: str, *overrides: str) -> list[Any]:
    """Two equal packs of two, whose task is in Python."""
    task = ("env=gymnasium", f"env.id={env_id}", *SMALL, *overrides)
    return [make_learners([compose(*task, f"seed={seed}") for seed in range(2)]) for _ in range(2)]


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("env_id", ["CartPole-v1", "Acrobot-v1", "Pendulum-v1"])
def test_steps_of_tasks_in_python_are_the_collectors_own(
    env_id: str, recipe: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Discrete actions are drawn by torch in the other pack."""
    monkeypatch.setattr(gymnasium.registry[env_id], "max_episode_steps", 33)
    packs = twice(env_id, f"recipe={recipe}", "env.num_envs=3", "policy.shared=true")
    compiled, own = (each.collector for each in packs)
    assert isinstance(compiled._many_steps, native.Stepping)
    own._many_steps = None
    if packs[0].policy.discrete:
        own._fast_act = None
    for iteration in (1, 2):
        expected, found = collected(own, iteration), collected(compiled, iteration)
        assert_equal_bits(expected, found)
        assert expected["finished_steps"].all()


@pytest.mark.parametrize("env_id", ["CartPole-v1", "Pendulum-v1"])
def test_a_task_in_python_alone_is_what_it_is_in_a_pack(env_id: str) -> None:
    task = ("env=gymnasium", f"env.id={env_id}", *SMALL, "env.num_envs=2")
    configs = [compose(*task, f"seed={seed}") for seed in range(3)]
    together = traces(make_learners(configs), 3)
    for config, trace in zip(configs, together, strict=True):
        assert_equal_bits(traces(make_learners([config]), 3)[0], trace)


@pytest.mark.parametrize("masked", [False, True])
def test_a_draw_that_rounding_decides_is_torchs(masked: bool) -> None:
    """Noise on the cumulative probabilities and beside them."""
    collector = twice("Acrobot-v1", "env.num_envs=300", "algorithm.horizon=10")[0].collector
    if masked:
        collector.networks.views["policy.bias"][..., 0] = -torch.inf
    observations, act = collector._observations, collector._fast_act
    assert isinstance(act, native.Acting)
    act(0, observations)
    policy = collector.networks.as_distribution(collector._statistics[:, 0])
    edges = torch.softmax(policy[0], -1).cumsum(-1)
    for t, toward in enumerate((0.0, 1.0, 2.0), start=1):
        for column in (0, 1):
            edge = edges[..., column]
            noise = edge if toward == 1 else torch.nextafter(edge, torch.full_like(edge, toward))
            collector._noise[:, t] = noise
            np.testing.assert_array_equal(act(t, observations), policy.sample(noise).flatten())
            assert torch.equal(collector._actions[:, t, :, 0], policy.sample(noise).float())


def test_each_environment_acts_by_its_own_candidate() -> None:
    """CEM's candidates, against the torch code that defines them."""
    shape = ("env=half_cheetah", "algorithm=cem", "algorithm.horizon=5", "env.num_envs=3")
    cem = make_learners([compose(*shape, f"seed={seed}") for seed in range(2)])
    collector = cem.collector
    assert collector._many_steps is not None and "native" in cem.engine
    rollout = collector.collect(1)
    inputs, means = (x.view(2, 5, 3, -1) for x in (rollout.inputs, rollout.old[0]))
    for t in range(5):
        expected = collector.networks.distribution(inputs[:, t])[0]
        torch.testing.assert_close(means[:, t], expected, rtol=1e-5, atol=1e-6)
    assert torch.equal(means.flatten(1, 2), rollout.actions), "without noise"


def test_a_call_ends_soon_so_that_signals_and_the_watchdog_are_served() -> None:
    collector = pack_of("Swimmer-v5", "algorithm.horizon=1000", "env.num_envs=2").collector
    seconds = {"forward": 0.0, "env": 0.0}
    assert collector._many_steps(0, seconds) == (STEPS_A_CALL // 4, {})
    assert 0 < seconds["forward"] < seconds["env"]


def test_kernels_that_give_other_bits_than_numpy_are_not_used(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def other(x: np.ndarray, *_: float) -> np.ndarray:
        return np.nextafter(np.sin(x), 2)

    monkeypatch.setitem(expressions.OPERATIONS, "sin", other)
    assert isinstance(pack_of("Reacher-v5").collector._many_steps, native.Stepping)
    assert isinstance(pack_of("Hopper-v5").collector._many_steps, Collecting)


def test_a_simulation_that_fails_names_environment_and_step(tmp_path: Path) -> None:
    """MuJoCo runs out of memory as soon as a foot touches the ground."""
    original: Any = gymnasium.make("Walker2d-v5").unwrapped
    spec = mujoco.MjSpec.from_file(original.fullpath)
    spec.memory = 6000
    (tmp_path / "small.xml").write_text(spec.to_xml(), encoding="utf-8")
    errors = []
    for many in (True, False):
        config = compose("env=walker2d", "env.version=v5", *SMALL, "env.num_envs=2")
        envs = MujocoVectorEnv("Walker2d-v5", 4, {"xml_file": str(tmp_path / "small.xml")})
        configs = [with_value(config, "seed", seed) for seed in range(2)]
        collector = ALGORITHMS["ppo"](configs, envs, torch.device("cpu")).collector
        assert collector._many_steps is not None
        if not many:
            collector._many_steps = None
        with pytest.raises(TaskError, match=r"environment \d of 2 \(seed \d+\): MuJoCo") as error:
            collector.collect(1)
        assert "memory" in str(error.value)
        errors.append((error.value.index, str(error.value)))
    assert errors[0] == errors[1]
