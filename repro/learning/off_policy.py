"""Learning from another policy's samples: the parts of ACER (Wang et al. 2016) as pure functions.

Axes: P learners, T steps, N actors, A discrete actions; B = T N samples. `pi` are the probabilities
of the policy that learns, `mu` those of the policy that acted, rho = pi / mu.
"""

from __future__ import annotations

import torch
from torch import Tensor

from repro.learning.advantages import discounted_sum

EPSILON = 1e-6  # keeps denominators above 0; eps of Baselines' acer.py at ea68f3b


def retrace(
    rewards: Tensor,
    q: Tensor,
    values: Tensor,
    ratios: Tensor,
    discounts: Tensor,
    unknown: Tensor,
    trace_decay: float,
) -> Tensor:
    """Q^ret, equation 5; with its lambda from Munos et al. (2016).

        Q^ret_t = r_t + gamma_t (lambda min(1, rho_{t+1}) (Q^ret_{t+1} - Q_{t+1}) + V_{t+1})

    The last step has Q^ret_{T-1} = r + gamma V_T.

    Args:
        rewards: r_t, [P, T, N].
        q: Q(x_t, a_t), [P, T, N].
        values: V(x_t), [P, T + 1, N].
        ratios: rho_t of the actions taken, [P, T, N].
        discounts: gamma_t: gamma, or 0 where the episode terminated, [P, T, N].
        unknown: where x_{t+1} is not the successor of x_t, since the episode was cut off: there
            Q^ret_t = Q_t, so that the step before bootstraps from V(x_t). Bool [P, T, N].
        trace_decay: lambda.

    Returns:
        [P, T, N], like `rewards` in type; summed in float64.
    """
    discounts, own = discounts.double(), q.double()
    delta = rewards.double() + discounts * values[:, 1:].double() - own
    traces = trace_decay * ratios.double().clamp(max=1)
    decay = torch.zeros_like(delta)
    decay[:, :-1] = discounts[:, :-1] * traces[:, 1:]
    errors = discounted_sum(delta.masked_fill(unknown, 0), decay.masked_fill(unknown, 0))
    return (own + errors).to(rewards.dtype)


def policy_gradient(
    pi: Tensor, mu: Tensor, actions: Tensor, q: Tensor, targets: Tensor, values: Tensor, c: float
) -> Tensor:
    """The gradient of the policy's objective with respect to pi(.|x), equation 9.

        E_mu[ min(c, rho) (Q^ret - V) grad log pi(a) ]
        + sum_a max(0, 1 - c / rho(a)) pi(a) (Q(a) - V) grad log pi(a)

    The first term's weights are truncated at c; the second makes its expectation that of weights
    that are not, as far as Q is right.

    Args:
        pi: [P, B, A].
        mu: [P, B, A].
        actions: those taken, integers [P, B].
        q: Q(x, .), [P, B, A].
        targets: Q^ret, [P, B].
        values: V(x), [P, B].
        c: where weights are truncated; may be infinite.

    Returns:
        g, [P, B, A].
    """
    ratios = pi / (mu + EPSILON)
    index = actions.long()[..., None]
    weights = ratios.gather(-1, index).clamp(max=c)
    taken = weights * (targets - values)[..., None] / (pi.gather(-1, index) + EPSILON)
    # grad log pi(a) is 1 / pi(a) here, which the factor pi(a) cancels.
    excess = (1 - c / (ratios + EPSILON)).clamp(min=0)
    correction = excess * (q - values[..., None]) * (pi / (pi + EPSILON))
    return correction.scatter_add(-1, index, taken)


def entropy_gradient(pi: Tensor) -> Tensor:
    """The entropy's gradient with respect to pi(.|x), -log pi - 1. [P, B, A]."""
    return -(pi + EPSILON).log() - pi / (pi + EPSILON)


def project(g: Tensor, k: Tensor, delta: Tensor) -> Tensor:
    """The closest z to g with k'z <= delta, equation 12: [P, B, S], [P, B, S], [P, 1]."""
    excess = ((k * g).sum(-1) - delta).clamp(min=0)
    square = k.square().sum(-1)
    # k = 0 constrains nothing (and then nothing exceeds delta, which is above 0).
    factor = torch.where(square > 0, excess / square, 0)
    return g - factor[..., None] * k
