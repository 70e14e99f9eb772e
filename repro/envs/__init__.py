"""Environments: one module or folder a backend, all under the contract of `vector.VectorEnv`.

Nothing here knows a network, an algorithm or a file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from repro.config.atari import AtariConfig
from repro.config.humanoid import HumanoidConfig
from repro.config.names import check_choice
from repro.envs import humanoid
from repro.envs.vector import VectorEnv
from repro.errors import ConfigError, installation

__all__ = ["BACKENDS", "VectorEnv", "humanoid", "make"]


Switches = AtariConfig | HumanoidConfig | None
Arguments = Mapping[str, Any]


def make(
    env_id: str,
    backend: str,
    num_envs: int,
    switches: Switches = None,
    kwargs: Arguments | None = None,
) -> VectorEnv:
    """Make N environments of one id.

    Args:
        env_id: the id registered with Gymnasium, such as "HalfCheetah-v4", or the game.
        backend: one of `BACKENDS`.
        num_envs: N, at least 1.
        switches: of Atari's frames, which the atari backend needs, or of the humanoid tasks.
        kwargs: arguments of `gymnasium.make`, for the mujoco and the gymnasium backend.

    Raises:
        ConfigError: for an unknown backend or id, unsupported spaces, or a package not installed.
    """
    check_choice("env.backend", backend, BACKENDS)
    return BACKENDS[backend](env_id, num_envs, switches, kwargs or {})


# Each imports its module on demand: a backend needs packages that the others do without.


def _mujoco(env_id: str, num_envs: int, switches: Switches, kwargs: Arguments) -> VectorEnv:
    try:
        from repro.envs.mujoco.vector import MujocoVectorEnv
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{env_id} on the mujoco backend needs the package {error.name}: "
            'pip install "gymnasium[mujoco]" "mujoco>=4"'
        ) from error
    return MujocoVectorEnv(env_id, num_envs, kwargs)


def _gymnasium(env_id: str, num_envs: int, switches: Switches, kwargs: Arguments) -> VectorEnv:
    from repro.envs.gymnasium import GymnasiumVectorEnv

    return GymnasiumVectorEnv(env_id, num_envs, kwargs)


def _atari(env_id: str, num_envs: int, switches: Switches, kwargs: Arguments) -> VectorEnv:
    if not isinstance(switches, AtariConfig):
        raise ConfigError(
            f"{env_id} on the atari backend needs its preprocessing: env=atari has it."
        )
    try:
        from repro.envs.atari.vector import AtariVectorEnv
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"env=atari needs the package {error.name}: {installation('atari')}"
        ) from error
    return AtariVectorEnv(env_id, num_envs, switches)


def _humanoid(env_id: str, num_envs: int, switches: Switches, kwargs: Arguments) -> VectorEnv:
    from repro.envs.humanoid.vector import HumanoidVectorEnv

    return HumanoidVectorEnv(
        env_id, num_envs, switches if isinstance(switches, HumanoidConfig) else None
    )


BACKENDS: dict[str, Callable[[str, int, Switches, Arguments], VectorEnv]] = {
    "mujoco": _mujoco,  # all of Gymnasium's MuJoCo tasks, batched
    "gymnasium": _gymnasium,  # any registered id
    "humanoid": _humanoid,  # the three tasks of section 6.3
    "atari": _atari,  # any game of ale-py for one player
}
"""What makes the environments of each `env.backend`."""
