"""Advantage estimation: pure functions of [P, T, N] tensors (learners, time, actors)."""

from __future__ import annotations

from torch import Tensor


def gae(
    rewards: Tensor,
    values: Tensor,
    next_values: Tensor,
    discounts: Tensor,
    ends: Tensor,
    gae_lambda: Tensor,
) -> Tensor:
    """Truncated generalized advantage estimation, equations 11 and 12.

        delta_t = r_t + gamma_t V(s'_t) - V(s_t)
        A_t     = delta_t + gamma_t lambda A_{t+1}     within an episode and the rollout

    Termination and truncation stay apart: a termination has gamma_t = 0, while at a truncation s'_t
    is the true next observation and gamma_t stays. Both are `ends`, over which no sum reaches.

    Args:
        rewards: r_t.
        values: V(s_t).
        next_values: V(s'_t), of the observation that followed, before any reset.
        discounts: gamma_t: gamma, or 0 where the episode terminated.
        ends: whether the episode ended with this step, for either reason.
        gae_lambda: [P].

    Returns:
        A_t, like `rewards` in shape and type; summed in float64.
    """
    discounts = discounts.double()
    delta = rewards.double() + discounts * next_values.double() - values.double()
    decay = discounts * ~ends * gae_lambda.double()[:, None, None]
    return _discounted_sum(delta, decay).to(rewards.dtype)


def _discounted_sum(x: Tensor, decay: Tensor) -> Tensor:
    """y_t = x_t + decay_t y_{t+1} along dim 1, in log2 T passes instead of T steps.

    After the pass with stride s, y_t holds the first 2s terms of its sum and decay_t the product
    of as many decays.
    """
    y, decay = x.clone(), decay.clone()
    horizon, stride = x.shape[1], 1
    while stride < horizon:
        y[:, :-stride] += decay[:, :-stride] * y[:, stride:]
        # The right side is computed in full before it is stored: both slices hold old values.
        decay[:, :-stride] = decay[:, :-stride] * decay[:, stride:]
        decay[:, -stride:] = 0
        stride *= 2
    return y


def standardize(advantages: Tensor, unbiased: bool, epsilon: float) -> Tensor:
    """(A - mean) / (std + epsilon) over the last axis, each learner by itself. [P, M] -> [P, M]."""
    centered = advantages - advantages.mean(-1, keepdim=True)
    std = _variance(centered, unbiased).sqrt()[..., None]
    return centered / (std + epsilon)


def explained_variance(values: Tensor, targets: Tensor) -> Tensor:
    """1 - Var(V_targ - V) / Var(V_targ) over the last axis; NaN where the targets do not vary."""
    residual, targets = (targets - values).double(), targets.double()
    residual = residual - residual.mean(-1, keepdim=True)
    targets = targets - targets.mean(-1, keepdim=True)
    return 1 - _variance(residual) / _variance(targets)


def _variance(centered: Tensor, unbiased: bool = False) -> Tensor:
    """Over the last axis. `torch.var` gives other bits for [1, M] than for a row of [P, M]."""
    return centered.square().sum(-1) / (centered.shape[-1] - int(unbiased))
