"""A run is the same run whatever it was packed with, to the last bit."""

from __future__ import annotations

import functools

import pytest
import torch

from repro.algorithms.ppo import PPO
from repro.config.schema import CONF_DIR, Config
from repro.learning.optimizers import Adam, clip_gradient, gradient_norm
from repro.learning.streams import Streams
from repro.sweeps.packs import group
from tests.helpers import bits
from tests.helpers.bits import assert_equal_bits
from tests.helpers.configs import Compose, compose
from tests.helpers.learners import Learners, make_learners

SETTINGS = sorted(path.stem for path in (CONF_DIR / "objective/table1").glob("*.yaml"))
SMALL = ("algorithm.horizon=128", "algorithm.epochs=2", "total_timesteps=384")
# Rewards of a chaotic task after a few updates leave no room for "almost equal".
ITERATIONS = 3


def traces(ppo: PPO, iterations: int = ITERATIONS) -> list[bits.Trace]:
    """With Adam's moments."""
    result = bits.traces(ppo, iterations)
    for p, trace in enumerate(result):
        trace |= {"adam.mean": ppo.adam.mean[p].numpy(), "adam.var": ppo.adam.variance[p].numpy()}
    return result


def pack_of_33(env: str, *overrides: str) -> list[Config]:
    return [
        compose(f"env={env}", f"objective=table1/{name}", f"seed={seed}", *overrides)
        for seed in range(3)
        for name in SETTINGS
    ]


@functools.cache
def traces_of_33(env: str, *overrides: str) -> list[bits.Trace]:
    return traces(make_learners(pack_of_33(env, *overrides)))


# Together the tasks look at each of the 33 positions.
@pytest.mark.parametrize(
    ("first", "env", "overrides"),
    [
        (0, "half_cheetah", ()),
        (1, "half_cheetah", ("engine=torch",)),
        (2, "hopper", ("recipe=ppo2",)),
        (3, "hopper", ("recipe=ppo2", "engine=torch")),
        (4, "inverted_pendulum", ("recipe=sb3",)),  # one action: a single-column head
        (5, "reacher", ("recipe=ppo1", "policy.shared=true")),
    ],
)
def test_every_position_of_a_pack_of_33_equals_the_solo_run(
    first: int, env: str, overrides: tuple[str, ...]
) -> None:
    configs = pack_of_33(env, *SMALL, *overrides)
    packed = traces_of_33(env, *SMALL, *overrides)
    for p in range(first, 33, 6):
        assert_equal_bits(packed[p], traces(make_learners([configs[p]]))[0])


def test_a_pack_of_3_equals_the_pack_of_33() -> None:
    configs = pack_of_33("half_cheetah", *SMALL)
    packed = traces_of_33("half_cheetah", *SMALL)
    for first in range(0, 33, 3):
        three = traces(make_learners(configs[first : first + 3]))
        for offset in range(3):
            assert_equal_bits(packed[first + offset], three[offset])


@pytest.mark.parametrize("engine", ["native", "torch"])
def test_neighbors_change_nothing(config: Compose, learners: Learners, engine: str) -> None:
    env = ("env=half_cheetah", f"engine={engine}")
    own = config(*env, "objective=kl_adaptive", "seed=7", *SMALL)
    scrambled = [
        config(*env, f"seed={seed}", f"algorithm.learning_rate={rate}", *extra, *SMALL)
        for seed, rate, extra in [
            (1, 1e-2, ("objective=none", "algorithm.gamma=0.5")),
            (2, 3e-4, ("objective=clip", "objective.epsilon=0.9", "algorithm.gae_lambda=0")),
            (7, 1e-5, ("objective=kl_fixed", "objective.beta=100", "algorithm.value_coef=3")),
            (7, 0.1, ("objective=clip_log", "algorithm.entropy_coef=0.5")),
        ]
    ]
    alone = traces(learners([own]))[0]
    for position in range(5):
        pack = [*scrambled[:position], own, *scrambled[position:]]
        assert_equal_bits(alone, traces(learners(pack))[position])


def test_a_range_of_values_that_narrows_is_each_learners_own(
    config: Compose, learners: Learners
) -> None:
    """Ends that are counted in finished episodes come to each at another time."""
    line = ("env=gymnasium", "env.id=CartPole-v1", "recipe=ppo2", "algorithm.learning_rate=0.003")
    line += ("recipe.end_of_run=finished_episodes", "recipe.value_clip=0.1", *SMALL)
    pack = [
        config(*line, "recipe.value_clip_schedule=linear", f"algorithm.gamma={g}", f"seed={s}")
        for s, g in enumerate((0.99, 0.5, 0.9))
    ]
    together = learners(pack)
    packed = traces(together)
    assert len(set(together.progress)) > 1
    for alone, own in zip(pack, packed, strict=True):
        assert_equal_bits(traces(learners([alone]))[0], own)


@pytest.mark.parametrize("num_envs", [1, 4])
def test_discrete_actions_with_early_stopping(
    config: Compose, learners: Learners, num_envs: int
) -> None:
    pack = [
        config(
            "env=gymnasium",
            "env.id=CartPole-v1",
            f"env.num_envs={num_envs}",
            "recipe=sb3",
            "recipe.early_stop_kl=0.003",
            "algorithm.horizon=64",
            f"algorithm.learning_rate={rate}",
            f"seed={seed}",
            "total_timesteps=100000",
        )
        for seed, rate in enumerate([1e-4, 1e-3, 1e-2])
    ]
    packed = traces(learners(pack))
    assert len({tuple(trace["minibatches"]) for trace in packed}) > 1, "nobody stopped early"
    for p in range(3):
        assert_equal_bits(packed[p], traces(learners([pack[p]]))[0])


def test_a_diverging_learner_is_frozen_and_its_neighbors_go_on(
    config: Compose, learners: Learners
) -> None:
    good = [config("env=half_cheetah", f"seed={seed}", *SMALL) for seed in range(2)]
    bad = config("env=half_cheetah", "algorithm.learning_rate=1e38", *SMALL)
    pack = learners([good[0], bad, good[1]])
    records = list(pack.train())
    assert len(records) == 3
    assert list(records[0].failed) == [1] and "iteration 1" in records[0].failed[1]
    assert [record.active for record in records] == [[0, 2]] * 3
    assert records[-1].finished == [0, 2]
    initial = learners([bad]).weights(0)
    assert_equal_bits(initial, pack.weights(1))
    for position, alone in ((0, good[0]), (2, good[1])):
        solo = learners([alone])
        list(solo.train())
        assert_equal_bits(solo.state(0), pack.state(position))


def test_group_packs_what_differs_in_batchable_keys_only(config: Compose) -> None:
    base = ("env=hopper",)
    together = [
        config(*base, "objective=none"),
        config(*base, "objective=clip_log", "seed=3", "algorithm.learning_rate=1e-3"),
        config(*base, "objective=kl_adaptive", "algorithm.gamma=0.9", "algorithm.gae_lambda=0.5"),
        config(*base, "objective=clip", "algorithm.value_coef=2", "algorithm.entropy_coef=0.1"),
    ]
    apart = [
        config("env=walker2d"),
        config(*base, "algorithm.horizon=1024"),
        config(*base, "policy.hidden_sizes=[32]"),
        config(*base, "recipe=sb3"),
        config(*base, "total_timesteps=4096"),
    ]
    assert group([*together, *apart]) == [[0, 1, 2, 3], [4], [5], [6], [7], [8]]


def test_adam_equals_torch_for_each_row_and_skips_the_others() -> None:
    generator = torch.Generator().manual_seed(0)
    flat = torch.randn(3, 48, generator=generator)
    expected = [torch.nn.Parameter(row.clone()) for row in flat]
    rates = [1e-3, 1e-3, 1e-2]
    oracles = [
        torch.optim.Adam([row], lr=rate, eps=1e-5)
        for row, rate in zip(expected, rates, strict=True)
    ]
    adam = Adam(flat, epsilon=1e-5)
    for step in range(20):
        gradient = torch.randn(3, 48, generator=generator)
        taking_part = [p for p in range(3) if (step + p) % 3]
        groups = {rate: [p for p in taking_part if rates[p] == rate] for rate in rates}
        adam.step(gradient, {rate: members for rate, members in groups.items() if members})
        for p in taking_part:
            expected[p].grad = gradient[p].clone()
            oracles[p].step()
    torch.testing.assert_close(
        flat, torch.stack([row.data for row in expected]), rtol=1e-6, atol=1e-7
    )


def test_gradient_clipping_is_per_learner_and_equals_torch() -> None:
    gradient = torch.tensor([[3.0, 4.0], [0.3, 0.4], [3e10, 4e10]])
    rows = [torch.nn.Parameter(torch.zeros(2)) for _ in range(3)]
    for row, own in zip(rows, gradient, strict=True):
        row.grad = own.clone()
        torch.nn.utils.clip_grad_norm_([row], 0.5)
    norms = gradient_norm(gradient)
    clip_gradient(gradient, 0.5)
    torch.testing.assert_close(gradient, torch.stack([row.grad for row in rows]))
    torch.testing.assert_close(norms, torch.tensor([5.0, 0.5, 5e10]))


def test_streams_never_collide() -> None:
    draws = set()
    for seed in range(2_000):
        streams = Streams(seed)
        draws |= {
            int(rng.integers(2**63)) for rng in (streams.init, streams.action, streams.shuffle)
        }
        draws |= set(streams.env_seeds(2))
    # Environment seeds have 32 bits: one collision among 4,000 is unlikely, in the others absurd.
    assert len(draws) >= 2_000 * 5 - 3
