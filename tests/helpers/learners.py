"""Packs that are ready to iterate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from repro.algorithms import ALGORITHMS
from repro.config.schema import Config
from repro.envs import make

Learners = Callable[[Sequence[Config]], Any]


def make_learners(configs: Sequence[Config]) -> Any:
    """A pack of the algorithm that the configurations name."""
    env = configs[0].env
    envs = make(env.id, env.backend, len(configs) * env.num_envs, env.switches)
    return ALGORITHMS[configs[0].algorithm.name](configs, envs, torch.device("cpu"))
