"""Which engine computes what: the key `engine`, the machine, and what the kernels cover.

Results name the engine that computed them: `native` and `torch` agree to float32 rounding, not to
the last bit.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from repro.config.schema import Config
from repro.engines import cuda, native
from repro.engines.buffers import Buffers, Recorded
from repro.engines.native.kernels import KernelsUnavailableError, library
from repro.envs.vector import VectorEnv
from repro.errors import ConfigError
from repro.learning.normalize import ObservationNormalizer, RewardScaler
from repro.learning.optimizers import Adam
from repro.learning.parameters import StackedParameters
from repro.networks.bound import BoundPolicy
from repro.networks.mlp import MLPActorCritic

if TYPE_CHECKING:
    from repro.engines.native.collect import Collecting

NATIVE, TORCH = "native", "torch"
MIXED = "native rollouts, torch updates"

Array = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
Act = Callable[[int, Array], np.ndarray[tuple[int, ...], np.dtype[np.float32]]]


def networks(
    config: Config, policy: MLPActorCritic, parameters: StackedParameters, has_form: bool
) -> native.Networks | BoundPolicy:
    """The networks of an algorithm that the kernels know: compiled where that is possible.

    Args:
        config: of a learner of the pack.
        policy: the shapes.
        parameters: of P learners.
        has_form: whether the surrogate is a case of `objectives.bounded`.

    Raises:
        ConfigError: `engine=native` where the kernels cannot compute rollouts and updates.
    """
    if config.engine == TORCH:
        return BoundPolicy(policy, parameters.views)
    reason = _not_covered(policy, parameters.flat.device)
    if config.engine == NATIVE:
        reason = reason or _update_not_covered(config, has_form)
    if reason is None:
        try:
            library()
            return native.Networks(policy, parameters)
        except KernelsUnavailableError as error:
            reason = str(error)
            if config.engine != NATIVE:
                _warn(reason)
    if config.engine == NATIVE:
        raise ConfigError(f"engine=native is not possible: {reason}. Say engine=auto or torch.")
    return BoundPolicy(policy, parameters.views)


def candidates(
    config: Config, policy: MLPActorCritic, layout: StackedParameters, parameters: Tensor
) -> BoundPolicy:
    """The deterministic policies of an evolutionary search, whose acting is compiled if possible.

    Args:
        config: of a learner of the pack.
        policy: the shapes.
        layout: of parameters, by name.
        parameters: one row for each environment, [P N, n].
    """
    if config.engine != TORCH and _not_covered(policy, parameters.device) is None:
        try:
            library()
            return native.Candidates(policy, layout, parameters)
        except KernelsUnavailableError as error:
            _warn(str(error))
    return BoundPolicy(policy, dict(zip(layout.views, layout.split(parameters), strict=True)))


def updater(
    config: Config, networks: native.Networks | BoundPolicy, adam: Adam, has_form: bool
) -> native.Updater | None:
    """PPO's compiled update over compiled networks; None where torch does it."""
    if not isinstance(networks, native.Networks) or _update_not_covered(config, has_form):
        return None
    return native.Updater(networks, adam, config)


def engine(networks: native.Networks | BoundPolicy, kernel: native.Updater | None) -> str:
    """What computes, for run.json and for exact resume."""
    if kernel is not None:
        return NATIVE
    return MIXED if isinstance(networks, native.Networks | native.Candidates) else TORCH


def acting(
    networks: native.Networks | BoundPolicy,
    normalizer: ObservationNormalizer,
    buffers: Buffers,
    box: tuple[Tensor, Tensor] | None,
) -> native.Acting | cuda.Acting | None:
    """One environment step's decisions as one call; None where plain torch calls make them."""
    if isinstance(networks, native.Networks | native.Candidates):
        return native.Acting(networks, normalizer, buffers, box)
    if buffers.actions.is_cuda:
        return cuda.Acting(networks, normalizer, buffers, box)
    return None


def collecting(
    acting: Act | None,
    normalizer: ObservationNormalizer,
    scaler: RewardScaler,
    envs: VectorEnv,
    recorded: Recorded,
    backend: str,
) -> Collecting | None:
    """Many steps as one call; None where the collector takes them one by one."""
    if not isinstance(acting, native.Acting) or backend != "mujoco":
        return None
    # Here, since it needs MuJoCo, which other tasks do without.
    from repro.engines.native.collect import Collecting
    from repro.engines.native.program import agrees
    from repro.envs.mujoco.vector import MujocoVectorEnv

    if not isinstance(envs, MujocoVectorEnv):
        return None
    if not agrees(envs.task.task, envs.task.fields, acting.action_size):
        return None
    return Collecting(acting, normalizer, scaler, envs, recorded)


def _not_covered(policy: MLPActorCritic, device: torch.device) -> str | None:
    """Why the kernels cannot evaluate a policy; None if they can."""
    if device != torch.device("cpu"):
        return "the kernels are for device=cpu"
    if policy.shared or policy.discrete:
        return "the kernels cover separate networks and continuous actions"
    return None


def _update_not_covered(config: Config, has_form: bool) -> str | None:
    """Why the kernels cannot compute PPO's update; None if they can."""
    if not has_form:
        return f"objective.kind={config.objective['kind']} has no form for the kernels"
    if config.recipe.value_clip_schedule == "linear":
        return "the kernels know no recipe.value_clip_schedule=linear"
    return None


@functools.cache
def _warn(reason: str) -> None:
    warnings.warn(f"No compiled kernels, so runs are several times slower: {reason}.", stacklevel=3)
