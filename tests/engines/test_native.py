"""The compiled kernels against the plain torch code, which defines what they compute."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest
import torch

from repro.algorithms.iteration import Iteration
from repro.algorithms.ppo import PPO
from repro.config.schema import CONF_DIR
from repro.engines import native
from repro.engines.native import kernels
from repro.errors import ConfigError
from repro.networks.mlp import Bound
from repro.rollouts.collector import Rollout
from tests.helpers.configs import Compose, compose
from tests.helpers.learners import Learners, make_learners

BASE = ("algorithm.horizon=256", "total_timesteps=25600")
SETTINGS = sorted(path.stem for path in (CONF_DIR / "objective/table1").glob("*.yaml"))


def twins(*overrides: str, pack: tuple[str, ...] = ("",)) -> tuple[PPO, PPO]:
    """The same pack with compiled kernels and in plain torch."""
    one, other = (
        make_learners(
            [compose(*BASE, f"engine={engine}", *overrides, *member.split()) for member in pack]
        )
        for engine in ("native", "torch")
    )
    assert isinstance(one.networks, native.Networks) and one.updater is not None
    assert isinstance(other.networks, Bound) and other.updater is None
    return one, other


def iterate_on_the_same_rollout(compiled: PPO, plain: PPO) -> list[Iteration]:
    """One iteration of each on what `plain` collects: a chaotic task would drive two apart."""
    collect, shared = plain.collector.collect, []

    def collect_for_both(iteration: int) -> Rollout:
        rollout = collect(iteration)
        shared.append(copy.deepcopy(rollout))
        compiled.collector._seen.raw[:] = plain.collector._seen.raw
        return rollout

    plain.collector.collect = collect_for_both  # type: ignore[method-assign]
    compiled.collector.collect = lambda iteration: shared[0]  # type: ignore[method-assign]
    records = [plain.iterate(), compiled.iterate()]
    return records


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
        ("env=half_cheetah", "recipe.early_stop_kl=0.003", "algorithm.learning_rate=1e-3"),
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
    for name in ("surrogate", "value_loss", "kl", "entropy", "gradient_norm", "std"):
        one, other = (record.metrics[name] for record in records)
        np.testing.assert_allclose(one, other, rtol=5e-3, atol=2e-5, err_msg=name)


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
@pytest.mark.parametrize("rows", [1, 3, 97, 200])
def test_networks_equal_double_precision_and_do_not_depend_on_the_pack(
    config: Compose, learners: Learners, sizes: list[int], activation: str, rows: int
) -> None:
    pack = [
        config(
            *("env=hopper", f"policy.hidden_sizes={sizes}", f"policy.activation={activation}"),
            *("recipe.initialization=orthogonal", "recipe.policy_gain=1", f"seed={seed}"),
        )
        for seed in range(3)
    ]
    ppo = learners(pack)
    assert isinstance(ppo.networks, native.Networks)
    x = torch.randn(3, rows, 11, generator=torch.Generator().manual_seed(0))
    mean, values = ppo.networks.distribution(x)[0], ppo.networks.value(x)
    in_double = {name: view.double() for name, view in ppo.parameters.views.items()}
    expected, expected_values = ppo.policy.evaluate(in_double, x.double())
    torch.testing.assert_close(mean.double(), expected[0], rtol=1e-5, atol=2e-6)
    torch.testing.assert_close(values.double(), expected_values, rtol=1e-5, atol=2e-6)
    for p in range(3):
        alone = learners([pack[p]]).networks
        assert torch.equal(alone.distribution(x[p : p + 1])[0][0], mean[p])
        for row in (0, rows // 2):  # nor on what else is evaluated with a sample
            single = alone.value(x[p : p + 1, row : row + 1])
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


def test_what_is_not_finite_stays_so(config: Compose, learners: Learners) -> None:
    ppo = learners([config("env=hopper", "algorithm.horizon=64")])
    x = torch.full((1, 2, 11), float("nan"))
    assert ppo.networks.distribution(x)[0].isnan().all() and ppo.networks.value(x).isnan().all()


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (("env=hopper", "policy.shared=true"), "separate networks"),
        (("env=gymnasium", "env.id=CartPole-v1"), "continuous actions"),
    ],
)
def test_what_the_kernels_cannot_do_is_refused_or_left_to_torch(
    config: Compose, learners: Learners, overrides: tuple[str, ...], reason: str
) -> None:
    small = ("algorithm.horizon=64", *overrides)
    with pytest.raises(ConfigError, match=f"engine=native .*{reason}"):
        learners([config(*small, "engine=native")])
    assert isinstance(learners([config(*small, "engine=auto")]).networks, Bound)


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
            assert isinstance(learners([config(*small)]).networks, Bound)
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


def test_two_processes_may_compile_at_once(tmp_path: Path) -> None:
    code = "from repro.engines.native.kernels import library; library(); print('loaded')"
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    processes = [
        subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE)
        for _ in range(2)
    ]
    assert [process.communicate(timeout=300)[0] for process in processes] == [b"loaded\n"] * 2
    assert len(list((tmp_path / "ppo-repro").iterdir())) == 1


def test_kernels_are_not_for_other_devices(config: Compose, learners: Learners) -> None:
    policy = learners([config("env=hopper", "algorithm.horizon=64")]).policy
    assert "device=cpu" in str(native.unsuited(policy, torch.device("meta")))
