"""Compiled kernels for rollouts and PPO's update on a CPU, beside the plain torch code.

The torch code stays the definition; both agree to float32 rounding (tests/engines/test_native.py),
and a learner's bits do not depend on its pack with either. `engine` of the configuration chooses.
"""

from __future__ import annotations

import functools
import warnings

import torch

from repro.engines.buffers import Buffers
from repro.engines.native.acting import Acting
from repro.engines.native.kernels import KernelsUnavailableError, library
from repro.engines.native.networks import Networks
from repro.engines.native.update import Updater
from repro.errors import ConfigError
from repro.learning.parameters import StackedParameters
from repro.networks.bound import BoundPolicy
from repro.networks.mlp import MLPActorCritic

__all__ = ["Acting", "Buffers", "Networks", "Updater", "bind", "engine", "unsuited"]


def bind(
    asked: str, policy: MLPActorCritic, parameters: StackedParameters
) -> Networks | BoundPolicy:
    """The networks over their parameters: compiled where the machine and `asked` allow it.

    Raises:
        ConfigError: `engine=native` where there can be none.
    """
    if asked == "torch":
        return BoundPolicy(policy, parameters.views)
    reason = unsuited(policy, parameters.flat.device)
    if reason is None:
        try:
            library()
            return Networks(policy, parameters)
        except KernelsUnavailableError as error:
            reason = str(error)
            if asked == "auto":
                _warn(reason)
    if asked == "native":
        raise ConfigError(f"engine=native cannot be had: {reason}. Say engine=auto or torch.")
    return BoundPolicy(policy, parameters.views)


def engine(asked: str, device: str) -> str:
    """What this machine makes of `engine`, for policies that the kernels serve: native or torch."""
    if asked == "torch" or device != "cpu":
        return "torch"
    try:
        library()
    except KernelsUnavailableError:
        return "torch"
    return "native"


def unsuited(policy: MLPActorCritic, device: torch.device) -> str | None:
    """What keeps the kernels from serving a policy; None where nothing does."""
    if device != torch.device("cpu"):
        return "the kernels are for device=cpu"
    if policy.shared or policy.discrete:
        return "the kernels know separate networks and continuous actions"
    return None


@functools.cache
def _warn(reason: str) -> None:
    warnings.warn(f"No compiled kernels, so runs are several times slower: {reason}.", stacklevel=3)
