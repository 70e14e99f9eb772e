"""Fixtures shared by the tests: configurations are composed from the real `conf/`."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable, Sequence

import pytest
import torch

from repro.algorithms.ppo import PPO
from repro.compose import compose as compose_config
from repro.config import Config
from repro.envs import make

torch.set_num_threads(1)

Compose = Callable[..., Config]
Learners = Callable[[Sequence[Config]], PPO]


def make_learners(configs: Sequence[Config]) -> PPO:
    """A pack, ready to iterate."""
    env = configs[0].env
    envs = make(env.id, env.backend, len(configs) * env.num_envs)
    return PPO(configs, envs, torch.device("cpu"))


@pytest.fixture
def config() -> Compose:
    return compose_config


@pytest.fixture
def learners() -> Learners:
    return make_learners
