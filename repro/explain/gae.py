"""Figure 5: bias and spread of generalized advantage estimation, by lambda, against the truth.

From each of some states of CartPole, both actions are taken many times, and then the policy acts to
the end of the episode. The mean of those returns is Q, with no critic in it. What an actor needs is
the contrast A(a=1) - A(a=0): the critic's offset, which both actions share, moves no probability.

A policy in training is wanted: in one that has converged no action matters, and A is near 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from repro import envs
from repro.algorithms.base import Learners
from repro.explain import learners
from repro.explain.tables import SEEDS, Array, Table, mean_and_error
from repro.learning import advantages

OVERRIDES = (*learners.CARTPOLE, "env.num_envs=8", "algorithm=vpg", "algorithm.horizon=256")
# Critics by name: the policy's own, and worse ones that saw as many iterations of the same run.
CRITICS = {"untrained": 0, "early": 4, "own": 25}
ITERATIONS = max(CRITICS.values())
STATES, TRAJECTORIES = 12, 60  # of each action
LAMBDAS = np.array([*np.linspace(0, 0.9, 10), 0.93, 0.95, 0.97, 0.98, 0.99, 1]).round(2)
LAGS = 60  # of the table of mean residuals


def measure(
    seeds: int = SEEDS,
    states: int = STATES,
    trajectories: int = TRAJECTORIES,
    shown: Sequence[str] = tuple(CRITICS),
) -> list[Table]:
    """`gae`, bias and spread; `gae_residuals`, the means of delta_{t+l} behind the bias."""
    trained = learners.make(*OVERRIDES, seeds=range(seeds))
    critics = {}
    for iteration in range(ITERATIONS + 1):
        for name, wanted in CRITICS.items():
            if iteration == wanted:
                critics[name] = trained.parts[1].flat.clone()
        if iteration < ITERATIONS:
            trained.iterate()
    lines, residuals = [], []
    for seed in range(seeds):
        played = Played(trained, seed, states, trajectories)
        for name in shown:
            trained.parts[1].flat.copy_(critics[name])
            values = played.values(trained, seed)
            lines += [{"seed": seed, "critic": name} | x for x in played.errors(values)]
            residuals += [
                {"seed": seed, "critic": name, "state": state, "lag": lag, "contrast": value}
                for (state, lag), value in np.ndenumerate(played.residuals(values))
            ]
    trained.close()
    units = {
        "critic": f"the value function after so many iterations: {CRITICS}",
        "lambda": "of the estimate",
        "measure": f"bias: root mean square over {states} states of the mean error of "
        "A(a=1) - A(a=0); std: root mean square over states of its standard deviation; "
        "truth: root mean square over states of A(a=1) - A(a=0)",
        "value": "reward, mean over trained policies",
        "error": "standard error of value over trained policies",
        "seeds": "count",
    }
    lag_units = {
        "critic": "as in gae",
        "lag": "l, steps after the action",
        "size": "gamma^l |E[delta_{t+l} | a=1] - E[delta_{t+l} | a=0]|: root mean square over "
        "states and trained policies, in units of reward",
    }
    squares = pd.DataFrame(residuals).assign(size=lambda x: x["contrast"] ** 2)
    by_lag = squares.groupby(["critic", "lag"], sort=False)["size"].mean().pow(0.5).reset_index()
    return [
        Table("gae", mean_and_error(pd.DataFrame(lines), ["critic", "lambda", "measure"]), units),
        Table("gae_residuals", by_lag, lag_units),
    ]


class Played:
    """Trajectories of one policy from S states with both actions, M of each: [S, T, 2 M].

    The first M of a state's actors took action 0, the others action 1.
    """

    def __init__(self, trained: Learners, learner: int, states: int, trajectories: int) -> None:
        """Play them all."""
        self.gamma = float(trained.gamma[learner])
        self.rng = np.random.default_rng(learner)
        starts = self._starts(trained, learner, states)
        runs = [self._play(trained, learner, start, trajectories) for start in starts]
        steps = max(len(rewards) for _, rewards, _ in runs)
        shape = (states, steps, 2 * trajectories)
        self.observations = np.zeros((states, steps + 1, 2 * trajectories, 4))
        self.rewards, self.ended = np.zeros(shape), np.ones(shape, np.bool_)
        for s, (observations, rewards, ended) in enumerate(runs):
            self.observations[s, : len(observations)] = observations
            self.rewards[s, : len(rewards)], self.ended[s, : len(ended)] = rewards, ended

    def _starts(self, trained: Learners, learner: int, states: int) -> list[dict[str, object]]:
        """States of the task that the policy comes by, far enough apart to differ."""
        task = envs.make(trained.config.env.id, trained.config.env.backend, states)
        observations, _ = task.reset(seed=[1000 * learner + i for i in range(states)])
        found: list[dict[str, object]] = []
        wait = self.rng.integers(5, 40, states)  # steps into the episode, or into its successor
        for step in range(int(wait.max()) + 1):
            for i in np.flatnonzero(wait == step):
                state = task.state(slice(int(i), int(i) + 1))
                assert state is not None
                found.append(state)
            observations = task.step(self._act(trained, learner, observations))[0]
        task.close()
        return found

    def _act(self, trained: Learners, learner: int, observations: Array) -> Array:
        inputs = torch.zeros(len(trained.configs), len(observations), observations.shape[1])
        inputs[learner] = torch.from_numpy(observations)
        with torch.no_grad():
            distribution = trained.networks.distribution(inputs)
        noise = torch.zeros(inputs.shape[:2])
        noise[learner] = torch.from_numpy(self.rng.random(len(observations)))
        return np.asarray(distribution.sample(noise)[learner].numpy())

    def _play(
        self, trained: Learners, learner: int, start: dict[str, object], trajectories: int
    ) -> tuple[Array, Array, Array]:
        """Observations [T + 1, 2 M, 4], rewards and whether the episode is over, [T, 2 M]."""
        count = 2 * trajectories
        task = envs.make(trained.config.env.id, trained.config.env.backend, count)
        task.reset(seed=0)
        for i in range(count):
            task.set_state(start, slice(i, i + 1))
        seen, rewards, over = [task.observations.copy()], [], []
        actions = np.repeat([0, 1], trajectories)
        done = np.zeros(count, np.bool_)
        while not done.all():
            observations, reward, terminated, truncated, infos = task.step(actions)
            ends, last = terminated | truncated, observations.copy()
            if "final_obs" in infos:
                last[ends] = infos["final_obs"][ends]
            rewards.append(np.where(done, 0, reward))
            seen.append(last)
            done = done | ends
            over.append(done.copy())
            actions = self._act(trained, learner, observations)
        task.close()
        return np.stack(seen), np.stack(rewards), np.stack(over)

    def values(self, trained: Learners, learner: int) -> Tensor:
        """V of all observations, [S, T + 1, 2 M]."""
        flat = torch.from_numpy(self.observations).float().flatten(0, 2)
        inputs = flat.expand(len(trained.configs), *flat.shape)
        with torch.no_grad():
            values = trained.networks.value(inputs)[learner]
        return values.reshape(self.observations.shape[:3])

    def estimates(self, values: Tensor, gae_lambda: float) -> Array:
        """A of the first step, [S, 2 M]: `advantages.gae`, each state a learner."""
        ended = torch.from_numpy(self.ended)
        found = advantages.gae(
            torch.from_numpy(self.rewards),
            values[:, :-1].double(),
            values[:, 1:].double(),
            discounts=self.gamma * ~ended,
            ends=ended,
            gae_lambda=torch.full((len(values),), gae_lambda, dtype=torch.float64),
        )
        return found[:, 0].numpy()

    def errors(self, values: Tensor) -> list[dict[str, object]]:
        """Bias and spread by lambda."""
        returns = self._by_action(self.estimates(torch.zeros_like(values), 1.0))
        truth = contrast_size(returns)
        lines: list[dict[str, object]] = []
        for gae_lambda in LAMBDAS:
            found = self._by_action(self.estimates(values, float(gae_lambda)))
            measures = {
                "bias": contrast_size(found - returns),  # the same trajectories: less noise
                "std": float(np.sqrt(found.var(-1, ddof=1).sum(1).mean())),
                "truth": truth,
            }
            row = {"lambda": float(gae_lambda)}
            lines += [row | {"measure": name, "value": x} for name, x in measures.items()]
        return lines

    def residuals(self, values: Tensor) -> Array:
        """gamma^l (E[delta_{t+l} | a=1] - E[delta_{t+l} | a=0]) of each state, [S, LAGS].

        Their sum weighted by lambda^l is the mean contrast of the estimate: what each lag adds.
        """
        values = values.double()
        following = torch.where(torch.from_numpy(self.ended), 0, values[:, 1:])
        delta = torch.from_numpy(self.rewards) + self.gamma * following - values[:, :-1]
        over = np.concatenate([np.zeros_like(self.ended[:, :1]), self.ended[:, :-1]], 1)
        delta[torch.from_numpy(over)] = 0  # after the end
        mean = self._by_action(delta.numpy()).mean(-1)  # [S, T, 2]
        contrast = (mean[..., 1] - mean[..., 0]) * self.gamma ** np.arange(mean.shape[1])
        shorter = max(0, LAGS - contrast.shape[1])
        return np.pad(contrast, ((0, 0), (0, shorter)))[:, :LAGS]

    def _by_action(self, x: Array) -> Array:
        """[..., 2 M] -> [..., 2, M]."""
        return x.reshape(*x.shape[:-1], 2, -1)


def contrast_size(x: Array) -> float:
    """Root mean square over S states of E[x | a=1] - E[x | a=0], of [S, 2, M] samples.

    The variance of both means is taken off the squares, which would be too large by it.
    """
    difference = x[:, 1].mean(-1) - x[:, 0].mean(-1)
    noise = x.var(-1, ddof=1).sum(1) / x.shape[-1]
    return float(np.sqrt(max(0.0, (difference**2 - noise).mean())))
