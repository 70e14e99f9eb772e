"""PPO's update in one call of ppo.cpp: what `PPO.optimize` does in torch, learner by learner."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from repro.config.schema import Config
from repro.engines.batches import Batch
from repro.engines.native.kernels import check_layout, library, pointer
from repro.engines.native.networks import Networks
from repro.learning.objectives import EARLY_STOP_SLACK
from repro.learning.optimizers import ADAM_BETAS, Adam
from repro.learning.packed_objectives import UpdateSurrogate
from repro.networks.distributions import DiagonalGaussian

Array = np.ndarray[Any, Any]

_ADDRESSES = (
    *("actor", "critic", "parameters", "mean", "variance", "clock"),
    *("inputs", "actions", "old", "old_log_std", "log_prob", "advantages", "targets", "values"),
    *("order", "active", "low", "high", "beta", "value_coef", "entropy_coef", "learning_rate"),
    *("minibatches", "gradient_norm"),
)
_DTYPES = {  # of the others float32
    "order": "int32",
    "active": "uint8",
    "learning_rate": "float64",
    "minibatches": "int64",
}
_NUMBERS = (
    *("activation", "parameter_count", "log_std", "action_size"),
    *("learners", "samples", "minibatch_size", "epochs", "drop_partial"),
    *("standardize", "unbiased", "value_clip_pessimistic", "fixed_std"),
)
_REALS = (
    *("advantage_epsilon", "value_clip", "max_grad_norm", "early_stop_kl"),
    *("adam_epsilon", "beta1", "beta2"),
)


class _Update(ctypes.Structure):
    """`Update` of ppo.cpp, field by field; `check_layout` compares the sizes."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in _ADDRESSES),
        *((name, ctypes.c_int64) for name in _NUMBERS),
        *((name, ctypes.c_double) for name in _REALS),
    ]


class Updater:
    """K epochs of minibatches for every learner, from a rollout's batch."""

    def __init__(self, networks: Networks, adam: Adam, config: Config) -> None:
        """Take what is the same in every update."""
        check_layout(_Update, library().update_size())
        self._networks, self._adam = networks, adam  # keeps what the addresses point to
        algorithm, recipe = config.algorithm, config.recipe
        stop = recipe.early_stop_kl
        self._constant: dict[str, Any] = {
            "actor": pointer(networks.actor, "int64"),
            "critic": pointer(networks.critic, "int64"),
            "parameters": pointer(adam.flat),
            "mean": pointer(adam.mean),
            "variance": pointer(adam.variance),
            "clock": pointer(adam.steps),
            "activation": networks.activation,
            "parameter_count": networks.parameter_count,
            "log_std": networks.log_std,
            "action_size": networks.action_size,
            "learners": networks.learners,
            "minibatch_size": algorithm.minibatch_size,
            "epochs": algorithm.epochs,
            "drop_partial": recipe.partial_minibatch == "drop",
            "standardize": recipe.advantage_normalization == "minibatch",
            "unbiased": recipe.advantage_std == "unbiased",
            "advantage_epsilon": recipe.advantage_epsilon,
            "fixed_std": recipe.log_std_schedule is not None,
            "value_clip": _or_none(recipe.value_clip),
            "value_clip_pessimistic": recipe.value_clip_pessimistic,
            "max_grad_norm": _or_none(recipe.max_grad_norm),
            "early_stop_kl": _or_none(None if stop is None else EARLY_STOP_SLACK * stop),
            "adam_epsilon": adam.epsilon,
            "beta1": ADAM_BETAS[0],
            "beta2": ADAM_BETAS[1],
        }

    def update(
        self,
        batch: Batch,
        surrogate: UpdateSurrogate,
        coefs: Mapping[str, Tensor],
        learning_rates: Sequence[float],
        orders: Array,
        active: Sequence[int],
    ) -> tuple[Array, Array]:
        """Optimize in place.

        Args:
            batch: the update's samples.
            surrogate: one that has a form.
            coefs: `value_coef` and `entropy_coef`, [P, 1] each.
            learning_rates: [P].
            orders: [K, P, B] permutations of each learner's samples, int32.
            active: the learners that take part.

        Returns:
            How many minibatches each learner took [P], and the norm of its first gradient [P].
        """
        assert isinstance(batch.old, DiagonalGaussian) and surrogate.bounds is not None
        tensors = batch.samples() | {"old_log_std": batch.old.log_std} | surrogate.bounds
        learners, samples = batch.advantages.shape
        takes_part = np.zeros(learners, np.uint8)
        takes_part[list(active)] = 1
        minibatches = np.zeros(learners, np.int64)
        gradient_norm = np.full(learners, np.nan, np.float32)
        arrays: dict[str, Array | Tensor] = {
            **{name: x.contiguous() for name, x in (*tensors.items(), *coefs.items())},
            "order": orders,
            "active": takes_part,
            "learning_rate": np.array(learning_rates),
            "minibatches": minibatches,
            "gradient_norm": gradient_norm,
        }
        addresses = {
            name: pointer(array, _DTYPES.get(name, "float32")) for name, array in arrays.items()
        }
        struct = _Update(**self._constant, **addresses, samples=samples)
        library().ppo_update(ctypes.addressof(struct))
        return minibatches, gradient_norm.astype(float)


def _or_none(limit: float | None) -> float:
    return -1.0 if limit is None else limit
