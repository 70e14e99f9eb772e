"""Updates in one call of ppo.cpp: what the algorithms do in torch, learner by learner."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.config.schema import Config
from repro.engines.batches import Batch
from repro.engines.native.kernels import check_layout, library, pointer
from repro.engines.native.networks import Networks
from repro.learning.objectives import EARLY_STOP_SLACK
from repro.learning.optimizers import ADAM_BETAS, Adam, RMSProp
from repro.learning.packed_objectives import UpdateSurrogate
from repro.learning.parameters import StackedParameters
from repro.networks.distributions import Categorical, Distribution

Array = np.ndarray[Any, Any]

_ADDRESSES = (
    *("actor", "critic", "parameters", "mean", "variance", "clock"),
    *("inputs", "actions", "old", "old_log_std", "log_prob", "advantages", "targets", "values"),
    *("order", "active", "low", "high", "beta", "value_coef", "entropy_coef", "delta"),
    *("learning_rate", "minibatches", "gradient_norm"),
)
_NUMBERS = (
    *("activation", "parameter_count", "log_std", "action_size", "discrete"),
    *("learners", "samples", "minibatch_size", "epochs", "drop_partial"),
    *("standardize", "center_only", "unbiased", "value_clip_pessimistic", "fixed_std"),
    *("policy_gradient", "rmsprop"),
)
_REALS = (
    *("advantage_epsilon", "value_clip", "max_grad_norm", "early_stop_kl"),
    *("epsilon", "beta1", "beta2"),
)


NO_LIMIT = -1.0


class _Update(ctypes.Structure):
    """`Update` of update.h, field by field; `check_layout` compares the sizes."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in _ADDRESSES),
        *((name, ctypes.c_int64) for name in _NUMBERS),
        *((name, ctypes.c_double) for name in _REALS),
    ]


class Step:
    """Gradient steps on minibatches, for every learner in one call.

    What `settings` leaves out is zero, or no limit.
    """

    def __init__(
        self,
        networks: Networks,
        part: StackedParameters,
        optimizer: Adam | RMSProp,
        settings: Mapping[str, Any],
    ) -> None:
        """Take what is the same in every call.

        Args:
            networks: of which those in `part` take the steps.
            part: what changes.
            optimizer: of `part`.
            settings: fields of `Update` besides.
        """
        check_layout(_Update, library().update_size())
        self._alive = (networks, part, optimizer)  # keeps what the addresses point to
        acts, values = (part is each for each in (networks.parameters, networks.critic_parameters))
        learners = networks.learners
        self._active, self._rates = np.zeros(learners, np.uint8), np.zeros(learners)
        self._minibatches = np.zeros(learners, np.int64)
        self._gradient_norm = np.zeros(learners, np.float32)
        self._minibatch_size: int | None = settings.get("minibatch_size")
        self._struct = _Update(
            actor=pointer(networks.actor, "int64") if acts else None,
            critic=pointer(networks.critic, "int64") if values else None,
            parameters=pointer(part.flat),
            activation=networks.activation,
            parameter_count=part.flat.shape[1],
            log_std=networks.log_std or 0,
            action_size=networks.action_size,
            discrete=networks.policy.discrete,
            learners=learners,
            active=pointer(self._active, "uint8"),
            learning_rate=pointer(self._rates, "float64"),
            minibatches=pointer(self._minibatches, "int64"),
            gradient_norm=pointer(self._gradient_norm),
            **dict.fromkeys(("value_clip", "max_grad_norm", "early_stop_kl"), NO_LIMIT)
            | _fields(optimizer)
            | dict(settings),
        )
        self._call, self._address = library().ppo_update, ctypes.addressof(self._struct)

    def __call__(
        self,
        tensors: Mapping[str, Tensor],
        rates: Sequence[float],
        orders: Array,
        active: Sequence[int],
    ) -> tuple[Array, Array]:
        """Optimize in place.

        Args:
            tensors: the other arrays of `Update`, by name.
            rates: [P], step sizes.
            orders: [K, P, B] permutations of each learner's samples, int32.
            active: the learners that take part.

        Returns:
            How many minibatches each learner took [P], and the norm of its first gradient [P].
        """
        struct = self._struct
        given = {name: x.contiguous() for name, x in tensors.items()}  # alive until the call ends
        for name, x in given.items():
            setattr(struct, name, pointer(x))
        struct.epochs, _, struct.samples = orders.shape
        struct.order = pointer(orders, "int32")
        struct.minibatch_size = self._minibatch_size or struct.samples
        self._rates[:] = rates
        self._active[:] = 0
        self._active[active] = 1
        self._minibatches[:] = 0
        self._gradient_norm[:] = np.nan
        self._call(self._address)
        return self._minibatches.copy(), self._gradient_norm.astype(float)


class Updater:
    """PPO: K epochs of minibatches for every learner, from a rollout's batch."""

    def __init__(self, networks: Networks, adam: Adam, config: Config) -> None:
        """Take what is the same in every update."""
        recipe = config.recipe
        stop = recipe.early_stop_kl
        settings = {
            "minibatch_size": config.algorithm.minibatch_size,
            "drop_partial": recipe.partial_minibatch == "drop",
            "standardize": recipe.advantage_normalization == "minibatch",
            "center_only": recipe.advantage_std == "none",
            "unbiased": recipe.advantage_std == "unbiased",
            "advantage_epsilon": recipe.advantage_epsilon,
            "fixed_std": recipe.log_std_schedule is not None,
            "value_clip": _or_none(recipe.value_clip),
            "value_clip_pessimistic": recipe.value_clip_pessimistic,
            "max_grad_norm": _or_none(recipe.max_grad_norm),
            "early_stop_kl": _or_none(None if stop is None else EARLY_STOP_SLACK * stop),
        }
        self._step = Step(networks, networks.parameters, adam, settings)

    def update(
        self,
        batch: Batch,
        surrogate: UpdateSurrogate,
        coefs: Mapping[str, Tensor],
        rates: Sequence[float],
        orders: Array,
        active: Sequence[int],
    ) -> tuple[Array, Array]:
        """Optimize in place.

        Args:
            batch: the update's samples.
            surrogate: one that has a form.
            coefs: `value_coef` and `entropy_coef`, [P, 1] each.
            rates: [P].
            orders: [K, P, B] permutations of each learner's samples, int32.
            active: the learners that take part.

        Returns:
            How many minibatches each learner took [P], and the norm of its first gradient [P].
        """
        assert surrogate.bounds is not None
        tensors = {**_tensors(batch), **surrogate.bounds, **coefs}
        return self._step(tensors, rates, orders, active)


class PolicyGradient:
    """One step on L_PG, of an actor with its critic where they are in one part: A2C and VPG.

    With `delta` it is that of A2C's trust region.
    """

    def __init__(
        self,
        networks: Networks,
        optimizer: Adam | RMSProp,
        max_grad_norm: float | None = None,
        coefs: Mapping[str, Tensor] | None = None,
    ) -> None:
        """Take `value_coef`, `entropy_coef` and `delta` where they are not 0, [P, 1] each."""
        zeros = torch.zeros(networks.learners, 1)
        given = dict.fromkeys(("beta", "value_coef", "entropy_coef"), zeros) | dict(coefs or {})
        self._alive = given
        settings: dict[str, Any] = {name: pointer(x) for name, x in given.items()}
        settings |= {"policy_gradient": True, "max_grad_norm": _or_none(max_grad_norm)}
        self._step = Step(networks, networks.parameters, optimizer, settings)

    def update(
        self, batch: Batch, rates: Sequence[float], active: Sequence[int], old: Distribution
    ) -> Array:
        """Take the step; returns the gradient's norm before it is clipped, [P].

        Args:
            batch: the whole of it is the minibatch.
            rates: [P].
            active: the learners that take it.
            old: the policy around which the trust region is, if there is one.
        """
        assert isinstance(batch.inputs, Tensor)
        tensors = {
            "inputs": batch.inputs,
            "actions": batch.actions,
            "advantages": batch.advantages,
            "targets": batch.targets,
            "values": batch.values,
            **_statistics(old),
        }
        order = _one_order(*batch.advantages.shape)
        return self._step(tensors, rates, order, active)[1]


class CriticFit:
    """Epochs of Adam on L_VF, of a critic with parameters of its own: VPG and TRPO."""

    def __init__(self, networks: Networks, adam: Adam, config: Config) -> None:
        """Take what is the same in every update."""
        settings = {
            "minibatch_size": config.algorithm.minibatch_size,
            "drop_partial": config.recipe.partial_minibatch == "drop",
        }
        self._step = Step(networks, networks.critic_parameters, adam, settings)
        self._value_coef = torch.ones(networks.learners)

    def update(self, batch: Batch, rate: float, orders: Array, active: Sequence[int]) -> None:
        """Optimize in place; `orders` as those of `Step`."""
        assert isinstance(batch.inputs, Tensor)
        tensors = {"inputs": batch.inputs, "targets": batch.targets, "values": batch.values}
        tensors["value_coef"] = self._value_coef
        self._step(tensors, [rate] * len(self._value_coef), orders, active)


@functools.cache
def _one_order(learners: int, samples: int) -> Array:
    """All samples in their order, [1, P, B]."""
    return np.tile(np.arange(samples, dtype=np.int32), (1, learners, 1))


def _tensors(batch: Batch) -> dict[str, Tensor]:
    return batch.samples() | _statistics(batch.old)


def _statistics(old: Distribution) -> dict[str, Tensor]:
    if isinstance(old, Categorical):
        return {"old": old.logits}
    return {"old": old.mean, "old_log_std": old.log_std}


def _fields(optimizer: Adam | RMSProp) -> dict[str, Any]:
    """The fields of `Update` that an optimizer fills."""
    if isinstance(optimizer, RMSProp):
        square = pointer(optimizer.mean_square)
        settings = {"rmsprop": True, "epsilon": optimizer.epsilon, "beta2": optimizer.decay}
        return settings | {"variance": square}
    return {
        "mean": pointer(optimizer.mean),
        "variance": pointer(optimizer.variance),
        "clock": pointer(optimizer.steps),
        "epsilon": optimizer.epsilon,
        "beta1": ADAM_BETAS[0],
        "beta2": ADAM_BETAS[1],
    }


def _or_none(limit: float | None) -> float:
    return NO_LIMIT if limit is None else limit
