"""The surrogate objectives of the paper, its value and entropy terms: pure functions.

Every surrogate has one signature, `(ratio, advantages, kl, **scalars) -> terms`, and returns the
term inside the paper's empirical expectation, to be maximized:

    ratio       r = pi(a|s) / pi_old(a|s)                     [P, M]
    advantages  A, the estimator of the advantage             [P, M]
    kl          KL[pi_old(.|s), pi(.|s)], old first           [P, M]
    scalars     what the objective's YAML holds besides kind  [P, 1] each

A new one is a function under `@surrogate` and a YAML of the same name in `conf/objective/`, which
says of each scalar its range, whether a schedule scales it, and whether it names the objective.
A parameter with a default is a scalar that may be left out.

The function is the definition. A `Form` is an optimization of it: surrogates that are special cases
of `bounded` share packs and run in the compiled kernels. Whenever a pack is made, each form is
compared with its function at random samples (`packed_objectives.check_form`): an edit of the
function alone ends in an error, not in runs that ignore it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor


class Form(NamedTuple):
    """Scalars with which `bounded` equals a surrogate."""

    low: float = 0.0
    high: float = math.inf
    beta: float = 0.0


EARLY_STOP_SLACK = 1.5  # SB3 (ppo.py): a minibatch with KL above 1.5 target_kl ends the update

Surrogate = Callable[..., Tensor]
Scalars = Mapping[str, float]
SURROGATES: dict[str, Surrogate] = {}
FORMS: dict[str, Callable[[Scalars], Form]] = {}


def surrogate(form: Callable[[Scalars], Form] | None = None) -> Callable[[Surrogate], Surrogate]:
    """Register a surrogate under its function's name, with its form where it has one."""

    def register(function: Surrogate) -> Surrogate:
        SURROGATES[function.__name__] = function
        if form is not None:
            FORMS[function.__name__] = form
        return function

    return register


@surrogate(form=lambda scalars: Form())
def none(ratio: Tensor, advantages: Tensor, kl: Tensor) -> Tensor:
    """L_CPI = E[r A], equation 6: no clipping or penalty."""
    return ratio * advantages


@surrogate(form=lambda scalars: Form(1 - scalars["epsilon"], 1 + scalars["epsilon"]))
def clip(ratio: Tensor, advantages: Tensor, kl: Tensor, epsilon: Tensor) -> Tensor:
    """L_CLIP = E[min(r A, clip(r, 1 - epsilon, 1 + epsilon) A)], equation 7."""
    clipped = torch.clamp(ratio, 1 - epsilon, 1 + epsilon)
    return torch.minimum(ratio * advantages, clipped * advantages)


@surrogate(form=lambda scalars: Form(math.exp(-scalars["epsilon"]), math.exp(scalars["epsilon"])))
def clip_log(ratio: Tensor, advantages: Tensor, kl: Tensor, epsilon: Tensor) -> Tensor:
    """L_CLIP with |log r| <= epsilon: section 6.1 tried "clipping in log space", no formula."""
    clipped = torch.exp(torch.clamp(torch.log(ratio), -epsilon, epsilon))
    return torch.minimum(ratio * advantages, clipped * advantages)


@surrogate(form=lambda scalars: Form(beta=scalars["beta"]))
def kl_fixed(ratio: Tensor, advantages: Tensor, kl: Tensor, beta: Tensor) -> Tensor:
    """L_KLPEN = E[r A - beta KL(old, new)], equation 8."""
    return ratio * advantages - beta * kl


@surrogate(form=lambda scalars: Form(beta=scalars["beta"]))
def kl_adaptive(
    ratio: Tensor,
    advantages: Tensor,
    kl: Tensor,
    beta: Tensor,
    target_kl: Tensor,
    beta_min: Tensor | None = None,
    beta_max: Tensor | None = None,
) -> Tensor:
    """L_KLPEN with the beta of this update; `adapt_beta` makes the next one's of the others."""
    return ratio * advantages - beta * kl


def bounded(
    ratio: Tensor, advantages: Tensor, kl: Tensor, low: Tensor, high: Tensor, beta: Tensor
) -> Tensor:
    """min(r A, clip(r, low, high) A) - beta KL: all surrogates that have a `Form`, in one batch.

    Args:
        ratio: [P, M]; likewise `advantages` and `kl`.
        low: [P, 1]; likewise `high` and `beta`.
    """
    clipped = torch.maximum(torch.minimum(ratio, high), low)
    return torch.minimum(ratio * advantages, clipped * advantages) - beta * kl


def adapt_beta(beta: Tensor, kl: Tensor, target_kl: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Section 4: halve beta below d_targ / 1.5, double it above 1.5 d_targ. All [P].

    A NaN `target_kl` leaves its beta alone. A beta that changes stays within `low` and `high`; the
    paper has no limits, which is NaN.
    """
    beta = torch.where(kl < target_kl / 1.5, torch.fmax(beta / 2, low), beta)
    return torch.where(kl > target_kl * 1.5, torch.fmin(beta * 2, high), beta)


def approximate_kl(log_ratio: Tensor) -> Tensor:
    """E[r - 1 - log r], Schulman's k3 estimator of KL(old, new): [P, M] -> [P]."""
    return (log_ratio.exp() - 1 - log_ratio).mean(-1)


def policy_gradient(log_prob: Tensor, advantages: Tensor) -> Tensor:
    """L_PG = E[log pi(a|s) A], equation 2, whose gradient is equation 1. All [..., M]."""
    return log_prob * advantages


def value_loss(values: Tensor, targets: Tensor) -> Tensor:
    """L_VF = (V - V_targ)^2, equation 9's second term. [..., M] -> [..., M]."""
    return torch.square(values - targets)


def clipped_value_loss(
    values: Tensor, old_values: Tensor, targets: Tensor, clip: float | Tensor, pessimistic: bool
) -> Tensor:
    """L_VF at V_old + clip(V - V_old, -clip, clip), which is not in the paper.

    Values and targets are [P, M], and `clip` is one number or [P, 1].
    Baselines' ppo2 and CleanRL are pessimistic: the larger of this and of L_VF at V. SB3 is not.
    Note that `clip` has the unit of the (scaled) rewards.
    """
    limit = torch.as_tensor(clip)
    clipped = old_values + torch.clamp(values - old_values, -limit, limit)
    loss = value_loss(clipped, targets)
    return torch.maximum(value_loss(values, targets), loss) if pessimistic else loss
