"""Advantage estimation: pure functions of [P, T, N] tensors (learners, time, actors)."""

from __future__ import annotations

import math

import torch
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
    return discounted_sum(delta, decay).to(rewards.dtype)


def reward_to_go(rewards: Tensor, discounts: Tensor, ends: Tensor) -> Tensor:
    """r_t + gamma r_{t+1} + ... to the end of the episode, or of the rollout, without a value.

    Args:
        rewards: r_t.
        discounts: gamma, and likewise where episodes end; broadcasts.
        ends: whether the episode ended with this step.

    Returns:
        Like `rewards` in shape and type; summed in float64.
    """
    decay = discounts.double() * ~ends
    return discounted_sum(rewards.double(), decay).to(rewards.dtype)


def episode_return(rewards: Tensor, discounts: Tensor, ends: Tensor) -> Tensor:
    """R(tau), the same for all steps of an episode: the reward to go of its first step.

    Of an episode that the rollout cuts, only the part inside counts. Arguments and result as those
    of `reward_to_go`.
    """
    steps = torch.arange(rewards.shape[1], device=rewards.device)[None, :, None]
    starts = torch.ones_like(ends)
    starts[:, 1:] = ends[:, :-1]
    first = torch.where(starts, steps, 0).cummax(dim=1).values
    return reward_to_go(rewards, discounts, ends).gather(1, first)


def discounted_sum(x: Tensor, decay: Tensor) -> Tensor:
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


def center(advantages: Tensor) -> Tensor:
    """A - mean over the last axis, each learner by itself. [P, ..., M].

    Equal advantages become 0, although their mean may be rounded: no action was better.
    """
    centered = advantages - advantages.mean(-1, keepdim=True)
    return torch.where(_all_equal(advantages), 0, centered)


def standardize(advantages: Tensor, unbiased: bool, epsilon: float) -> Tensor:
    """(A - mean) / (std + epsilon) over the last axis, each learner by itself. [P, ..., M].

    Equal advantages become 0, whatever epsilon is.
    """
    centered = center(advantages)
    scale = _variance(centered, unbiased).sqrt()[..., None] + epsilon
    return torch.where(_all_equal(advantages) | (scale == 0), 0, centered / scale)


def _all_equal(x: Tensor) -> Tensor:
    """Whether all numbers along the last axis are the same, [..., 1]."""
    low, high = x.aminmax(dim=-1, keepdim=True)
    return low == high


def explained_variance(values: Tensor, targets: Tensor) -> Tensor:
    """1 - Var(V_targ - V) / Var(V_targ) over the last axis; NaN where the targets do not vary."""
    residual, targets = (targets - values).double(), targets.double()
    residual = residual - residual.mean(-1, keepdim=True)
    targets = targets - targets.mean(-1, keepdim=True)
    variance = _variance(targets)
    return torch.where(variance == 0, math.nan, 1 - _variance(residual) / variance)


def _variance(centered: Tensor, unbiased: bool = False) -> Tensor:
    """Over the last axis. `torch.var` gives other bits for [1, M] than for a row of [P, M]."""
    return centered.square().sum(-1) / (centered.shape[-1] - int(unbiased))
