"""The project's algorithms as objects: created, trained for some iterations, copied."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from repro import envs
from repro.algorithms import ALGORITHMS
from repro.algorithms.base import Learners
from repro.config.compose import compose
from repro.config.schema import Config

CPU = torch.device("cpu")
CARTPOLE = ("env=gymnasium", "env.id=CartPole-v1", "recipe=sb3")


def make(*overrides: str, seeds: Sequence[int] = (0,)) -> Learners:
    """A pack of one learner a seed, as `python -m repro OVERRIDES` would make each."""
    return pack([compose(*overrides, f"seed={seed}") for seed in seeds])


def pack(configs: Sequence[Config]) -> Learners:
    """A pack of runs that can train in lockstep."""
    config = configs[0]
    made = envs.make(config.env.id, config.env.backend, len(configs) * config.env.num_envs)
    return ALGORITHMS[config.algorithm.name](configs, made, CPU)


def train(learners: Learners, iterations: int) -> None:
    """Some iterations of all learners."""
    for _ in range(iterations):
        learners.iterate()


def copy_parameters(source: Learners, learner: int, target: Learners) -> None:
    """Give every learner of `target` the parameters of one learner of `source`.

    Both are of one algorithm and of a recipe that does not normalize observations.
    """
    for part, given in zip(target.parts, source.parts, strict=True):
        part.flat.copy_(given.flat[learner])
