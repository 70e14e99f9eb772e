"""Policy gradients against expectations over all trajectories, and one update against autograd."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import Tensor

from repro.algorithms.vpg import VPG
from repro.learning import advantages, objectives
from repro.learning.optimizers import adapt_step_size
from repro.networks.distributions import Categorical
from repro.rollouts.rollout import Rollout
from tests.helpers.configs import Compose
from tests.helpers.learners import Learners

SIGNALS = ("return", "reward_to_go", "q", "advantage")
STEPS = 4


class Enumeration:
    """All ways through a chain of 3 states: action 1 goes on, action 0 stays.

    It ends past the last state, and steps after that have no weight. Every trajectory is an actor:
    tensors are [1, T, N].
    """

    rewards = torch.tensor([[0.3, -1.0], [2.0, 0.5], [-0.7, 4.0]], dtype=torch.float64)

    def __init__(self, gamma: float, steps: int = STEPS) -> None:
        generator = torch.Generator().manual_seed(1)
        self.gamma, self.steps = gamma, steps
        self.logits = torch.randn(3, 2, generator=generator, dtype=torch.float64).requires_grad_()
        states, actions, ended, alive = [], [], [], []
        for path in itertools.product((0, 1), repeat=steps):
            state, living = 0, True
            for t, action in enumerate(path):
                over = (state == 2 and action == 1) or t == steps - 1
                states.append(state), actions.append(action)
                ended.append(over), alive.append(living)
                living &= not over
                state = min(state + action, 2)
        shape = (2**steps, steps)
        self.states, self.actions, self.ends, self.alive = (
            torch.tensor(x).view(shape).T[None] for x in (states, actions, ended, alive)
        )
        self.reward = self.rewards[self.states, self.actions] * self.alive
        # Of paths that agree until their end, one stands for all.
        kept: dict[tuple[int, ...], int] = {}
        for n in range(shape[0]):
            length = int(self.alive[0, :, n].sum())
            kept.setdefault(tuple(self.actions[0, :length, n].tolist()), n)
        self.weight = torch.zeros(shape[0], dtype=torch.float64)
        self.weight[list(kept.values())] = 1.0

    def log_prob(self) -> Tensor:
        return Categorical(self.logits[self.states]).log_prob(self.actions)

    def probability(self) -> Tensor:
        return (self.log_prob() * self.alive).sum(1)[0].exp() * self.weight

    def objective(self) -> Tensor:
        """J, the expected discounted return."""
        discounts = self.gamma ** torch.arange(self.steps)[None, :, None]
        return (self.probability() * (self.reward * discounts).sum(1)[0]).sum()

    def gradients(self, signal: Tensor) -> Tensor:
        """The estimate that each trajectory would give alone, [N, 6]."""
        terms = objectives.policy_gradient(self.log_prob(), signal.double()) * self.alive
        parts = [
            torch.autograd.grad(x, self.logits, retain_graph=True)[0].flatten()
            for x in terms.sum(1)[0]
        ]
        return torch.stack(parts)

    def expectation(self, signal: Tensor) -> Tensor:
        return self.probability().detach() @ self.gradients(signal)

    def variance(self, signal: Tensor) -> float:
        """Trace of the estimate's covariance."""
        each, p = self.gradients(signal), self.probability().detach()
        return float(p @ each.square().sum(1) - (p @ each).square().sum())

    def exact(self) -> Tensor:
        return torch.autograd.grad(self.objective(), self.logits)[0].flatten()

    def rollout(self, values: Tensor) -> Rollout:
        """What a collector would have seen; `values` [T, 3] at every time and state."""
        times = torch.arange(self.steps)[:, None]
        v = values[times, self.states[0]][None]
        following = torch.cat([v[:, 1:], torch.zeros_like(v[:, :1])], dim=1)
        return Rollout(
            inputs=torch.zeros(1, v[0].numel(), 1),
            actions=self.actions.reshape(1, -1, 1),
            old=Categorical(self.logits.detach()[self.states].reshape(1, -1, 2)),
            rewards=self.reward,
            values=v,
            next_values=following,
            terminated=self.ends,
            truncated=torch.zeros_like(self.ends),
            episodes=[],
            finished_steps=np.zeros(1, np.int64),
            finite=np.ones(1, bool),
        )

    def true_values(self) -> Tensor:
        """V^pi by backward induction, [T, 3]."""
        values = torch.zeros(self.steps + 1, 3, dtype=torch.float64)
        policy = torch.softmax(self.logits.detach(), -1)
        for t in reversed(range(self.steps)):
            on = torch.tensor([values[t + 1, 1], values[t + 1, 2], 0.0])
            following = torch.stack([values[t + 1], on], dim=-1)
            values[t] = (policy * (self.rewards + self.gamma * following)).sum(-1)
        return values[:-1]


def make(config: Compose, learners: Learners, signal: str, gamma: float, lam: float = 1.0) -> VPG:
    return learners(
        [
            config(
                "env=gymnasium",
                "env.id=CartPole-v1",
                "algorithm=vpg",
                f"algorithm.signal={signal}",
                f"algorithm.gamma={gamma}",
                f"algorithm.gae_lambda={lam}",
            )
        ]
    )


def signal_of(vpg: VPG, rollout: Rollout) -> Tensor:
    return vpg.signal(rollout, vpg.generalized_advantages(rollout))


@pytest.mark.parametrize("steps", [1, STEPS])  # one step: a bandit
@pytest.mark.parametrize("signal", SIGNALS)
def test_the_expected_gradient_is_exact(
    config: Compose, learners: Learners, signal: str, steps: int
) -> None:
    chain = Enumeration(1.0, steps)
    assert float(chain.probability().sum().detach()) == pytest.approx(1.0)
    vpg = make(config, learners, signal, 1.0)
    values = torch.randn(steps, 3, generator=torch.Generator().manual_seed(2)).double()
    estimate = signal_of(vpg, chain.rollout(values))
    torch.testing.assert_close(chain.expectation(estimate), chain.exact(), rtol=1e-6, atol=1e-7)
    assert float(chain.exact().norm()) > 0.1


def test_the_discounted_return_has_the_gradient_of_the_discounted_objective(
    config: Compose, learners: Learners
) -> None:
    chain = Enumeration(0.8)
    vpg = make(config, learners, "return", 0.8)
    estimate = signal_of(vpg, chain.rollout(chain.true_values()))
    torch.testing.assert_close(chain.expectation(estimate), chain.exact(), rtol=1e-6, atol=1e-7)


def test_each_signal_is_less_noisy_than_the_one_before(config: Compose, learners: Learners) -> None:
    chain = Enumeration(1.0)
    rollout = chain.rollout(chain.true_values())
    noise = {
        signal: chain.variance(signal_of(make(config, learners, signal, 1.0), rollout))
        for signal in SIGNALS
    }
    assert noise["return"] > noise["reward_to_go"] > noise["advantage"]
    assert noise["q"] == pytest.approx(noise["reward_to_go"], rel=1e-6)  # lambda = 1: one signal
    one_step = signal_of(make(config, learners, "q", 1.0, lam=0.0), rollout)
    assert chain.variance(one_step) < noise["q"], "the true V in place of later rewards"


def test_a_baseline_leaves_the_expectation_and_lowers_the_variance() -> None:
    bandit = Enumeration(1.0, steps=1)
    plain = bandit.reward
    probability = bandit.probability().detach()
    baseline = (probability * plain[0, 0]).sum()
    for shift in (baseline, 10 * baseline):
        torch.testing.assert_close(bandit.expectation(plain - shift), bandit.expectation(plain))
    assert bandit.variance(plain - baseline) < bandit.variance(plain)


def test_signals_agree_where_they_must(config: Compose, learners: Learners) -> None:
    chain = Enumeration(0.9)
    random = torch.randn(STEPS, 3, generator=torch.Generator().manual_seed(3)).double()
    packs = {(s, lam): make(config, learners, s, 0.9, lam) for s in SIGNALS for lam in (0, 0.7, 1)}

    def value(signal: str, lam: float, values: Tensor = random) -> Tensor:
        return signal_of(packs[signal, lam], chain.rollout(values)) * chain.alive

    baseline = chain.rollout(random).values * chain.alive
    for lam in (0, 0.7, 1):
        torch.testing.assert_close(value("q", lam) - value("advantage", lam), baseline)
        assert torch.equal(value("return", lam), value("return", 0))
        assert torch.equal(value("reward_to_go", lam), value("reward_to_go", 0))
    torch.testing.assert_close(value("q", 1), value("reward_to_go", 1))
    torch.testing.assert_close(
        value("advantage", 1, torch.zeros_like(random)), value("reward_to_go", 1)
    )
    torch.testing.assert_close(value("return", 1)[:, 0], value("reward_to_go", 1)[:, 0])


def test_sums_equal_loops() -> None:
    generator = torch.Generator().manual_seed(4)
    rewards = torch.randn(2, 37, 3, generator=generator)
    ends = torch.rand(2, 37, 3, generator=generator) < 0.1
    discounts = torch.tensor([0.9, 1.0])[:, None, None]
    to_go = advantages.reward_to_go(rewards, discounts, ends)
    whole = advantages.episode_return(rewards, discounts, ends)
    for p, n in itertools.product(range(2), range(3)):
        start = 0
        for t in range(37):
            total, discount = 0.0, 1.0
            for s in range(t, 37):
                total += discount * float(rewards[p, s, n])
                discount *= float(discounts[p])
                if ends[p, s, n]:
                    break
            assert float(to_go[p, t, n]) == pytest.approx(total, abs=1e-5)
            assert float(whole[p, t, n]) == float(to_go[p, start, n])
            start = t + 1 if ends[p, t, n] else start


@pytest.mark.parametrize("task", ["env=half_cheetah", "env=gymnasium env.id=CartPole-v1"])
def test_the_gradient_equals_plain_autograd(config: Compose, learners: Learners, task: str) -> None:
    vpg = learners([config(*task.split(), "algorithm=vpg", "algorithm.horizon=64")])
    vpg.iterate()
    rollout = vpg.collector.collect(2)
    estimate = vpg.generalized_advantages(rollout)
    batch = vpg.batch(rollout, estimate, estimate + rollout.values)
    batch.advantages = vpg.standardize(batch.advantages)
    surrogate, gradient = vpg.gradient(batch)
    vpg.actor.flat.copy_(gradient)
    found = vpg.weights(0)

    # The same by torch's own layers and distributions.
    weights = {k: torch.from_numpy(v).requires_grad_() for k, v in _before(vpg, learners).items()}
    x = batch.inputs[0]
    for layer in ("actor.0", "actor.1"):
        x = torch.tanh(x @ weights[f"{layer}.weight"] + weights[f"{layer}.bias"])
    x = x @ weights["policy.weight"] + weights["policy.bias"]
    if "log_std" in weights:
        normal = torch.distributions.Normal(x, weights["log_std"].exp())
        log_prob = normal.log_prob(batch.actions[0]).sum(-1)
    else:
        log_prob = torch.distributions.Categorical(logits=x).log_prob(batch.actions[0])
    loss = -(log_prob * batch.advantages[0]).mean()
    names = [name for name in weights if name.startswith(("actor", "policy", "log_std"))]
    expected = torch.autograd.grad(loss, [weights[name] for name in names])
    assert float(-loss.detach()) == pytest.approx(float(surrogate[0]), rel=1e-4, abs=1e-6)
    for name, value in zip(names, expected, strict=True):
        np.testing.assert_allclose(found[name], value.numpy(), atol=2e-6, rtol=1e-4, err_msg=name)


def _before(vpg: VPG, learners: Learners) -> dict[str, np.ndarray]:
    """The weights after the first iteration: the same again, from the seed."""
    twin = learners(vpg.configs)
    twin.iterate()
    return twin.weights(0)


def test_a_batch_without_a_gradient_leaves_the_step_size(
    config: Compose, learners: Learners
) -> None:
    """It would grow by half in each iteration, and be infinite in float32 after 240."""
    task = ("env=gymnasium", "env.id=tests.helpers.tasks:Constant-v0", "algorithm=vpg")
    small = ("algorithm.horizon=4", "algorithm.minibatch_size=4", "policy.hidden_sizes=[2]")
    steps = "total_timesteps=2000"
    constant = learners([config(*task, *small, steps, "algorithm.epochs=1")])
    for _ in range(3):
        metrics = constant.iterate().metrics
        assert metrics["kl"][0] == metrics["gradient_norm"][0] == 0
        assert metrics["learning_rate"][0] == 1e-3
    huge = adapt_step_size(np.array([3e38]), np.zeros(1), np.ones(1))
    assert np.isfinite(huge.astype(np.float32)).all()


def test_the_step_size_follows_the_kl(config: Compose, learners: Learners) -> None:
    rates, target = np.array([1.0, 1.0, 1.0, 1.0]), np.full(4, 2e-3)
    kl = np.array([4.1e-3, 3.9e-3, 1.1e-3, 0.9e-3])
    np.testing.assert_allclose(adapt_step_size(rates, kl, target), [1 / 1.5, 1, 1, 1.5])
    adaptive, fixed = (
        learners(
            [
                config(
                    "env=hopper",
                    "algorithm=vpg",
                    "algorithm.horizon=128",
                    f"algorithm.adaptive_step_size={switch}",
                )
            ]
        )
        for switch in ("true", "false")
    )
    rates = [
        [pack.iterate().metrics["learning_rate"][0] for _ in range(3)] for pack in (adaptive, fixed)
    ]
    assert rates[0] == pytest.approx([1e-3, 1.5e-3, 2.25e-3]) and rates[1] == [1e-3] * 3
