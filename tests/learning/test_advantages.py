"""GAE against a brute-force double sum, its limits, and the difference that a time limit makes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from repro.learning import advantages
from repro.learning.normalize import ObservationNormalizer, RewardScaler
from tests.helpers.configs import Compose
from tests.helpers.learners import Learners

Arrays = dict[str, np.ndarray]


def random_rollout(seed: int, p: int = 2, t: int = 23, n: int = 3) -> Arrays:
    rng = np.random.default_rng(seed)
    kinds = rng.choice(3, size=(p, t, n), p=[0.8, 0.1, 0.1])
    return {
        "rewards": rng.normal(size=(p, t, n)),
        "values": rng.normal(size=(p, t, n)),
        "next_values": rng.normal(size=(p, t, n)),
        "terminated": kinds == 1,
        "truncated": kinds == 2,
    }


def estimate(x: Arrays, gamma: float, gae_lambda: float, bootstrap: bool = True) -> np.ndarray:
    ends = x["terminated"] | x["truncated"]
    terminal = x["terminated"] if bootstrap else ends
    tensors = {k: torch.from_numpy(x[k]) for k in ("rewards", "values", "next_values")}
    return advantages.gae(
        **tensors,
        discounts=torch.from_numpy(gamma * ~terminal),
        ends=torch.from_numpy(ends),
        gae_lambda=torch.full((x["rewards"].shape[0],), gae_lambda, dtype=torch.float64),
    ).numpy()


def brute_force(x: Arrays, gamma: float, gae_lambda: float, bootstrap: bool = True) -> np.ndarray:
    """The sum of equation 11, term by term."""
    result = np.zeros_like(x["rewards"])
    p_size, horizon, n_size = result.shape
    for p in range(p_size):
        for n in range(n_size):
            for t in range(horizon):
                for k in range(t, horizon):
                    terminated, truncated = x["terminated"][p, k, n], x["truncated"][p, k, n]
                    blocked = terminated or (truncated and not bootstrap)
                    next_value = 0.0 if blocked else x["next_values"][p, k, n]
                    delta = x["rewards"][p, k, n] + gamma * next_value - x["values"][p, k, n]
                    result[p, t, n] += (gamma * gae_lambda) ** (k - t) * delta
                    if terminated or truncated:
                        break
    return result


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 10_000),
    st.floats(0, 1),
    st.floats(0, 1),
    st.booleans(),
    st.integers(1, 40),
)
def test_gae_equals_the_brute_force_sum(
    seed: int, gamma: float, gae_lambda: float, bootstrap: bool, horizon: int
) -> None:
    x = random_rollout(seed, t=horizon)
    np.testing.assert_allclose(
        estimate(x, gamma, gae_lambda, bootstrap),
        brute_force(x, gamma, gae_lambda, bootstrap),
        atol=1e-12,
    )


def test_lambda_0_is_the_temporal_difference() -> None:
    x = random_rollout(1)
    delta = x["rewards"] + 0.9 * x["next_values"] * ~x["terminated"] - x["values"]
    np.testing.assert_allclose(estimate(x, 0.9, 0.0), delta, atol=1e-14)


def test_lambda_1_is_the_return_minus_the_value() -> None:
    x = random_rollout(2)
    x["terminated"][:, -1] = True
    x["truncated"][...] = False
    # Inside an episode the value of the next observation is that of the next step.
    x["next_values"][:, :-1] = x["values"][:, 1:]
    returns = np.zeros_like(x["rewards"])
    running = np.zeros_like(returns[:, 0])
    for t in reversed(range(returns.shape[1])):
        running = x["rewards"][:, t] + 0.9 * running * ~x["terminated"][:, t]
        returns[:, t] = running
    np.testing.assert_allclose(estimate(x, 0.9, 1.0), returns - x["values"], atol=1e-12)


def test_a_perfect_value_function_has_no_advantage() -> None:
    """Constant reward 1 forever: V = 1 / (1 - gamma), whatever lambda, with a truncation inside."""
    x = {name: np.full((1, 50, 1), 10.0) for name in ("values", "next_values")}
    x |= {"rewards": np.ones((1, 50, 1)), "terminated": np.zeros((1, 50, 1), bool)}
    x["truncated"] = np.arange(50)[None, :, None] == 20
    np.testing.assert_allclose(estimate(x, 0.9, 0.95), 0, atol=1e-12)
    assert np.all(estimate(x, 0.9, 0.95, bootstrap=False)[0, :21] < 0), (
        "a time limit taken as an end"
    )


def test_each_learner_has_its_own_lambda() -> None:
    x = random_rollout(3)
    ends = torch.from_numpy(x["terminated"] | x["truncated"])
    both = advantages.gae(
        *(torch.from_numpy(x[k]) for k in ("rewards", "values", "next_values")),
        discounts=torch.from_numpy(0.9 * ~x["terminated"]),
        ends=ends,
        gae_lambda=torch.tensor([0.3, 0.8]),
    ).numpy()
    for p, gae_lambda in enumerate([0.3, 0.8]):
        np.testing.assert_allclose(both[p], estimate(x, 0.9, gae_lambda)[p], atol=1e-6)


@pytest.mark.parametrize("time_limit", ["terminal", "bootstrap"])
def test_the_switch_for_time_limits_reaches_the_update(
    config: Compose, learners: Learners, time_limit: str
) -> None:
    """Reacher only ever truncates, every 50 steps: with lambda 0 the switch is gamma V(s_T)."""
    ppo = learners(
        [
            config(
                "env=reacher",
                f"recipe.time_limit={time_limit}",
                "recipe.advantage_normalization=none",
                "algorithm.gae_lambda=0",
                "algorithm.horizon=128",
            )
        ]
    )
    rollout = ppo.collector.collect(1)
    assert rollout.truncated[0, :, 0].nonzero().flatten().tolist() == [49, 99]
    found = ppo.estimate(rollout).advantages[0]
    ends = rollout.truncated[0, :, 0]
    bootstrapped = rollout.rewards + 0.99 * rollout.next_values - rollout.values
    cut = rollout.rewards - rollout.values
    torch.testing.assert_close(found[~ends], bootstrapped[0, ~ends, 0])
    expected = bootstrapped if time_limit == "bootstrap" else cut
    torch.testing.assert_close(found[ends], expected[0, ends, 0])
    assert not torch.allclose(bootstrapped[0, ends, 0], cut[0, ends, 0])


def test_the_value_at_a_truncation_is_of_the_true_next_observation(
    config: Compose, learners: Learners
) -> None:
    own = config("env=reacher", "recipe=sb3", "algorithm.horizon=64", "algorithm.minibatch_size=64")
    ppo = learners([own])
    rollout = ppo.collector.collect(1)
    finals = ppo.collector.envs._final_observations
    final = torch.from_numpy(finals).float()[None]
    expected = ppo.policy.value(ppo.parameters.views, final)[0, 0]
    torch.testing.assert_close(rollout.next_values[0, 49, 0], expected)
    assert not torch.allclose(rollout.values[0, 50, 0], expected), "the reset observation's value"


def test_actors_are_standardized_as_the_processes_of_ppo1_each_its_own(
    config: Compose, learners: Learners
) -> None:
    shape = ("env=reacher", "env.num_envs=3", "algorithm.horizon=64", "algorithm.minibatch_size=64")
    found = {
        by: learners([config(*shape, f"recipe.advantage_normalization={by}", "engine=torch")])
        for by in ("none", "actor", "rollout")
    }
    centered = [f"recipe.advantage_{key}" for key in ("normalization=actor", "std=none")]
    found["centered"] = learners([config(*shape, *centered, "engine=torch")])
    estimates = {
        by: ppo.estimate(ppo.collector.collect(1)).advantages.view(64, 3).numpy()
        for by, ppo in found.items()
    }
    raw = estimates["none"]
    for n in range(3):
        expected = (raw[:, n] - raw[:, n].mean()) / raw[:, n].std()
        np.testing.assert_allclose(estimates["actor"][:, n], expected, atol=1e-4)
        own = raw[:, n] - raw[:, n].mean()
        np.testing.assert_allclose(estimates["centered"][:, n], own, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(estimates["rollout"], (raw - raw.mean()) / raw.std(), atol=1e-4)
    assert np.abs(estimates["rollout"] - estimates["actor"]).max() > 0.1


@pytest.mark.parametrize("algorithm", ["vpg", "trpo"])
def test_so_are_those_of_the_other_algorithms(
    config: Compose, learners: Learners, algorithm: str
) -> None:
    own = learners(
        [
            config(
                "env=reacher",
                f"algorithm={algorithm}",
                "env.num_envs=2",
                "recipe.advantage_normalization=actor",
            )
        ]
    )
    raw = torch.randn(1, 50, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor([1, 9])
    found = own.standardize(raw.flatten(1)).view(50, 2)
    torch.testing.assert_close(found.std(0, correction=0), torch.ones(2), atol=1e-4, rtol=0)


def test_standardize_and_explained_variance_against_numpy() -> None:
    x = np.random.default_rng(0).normal(3, 5, size=(4, 100))
    for unbiased in (False, True):
        ours = advantages.standardize(torch.from_numpy(x), unbiased, 1e-8).numpy()
        std = x.std(-1, ddof=int(unbiased), keepdims=True)
        np.testing.assert_allclose(ours, (x - x.mean(-1, keepdims=True)) / (std + 1e-8), atol=1e-12)
    centered = advantages.center(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(centered, x - x.mean(-1, keepdims=True), atol=1e-12)
    y = x + np.random.default_rng(1).normal(size=x.shape)
    found = advantages.explained_variance(torch.from_numpy(y), torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(found, 1 - (x - y).var(-1) / x.var(-1), atol=1e-12)


@pytest.mark.parametrize("size", [1, 3, 8, 10])
@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("epsilon", [0, 1e-8])
def test_equal_advantages_become_zero(size: int, unbiased: bool, epsilon: float) -> None:
    """Also where the mean of equal numbers is rounded, and beside a learner whose own differ."""
    equal = torch.tensor([0.1, 1e30, -1.0, 0.0])[:, None].expand(4, size)
    other = torch.arange(size, dtype=torch.float32)[None]
    found = advantages.standardize(torch.cat([equal, other]), unbiased, epsilon)
    assert not found[:4].any() and not advantages.center(equal).any()
    assert size == 1 or (found[4] != 0).any()
    nan = advantages.standardize(torch.full((1, size), float("nan")), unbiased, epsilon)
    assert nan.isnan().all(), "what is not finite is not hidden"


def test_the_explained_variance_of_constant_targets_is_unknown() -> None:
    values = torch.tensor([[1.0, 2.0, 3.0], [1.0, 1.0, 1.0]])
    assert advantages.explained_variance(values, torch.full((2, 3), 0.1)).isnan().all()


def test_what_never_varies_is_normalized_to_zero(config: Compose) -> None:
    zero = ("recipe.observation_variance_floor=0", "recipe.observation_epsilon=0")
    recipe = config("env=reacher", *zero, "recipe.reward_scaling=true").recipe
    normalizer = ObservationNormalizer(1, 2, recipe)
    normalizer.moments.variance[:] = [[0, 4]]
    normalizer.restore(0, normalizer.checkpoint(0))
    out = np.empty((1, 1, 2), np.float32)
    normalizer.apply(np.full((1, 1, 2), 3.0), out)
    np.testing.assert_array_equal(out, [[[0, 1.5]]])

    scaler = RewardScaler(1, np.ones(1), recipe)
    scaler.moments.variance[:] = 0
    scaler.moments.update = lambda samples: None  # type: ignore[method-assign]
    never = np.zeros((1, 1), np.bool_)
    assert scaler.apply(np.ones((1, 1)), never, never) == 0
