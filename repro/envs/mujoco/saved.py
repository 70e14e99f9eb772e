"""What saved states of MuJoCo tasks hold besides arrays: the model's digest, random generators."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import mujoco
import numpy as np
from gymnasium.utils import seeding

from repro.errors import ConfigError


def digest(model: Any) -> str:
    """SHA-256 of a compiled model, which changes with its XML."""
    buffer = np.zeros(mujoco.mj_sizeModel(model), np.uint8)
    mujoco.mj_saveModel(model, None, buffer)
    return hashlib.sha256(buffer.tobytes()).hexdigest()


def generator_state(generator: np.random.Generator | None) -> dict[str, Any] | None:
    """A generator's state as JSON values; None for none."""
    return None if generator is None else dict(generator.bit_generator.state)


def restored_generator(state: Mapping[str, Any] | None) -> np.random.Generator | None:
    """The generator that `generator_state` was taken of."""
    if state is None:
        return None
    generator = seeding.np_random(0)[0]
    generator.bit_generator.state = state
    return generator


def check(state: Mapping[str, Any], env_id: str, model_digest: str, num_envs: int) -> None:
    """Raise a ConfigError unless a saved state is of this task, model, MuJoCo and batch size."""
    expected = {
        "env_id": env_id,
        "mujoco": mujoco.__version__,
        "model": model_digest,
        "number of environments": num_envs,
    }
    found = {
        "env_id": state["env_id"],
        "mujoco": state["mujoco"],
        "model": state["model"],
        "number of environments": len(state["integration"]),
    }
    for name, value in expected.items():
        if found[name] != value:
            raise ConfigError(
                f"the saved environment state has {name} {found[name]}, but this one has "
                f"{value}: restore it into an environment made the same way"
            )
