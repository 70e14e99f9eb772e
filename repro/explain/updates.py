"""PPO's update, stopped after every epoch: the ratios and advantages of all its samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from repro.algorithms.ppo import PPO
from repro.config.compose import compose
from repro.explain import learners
from repro.learning.objectives import SURROGATES
from repro.rollouts.rollout import Rollout

RECIPE = ("recipe=paper", "algorithm.epochs=1")  # one epoch a call of `optimize`
EPOCHS = 10  # Table 3


@dataclass(frozen=True)
class Epoch:
    """All samples of a rollout after one epoch, [P, B] each.

    Attributes:
        number: from 1; 0 is before the update.
        ratio: pi / pi_old of the action taken.
        advantages: standardized, as the update used them.
        kl: KL[pi_old, pi] at the sample's state, in nats.
    """

    number: int
    ratio: Tensor
    advantages: Tensor
    kl: Tensor


def make(task: str, objectives: Sequence[str], seeds: int) -> PPO:
    """A pack of every objective with every seed, objectives outermost.

    An objective is its name, and what else it takes: `clip objective.epsilon=0.1`.
    """
    made = learners.pack(
        [
            compose(f"env={task}", *f"objective={objective}".split(), f"seed={seed}", *RECIPE)
            for objective in objectives
            for seed in range(seeds)
        ]
    )
    assert isinstance(made, PPO)
    return made


def update(ppo: PPO, rollout: Rollout, epochs: int = EPOCHS) -> Iterator[Epoch]:
    """One update of K epochs, in K calls of one: the same draws, steps and moments of Adam."""
    batch = ppo.estimate(rollout)
    surrogate = ppo.surrogate.prepare(ppo.annealed(ppo.recipe.epsilon_schedule))
    rates = ppo.step_sizes.now(ppo.annealed(ppo.recipe.learning_rate_schedule))
    for number in range(epochs + 1):
        if number:
            ppo.optimize(batch, surrogate, rates)
        with torch.no_grad():
            distribution = ppo.networks.distribution(batch.inputs)
            log_prob, kl = distribution.compare(batch.actions, batch.old)
        ratio = (log_prob - batch.log_prob).exp()
        yield Epoch(number, ratio, batch.advantages, kl)
    ppo.surrogate.adapt(kl.double().mean(-1).numpy())


def iterations(ppo: PPO, count: int, epochs: int = EPOCHS) -> Iterator[tuple[int, Epoch]]:
    """Train for `count` iterations: the number of each, from 1, with each of its epochs."""
    for _ in range(count):
        ppo.iteration += 1
        rollout = ppo.collector.collect(ppo.iteration)
        for epoch in update(ppo, rollout, epochs):
            yield ppo.iteration, epoch


def slope(kind: str, ratio: Tensor, advantages: Tensor, kl: Tensor, **scalars: float) -> Tensor:
    """d term / d ratio of an objective of the project, elementwise."""
    ratio = ratio.detach().clone().requires_grad_()
    own = {name: torch.tensor(value, dtype=ratio.dtype) for name, value in scalars.items()}
    terms = SURROGATES[kind](ratio, advantages, kl, **own)
    (gradient,) = torch.autograd.grad(terms.sum(), ratio)
    return gradient
