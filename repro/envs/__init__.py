"""Environments: one module a backend, all with the contract of `VectorEnv`."""

from __future__ import annotations

import difflib

from repro.config.atari import AtariConfig
from repro.envs.vector import VectorEnv
from repro.errors import ConfigError, installation

BACKENDS = ("mujoco", "gymnasium", "atari")

__all__ = ["BACKENDS", "VectorEnv", "make"]


def make(
    env_id: str, backend: str, num_envs: int, preprocessing: AtariConfig | None = None
) -> VectorEnv:
    """Make N environments of one id.

    Args:
        env_id: the id registered with Gymnasium, such as "HalfCheetah-v4", or the game.
        backend: "mujoco" (the seven MuJoCo tasks, batched), "gymnasium" (any registered id) or
            "atari" (any game of ale-py).
        num_envs: N, at least 1.
        preprocessing: of frames; for the atari backend, which needs it.

    Raises:
        ConfigError: for an unknown backend or id, unsupported spaces, or a package not installed.
    """
    # Imported on demand: a backend needs packages that the others do without.
    if backend == "mujoco":
        try:
            from repro.envs.mujoco.vector import MujocoVectorEnv
        except ModuleNotFoundError as error:
            raise ConfigError(
                f"{env_id} on the mujoco backend needs the package {error.name}: "
                'pip install "gymnasium[mujoco]" "mujoco>=4"'
            ) from error
        return MujocoVectorEnv(env_id, num_envs)
    if backend == "gymnasium":
        from repro.envs.gymnasium import GymnasiumVectorEnv

        return GymnasiumVectorEnv(env_id, num_envs)
    if backend == "atari":
        if preprocessing is None:
            raise ConfigError(
                f"{env_id} on the atari backend needs its preprocessing: env=atari has it."
            )
        try:
            from repro.envs.atari.vector import AtariVectorEnv
        except ModuleNotFoundError as error:
            raise ConfigError(
                f"env=atari needs the package {error.name}: {installation('atari')}"
            ) from error
        return AtariVectorEnv(env_id, num_envs, preprocessing)
    nearest = difflib.get_close_matches(backend, BACKENDS, n=1)
    hint = f"did you mean {nearest[0]}?" if nearest else f"choose one of {', '.join(BACKENDS)}"
    raise ConfigError(f"there is no environment backend {backend!r}; {hint}")
