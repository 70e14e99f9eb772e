"""`repro.envs.make` and the names of backends."""

from __future__ import annotations

import pytest

import repro.envs
from repro.envs.gymnasium import GymnasiumVectorEnv
from repro.envs.mujoco.vector import MujocoVectorEnv
from repro.errors import ConfigError
from tests.helpers.configs import Compose


def test_make_chooses_the_backend() -> None:
    assert isinstance(repro.envs.make("Hopper-v4", "mujoco", 2), MujocoVectorEnv)
    assert isinstance(repro.envs.make("CartPole-v1", "gymnasium", 1), GymnasiumVectorEnv)
    with pytest.raises(ConfigError, match=r"env.backend=mujoc is not known .did you mean mujoco"):
        repro.envs.make("Hopper-v4", "mujoc", 2)


def test_a_configuration_may_name_every_backend_and_no_other(config: Compose) -> None:
    choices = f"it can be {', '.join(sorted(repro.envs.BACKENDS))}"
    with pytest.raises(ConfigError, match=choices):
        config("env=gymnasium", "env.id=CartPole-v1", "env.backend=envpool")
    with pytest.raises(ConfigError, match=choices):
        repro.envs.make("CartPole-v1", "envpool", 1)
