"""From scores of responses to advantages of tokens: pure functions of [P, B, T] tensors.

Generalized advantage estimation itself is `repro.learning.advantages.gae`.
"""

from __future__ import annotations

import torch
from torch import Tensor

from repro.learning import advantages

WHITENING_EPSILON = 1e-8  # under the root, lm-human-preferences (core.py, whiten) and TRL


def kl_estimate(log_prob: Tensor, reference: Tensor, k3: Tensor) -> Tensor:
    """KL(pi, reference) of each token, estimated from the token that was drawn.

    k1 = log pi - log ref, and where `k3` holds: ref / pi - 1 - log(ref / pi) (Schulman 2020).
    """
    difference = log_prob - reference
    return torch.where(k3, (-difference).exp() - 1 + difference, difference)


def last_index(mask: Tensor, after: bool) -> Tensor:
    """Where the score goes: the last real token, or the one after it where there is room. [P, B]"""
    return (mask.sum(-1) - 1 + int(after)).clamp(max=mask.shape[-1] - 1)


def token_rewards(scores: Tensor, kl: Tensor, beta: Tensor, mask: Tensor, at: Tensor) -> Tensor:
    """-beta KL at every token, and the score at one: R = r - beta log(pi / ref), token by token.

    Ziegler et al. (2019), equation 2.

    Args:
        scores: [P, B].
        kl: of each token, [P, B, T].
        beta: [P].
        mask: real tokens.
        at: index of the token that gets the score, [P, B].
    """
    rewards = torch.where(mask, -beta[:, None, None] * kl, 0)
    return rewards.scatter_add(-1, at[..., None], scores[..., None])


def token_advantages(
    rewards: Tensor, values: Tensor, gamma: float, gae_lambda: Tensor, states: Tensor
) -> Tensor:
    """Equations 11 and 12 of the paper; nothing follows the last state of a response.

    Args:
        rewards: 0 after the end, [P, B, T].
        values: V of the state before each token.
        gamma: discount.
        gae_lambda: [P].
        states: which states there are.
    """
    values = torch.where(states, values, 0)
    following = torch.cat([values[..., 1:], torch.zeros_like(values[..., :1])], -1)
    ends = torch.zeros_like(states)
    ends[..., -1] = True
    rewards, values, following, ends = (x.mT for x in (rewards, values, following, ends))
    discounts = torch.full_like(rewards, gamma)
    estimate = advantages.gae(rewards, values, following, discounts, ends, gae_lambda)
    return torch.where(states, estimate.mT, 0)


def whiten(x: Tensor, mask: Tensor, shift: bool, unbiased: bool) -> Tensor:
    """(x - mean) / sqrt(variance + 1e-8) of the real entries; the mean comes back without `shift`.

    Each learner by itself, [P, B, T]; 0 where `mask` does not hold.
    """
    count = mask.flatten(1).sum(1)[:, None, None]
    kept = torch.where(mask, x, 0)
    mean = kept.flatten(1).sum(1)[:, None, None] / count
    centered = torch.where(mask, x - mean, 0)
    squares = centered.square().flatten(1).sum(1)[:, None, None]
    variance = squares / (count - int(unbiased)).clamp(min=1)
    scaled = centered * torch.rsqrt(variance + WHITENING_EPSILON)
    return torch.where(mask, scaled + (0 if shift else mean), 0)


def group_advantages(totals: Tensor, size: int, kind: str) -> Tensor:
    """Advantages of whole responses from groups of `size` responses to one prompt, [P, B].

    `rloo`, the total less the mean of the others (Kool et al. 2019; Ahmadian et al. 2024):

        A_i = R_i - 1 / (G - 1) sum_{j != i} R_j = G / (G - 1) (R_i - mean(R))

    `grpo`, standardized in the group (Shao et al. 2024, section 4.1.2):

        A_i = (R_i - mean(R)) / (std(R) + 1e-4)

    Every token of response i has A_i.

    Args:
        totals: the rewards of each response, summed; responses to one prompt side by side.
        size: G.
        kind: `rloo` or `grpo`.
    """
    groups = totals.view(len(totals), -1, size)
    centered = groups - groups.mean(-1, keepdim=True)
    if kind == "rloo":
        return (centered * (size / (size - 1))).flatten(1)
    deviation = (centered.square().sum(-1, keepdim=True) / (size - 1)).sqrt()
    return (centered / (deviation + 1e-4)).flatten(1)  # TRL's GRPOTrainer: 1e-4, unbiased


def masked_mean(x: Tensor, mask: Tensor, by_response: bool = False) -> Tensor:
    """The mean over real tokens, [P, M, T] -> [P].

    `by_response`: first over the tokens of each response, then over responses, as in equation 3 of
    Shao et al. (2024). A token of a long response counts less there.
    """
    kept = torch.where(mask, x, 0)
    if by_response:
        return (kept.sum(-1) / mask.sum(-1)).mean(-1)
    return kept.flatten(1).sum(1) / mask.flatten(1).sum(1)
