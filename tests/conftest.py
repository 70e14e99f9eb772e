"""Fixtures shared by the tests: configurations are composed from the real `conf/`."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

from collections.abc import Callable, Sequence

import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.config_store import ConfigStore

from repro.algorithms.ppo import PPO
from repro.config import CONF_DIR, Config, from_omegaconf
from repro.envs import make

torch.set_num_threads(1)
ConfigStore.instance().store(name="schema", node=Config)

Compose = Callable[..., Config]
Learners = Callable[[Sequence[Config]], PPO]


def compose_config(*overrides: str) -> Config:
    """The configuration that these overrides give on the command line."""
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return from_omegaconf(compose("config", overrides=list(overrides)))


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
