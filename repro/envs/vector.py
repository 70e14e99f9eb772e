"""The contract of every environment backend, and how seeds are spread over its environments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gymnasium.vector
import numpy as np
from numpy.typing import NDArray

from repro.errors import ConfigError

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
EVERYWHERE = slice(None)
Seeds = int | np.integer[Any] | Sequence[int | None] | NDArray[np.integer[Any]] | None


class VectorEnv(gymnasium.vector.VectorEnv[NDArray[Any], NDArray[Any], NDArray[Any]]):
    """N environments stepped together, with SAME_STEP autoreset, whose state may be saved.

    To Gymnasium's vector API it adds one seed per environment, `final_obs` as one array, and
    `state`. **Returned arrays are buffers that the next `reset` or `step` overwrites:** copy what
    must last, and do not write into them.

    Axes: N environments, D observation entries, A action entries. Observations are float64 [N, D],
    except on Atari: uint8 frames [N, S, H, W] (`repro.envs.atari.vector`).

    Attributes:
        num_envs: N.
        observations: the current observations, float64 [N, D]; the array that `step` returns.
        keeps_scores: whether the environments count returns and lengths themselves and report
            them in `infos["episode"]`. True where the episodes and rewards that the learner sees
            are not the task's own.
    """

    observations: NDArray[Any]
    keeps_scores: bool = False

    def reset(
        self, *, seed: Seeds = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[Any], dict[str, Any]]:
        """Start an episode in every environment.

        Args:
            seed: one seed per environment, where None keeps that environment's random stream; or
                an int s for s, s + 1, ...; or None to keep all streams. A stream that does not
                exist yet starts from fresh entropy.
            options: reset options of the environment, if it has any.

        Returns:
            Observations, float64 [N, D], and an empty dictionary for infos.

        Raises:
            ConfigError: if the number of seeds is not N, or an option is not supported.
            TaskError: naming the environment that raised.
        """
        raise NotImplementedError

    def step(
        self, actions: NDArray[Any]
    ) -> tuple[NDArray[Any], FloatArray, BoolArray, BoolArray, dict[str, Any]]:
        """Take one step in every environment, and start a new episode where one ended.

        Args:
            actions: floats [N, A], not clipped; or integers [N] from the space's `start` on.

        Returns:
            Observations, float64 [N, D], rewards, float64 [N], terminated and truncated, bool [N],
            and infos. Where an episode ended, the observation is the first of the next episode,
            and `infos["final_obs"]`, float64 [N, D], holds the last of the ended one in the rows
            where `infos["_final_obs"]`, bool [N], is true; its other rows mean nothing. Both keys
            are absent when no episode ended. With `keeps_scores`, `infos["episode"]` may follow.

        Raises:
            gymnasium.error.ResetNeeded: before the first reset.
            TaskError: naming the environment that raised, or returned a value of the wrong form.
        """
        raise NotImplementedError

    def state(self, rows: slice = EVERYWHERE) -> dict[str, Any] | None:
        """Everything the next steps depend on, as NumPy arrays and JSON-able values by name.

        Args:
            rows: which of the N environments.

        Returns:
            The state, copied; None where the environments hold something that cannot be saved.
        """
        raise NotImplementedError

    def set_state(self, state: Mapping[str, Any], rows: slice = EVERYWHERE) -> None:
        """Put back what `state` returned; the next steps are then equal to the last bit.

        Args:
            state: of as many environments as `rows` has, taken from any rows.
            rows: which of the N environments.

        Raises:
            ConfigError: if the state does not fit, or the backend cannot restore one.
        """
        raise NotImplementedError

    def restart(self, rows: slice, seeds: Sequence[int]) -> None:
        """Start new episodes in some environments; the others are left as they are.

        Args:
            rows: which of the N environments.
            seeds: one for each of them.
        """
        raise NotImplementedError


def spread_seeds(seed: Seeds, num_envs: int) -> list[int | None]:
    """One seed per environment: an int s means s, s + 1, ...; None means None everywhere.

    Raises:
        ConfigError: if a sequence does not hold one seed per environment.
    """
    if seed is None:
        return [None] * num_envs
    if isinstance(seed, (int, np.integer)):
        return [int(seed) + i for i in range(num_envs)]
    if len(seed) != num_envs:
        raise ConfigError(f"got {len(seed)} seeds for {num_envs} environments; give one for each")
    return [None if own_seed is None else int(own_seed) for own_seed in seed]
