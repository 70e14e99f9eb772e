"""The compiled kernels against the plain torch code, which defines what they compute."""

from __future__ import annotations

import ctypes
import multiprocessing
from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest
import torch

from repro.config.schema import CONF_DIR
from repro.engines import native, selection
from repro.engines.native import kernels
from repro.errors import ConfigError
from repro.learning.parameters import StackedParameters
from repro.networks.bound import BoundPolicy
from tests.helpers.configs import Compose, compose
from tests.helpers.engines import CARTPOLE, compare_metrics, iterate_on_the_same_rollout, twins
from tests.helpers.learners import Learners, make_learners

SETTINGS = sorted(path.stem for path in (CONF_DIR / "objective/table1").glob("*.yaml"))

HUMANOID = (
    "env=humanoid",
    "algorithm.horizon=128",
    "algorithm.epochs=3",
    "algorithm.learning_rate=1e-3",
)


@pytest.mark.parametrize(
    "overrides",
    [
        ("env=half_cheetah",),
        ("env=half_cheetah", "recipe=ppo2", "env.num_envs=2"),
        ("env=reacher", "recipe=sb3"),
        ("env=hopper", "recipe=cleanrl", "recipe.clip_actions=true"),
        ("env=swimmer", "policy.hidden_sizes=[20]", "policy.activation=relu"),
        ("env=walker2d", "policy.hidden_sizes=[10,33,7]", "recipe.max_grad_norm=0.1"),
        ("env=inverted_pendulum", "policy.hidden_sizes=[]"),
        ("env=hopper", "recipe.value_clip=0.1", "recipe.value_clip_pessimistic=false"),
        ("env=hopper", "algorithm.minibatch_size=60", "recipe.partial_minibatch=drop"),
        ("env=hopper", "algorithm.minibatch_size=60", "recipe.partial_minibatch=keep"),
        ("env=hopper", "recipe.observation_normalization=none", "algorithm.entropy_coef=0.01"),
        ("env=hopper", "recipe.log_std_schedule=linear", "recipe.final_log_std=-1.6"),
        ("env=hopper", "recipe.advantage_normalization=minibatch", "recipe.advantage_std=none"),
        ("env=half_cheetah", "recipe.early_stop_kl=0.003", "algorithm.learning_rate=1e-3"),
        (*HUMANOID, "policy=mlp_zoo", "algorithm.minibatch_size=4096"),  # Table 4's M
        ("env=hopper", "policy.shared=true", "recipe=ppo2"),
        ("env=hopper", "policy.shared=true", "policy.hidden_sizes=[20]", "policy.activation=relu"),
        ("env=hopper", "policy.shared=true", "policy.hidden_sizes=[]"),
        (*CARTPOLE, "algorithm.entropy_coef=0.1"),
        (*CARTPOLE, "recipe=cleanrl", "env.num_envs=4", "recipe.early_stop_kl=0.01"),
        (*CARTPOLE, "objective=kl_fixed", "objective.beta=3", "policy.shared=true"),
    ],
    ids=lambda overrides: " ".join(overrides),
)
def test_one_iteration_agrees_to_rounding(overrides: tuple[str, ...]) -> None:
    compiled, plain = twins(*overrides)
    before = plain.parameters.flat.clone()
    records = iterate_on_the_same_rollout(compiled, plain)
    found, expected = compiled.parameters.flat, plain.parameters.flat
    moved = float((expected - before).abs().max())
    assert moved > 1e-3, "an update that moves nothing proves nothing"
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-3 * moved)
    torch.testing.assert_close(compiled.adam.variance, plain.adam.variance, rtol=2e-2, atol=1e-7)
    assert torch.equal(compiled.adam.steps, plain.adam.steps)
    assert records[0].metrics["minibatches"] == records[1].metrics["minibatches"]
    compare_metrics(records)


def test_every_objective_of_table_1_agrees_in_one_pack() -> None:
    pack = [f"objective=table1/{name} seed={p}" for p, name in enumerate(SETTINGS)]
    pack += ["objective=clip_log algorithm.value_coef=3", "objective=clip algorithm.gamma=0.5"]
    compiled, plain = twins("env=half_cheetah", pack=tuple(pack))
    iterate_on_the_same_rollout(compiled, plain)
    difference = (compiled.parameters.flat - plain.parameters.flat).abs().amax(1)
    moved = (plain.parameters.flat - plain.before[0]).abs().amax(1)
    assert (difference < 2e-3 * moved).all()


def test_a_rollout_agrees_to_rounding() -> None:
    compiled, plain = twins("env=hopper", "env.num_envs=3", "recipe.clip_actions=true")
    compiled.iterate(), plain.iterate()
    plain.parameters.flat.copy_(compiled.parameters.flat)
    compiled.estimate(compiled.collector.collect(2)), plain.estimate(plain.collector.collect(2))
    # A chaotic task multiplies rounding from step to step: its first steps say enough.
    for name in ("_seen.inputs", "_statistics", "_actions", "_noise"):
        one, other = (attrgetter(name)(ppo.collector)[:, :5] for ppo in (compiled, plain))
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5, msg=name)


@pytest.mark.parametrize("sizes", [[64, 64], [], [10], [20, 33, 7], [256, 128]])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_networks_equal_double_precision_and_do_not_depend_on_the_pack(
    config: Compose, learners: Learners, sizes: list[int], activation: str
) -> None:
    pack = [
        config(
            *("env=hopper", f"policy.hidden_sizes={sizes}", f"policy.activation={activation}"),
            *("recipe.initialization=orthogonal", "recipe.policy_gain=1", f"seed={seed}"),
            "algorithm.horizon=64",
        )
        for seed in range(3)
    ]
    ppo = learners(pack)
    assert isinstance(ppo.networks, native.Networks)
    solos = [learners([own]).networks for own in pack]
    in_double = {name: view.double() for name, view in ppo.parameters.views.items()}
    for rows in (1, 3, 97, 200):
        x = torch.randn(3, rows, 11, generator=torch.Generator().manual_seed(0))
        mean, values = ppo.networks.distribution(x)[0], ppo.networks.value(x)
        expected, expected_values = ppo.policy.evaluate(in_double, x.double())
        torch.testing.assert_close(mean.double(), expected[0], rtol=1e-5, atol=2e-6)
        torch.testing.assert_close(values.double(), expected_values, rtol=1e-5, atol=2e-6)
        for p, solo in enumerate(solos):
            assert torch.equal(solo.distribution(x[p : p + 1])[0][0], mean[p])
            for row in (0, rows // 2):  # nor on what else is evaluated with a sample
                single = solo.value(x[p : p + 1, row : row + 1])
                assert torch.equal(single[0, 0], values[p, row])


def test_tanh_is_accurate_and_saturates() -> None:
    """A head of weight 1 on a single unit of weight 1 shows the activation itself."""
    own = compose("env=inverted_pendulum", "policy.hidden_sizes=[1]")
    ppo = make_learners([own])
    for name, view in ppo.parameters.views.items():
        view.zero_()
        if name in ("actor.0.weight", "policy.weight"):
            view[0, 0, 0] = 1.0
    u = torch.cat([torch.linspace(-12, 12, 100_001), torch.tensor([-1e30, 1e30, 60.0, -60.0])])
    x = torch.zeros(1, len(u), 4)
    x[0, :, 0] = u
    found = ppo.networks.distribution(x)[0][0, :, 0]
    assert float((found.double() - torch.tanh(u.double())).abs().max()) < 3e-7
    assert found.abs().max() <= 1
    np.testing.assert_allclose(found[-4:], [-1, 1, 1, -1], atol=1e-7)


@pytest.mark.parametrize("normalization", ["rollout", "minibatch"])
@pytest.mark.parametrize("std", ["biased", "none"])
def test_equal_advantages_train_alike(normalization: str, std: str) -> None:
    """One step an episode, nothing to see, always the same reward: there is nothing to learn."""
    constant = "env=gymnasium env.id=tests.helpers.tasks:Constant-v0"
    by = f"recipe.advantage_normalization={normalization}"
    divided = ("recipe.advantage_epsilon=0", f"recipe.advantage_std={std}")
    compiled, plain = twins(*constant.split(), by, *divided)
    before = plain.weights(0)
    records = iterate_on_the_same_rollout(compiled, plain)
    for ppo, record in zip((plain, compiled), records, strict=True):
        assert record.active == [0] and np.isfinite(record.metrics["surrogate"]).all()
        assert all(np.isfinite(array).all() for array in ppo.weights(0).values())
        np.testing.assert_array_equal(ppo.weights(0)["log_std"], before["log_std"])


def test_what_is_not_finite_stays_so(config: Compose, learners: Learners) -> None:
    ppo = learners([config("env=hopper", "algorithm.horizon=64")])
    x = torch.full((1, 2, 11), float("nan"))
    assert ppo.networks.distribution(x)[0].isnan().all() and ppo.networks.value(x).isnan().all()


def test_what_the_kernels_cannot_do_is_refused_or_left_to_torch(
    config: Compose, learners: Learners
) -> None:
    small = ("env=hopper", "algorithm=cem")
    with pytest.raises(ConfigError, match=r"engine=native, but no kernel computes algorithm=cem"):
        config(*small, "engine=native")
    assert isinstance(learners([config(*small)]).networks, BoundPolicy)


def test_without_a_compiler_torch_takes_over_with_one_warning(
    config: Compose, learners: Learners, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "COMPILERS", ("no-such-compiler",))
    kernels.library.cache_clear()
    small = ("env=hopper", "algorithm.horizon=64")
    try:
        with pytest.raises(ConfigError, match="no C\\+\\+ compiler"):
            learners([config(*small, "engine=native")])
        with pytest.warns(UserWarning, match="slower: there is no C\\+\\+ compiler") as warned:
            assert isinstance(learners([config(*small)]).networks, BoundPolicy)
            learners([config(*small, "seed=1")])
        assert len([w for w in warned if "compiler" in str(w.message)]) == 1
    finally:
        kernels.library.cache_clear()


def test_a_failing_compiler_is_no_failure_of_the_run(
    tmp_path: Path, config: Compose, learners: Learners, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "c++"
    broken.write_text("#!/bin/sh\necho 'out of order' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(kernels, "COMPILERS", (str(broken),))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    kernels.library.cache_clear()
    try:
        with pytest.raises(ConfigError, match="out of order"):
            learners([config("env=hopper", "engine=native", "algorithm.horizon=64")])
    finally:
        kernels.library.cache_clear()


# Stands for a compiler that is slow: it ends when two of it have begun, and gives what is there.
SLOW_COMPILER = """#!/bin/sh
[ "$1" = --version ] && exit
touch {begun}/$$
for _ in $(seq 1000); do
  [ $(ls {begun} | wc -l) = 2 ] && break
  sleep 0.02
done
for output; do :; done
cp {built} $output
"""


def test_two_processes_may_compile_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, compiler = tmp_path / "begun", tmp_path / "c++"
    begun.mkdir()
    compiler.write_text(SLOW_COMPILER.format(begun=begun, built=kernels.library()._name))
    compiler.chmod(0o755)
    monkeypatch.setattr(kernels, "COMPILERS", (str(compiler),))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=kernels.library.__wrapped__) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout=300)
    assert [process.exitcode for process in processes] == [0, 0]
    assert len(list(begun.iterdir())) == 2
    assert len(list((tmp_path / "cache" / "ppo-repro").iterdir())) == 1


def test_kernels_are_not_for_other_devices(config: Compose, learners: Learners) -> None:
    own = config("env=hopper", "algorithm.horizon=64", "engine=native")
    ppo = learners([own])
    elsewhere = StackedParameters([{"x": np.zeros(3, np.float32)}], torch.device("meta"))
    with pytest.raises(ConfigError, match="device=cpu"):
        selection.networks(own, ppo.policy, [elsewhere], {})


@pytest.mark.parametrize(
    ("overrides", "engine"),
    [
        ("env=hopper", "native"),
        ("env=hopper engine=torch", "torch"),
        ("env=hopper recipe.value_clip=1 recipe.value_clip_schedule=linear", selection.MIXED),
        ("env=gymnasium env.id=CartPole-v1", "native"),
        ("env=hopper algorithm=trpo", "native"),
        ("env=hopper algorithm=vpg engine=torch", "torch"),
        ("env=hopper algorithm=a2c", "native"),
    ],
)
def test_the_engine_is_what_computed(
    config: Compose,
    learners: Learners,
    monkeypatch: pytest.MonkeyPatch,
    overrides: str,
    engine: str,
) -> None:
    """And nothing is compiled for a run that no kernel computes."""
    asked = []
    load = kernels.library
    monkeypatch.setattr(selection, "library", lambda: asked.append(1) or load())
    own = config(*overrides.split(), *("algorithm.horizon=64",) * ("a2c" not in overrides))
    made = learners([own])
    assert made.engine == engine
    assert bool(asked) == (engine in ("native", selection.MIXED))
    made.iterate()


def test_engine_native_with_updates_that_no_kernel_knows_is_refused(
    config: Compose, learners: Learners
) -> None:
    linear = ("recipe.value_clip=1", "recipe.value_clip_schedule=linear")
    with pytest.raises(ConfigError, match=r"engine=native is not possible: .*value_clip_schedule"):
        learners([config("env=hopper", "engine=native", *linear, "algorithm.horizon=64")])


def test_a_structure_of_another_size_than_the_kernels_is_refused() -> None:
    class Short(ctypes.Structure):
        _fields_ = native.update._Update._fields_[:-1]

    size = kernels.library().update_size()
    kernels.check_layout(native.update._Update, size)
    with pytest.raises(RuntimeError, match="Short has"):
        kernels.check_layout(Short, size)
