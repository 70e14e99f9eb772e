"""Responses of P policies to prompts, sampled token by token."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from repro.language.networks import Network, Weights
from repro.language.texts import PAD, Text

Array = np.ndarray[Any, Any]


@dataclass
class Responses:
    """B responses of up to T tokens for each of P policies.

    Attributes:
        prompts: [P, B, Lp], padded on the left.
        sampled: every token that the policy drew, [P, B, T], those after the end too.
        tokens: the same with padding after the end, [P, B, T].
        mask: which tokens belong to the response, the end token included, [P, B, T].
        ended: whether there is an end token, [P, B].
        logits: with which each token was drawn (divided by the temperature), [P, B, T, V].
        log_prob: of each sampled token, [P, B, T].
        values: V of the state before each token, by the head on the trunk, [P, B, T].
    """

    prompts: Tensor
    sampled: Tensor
    tokens: Tensor
    mask: Tensor
    ended: Tensor
    logits: Tensor
    log_prob: Tensor
    values: Tensor


@torch.no_grad()
def sample(
    network: Network,
    weights: Weights,
    prompts: Tensor,
    uniforms: Tensor,
    text: Text,
    temperature: float = 1.0,
    truncate_after: int = 0,
) -> Responses:
    """Draw responses, with cached keys and values.

    Args:
        network: of the policies.
        weights: [P, ...] each.
        prompts: [P, B, Lp].
        uniforms: numbers in [0, 1) that decide, float64 [P, B, T].
        text: says which token ends a response.
        temperature: logits are divided by it.
        truncate_after: an end token counts from this position on.
    """
    steps = uniforms.shape[-1]
    state, cache = network.begin(weights, prompts, prompts != PAD, steps - 1)
    tokens, logits, values = [], [], []
    for position in range(steps):
        logits.append(network.logits(weights, state) / temperature)
        values.append(network.value(weights, state))
        tokens.append(_draw(logits[-1], uniforms[..., position]))
        if position + 1 < steps:
            state = network.step(weights, tokens[-1], cache)
    sampled, drawn = torch.stack(tokens, -1), torch.stack(logits, -2)
    mask, ended = real_tokens(sampled, text.end, truncate_after)
    log_prob = log_probs(drawn, sampled)
    kept = torch.where(mask, sampled, PAD)
    return Responses(prompts, sampled, kept, mask, ended, drawn, log_prob, torch.stack(values, -1))


def real_tokens(tokens: Tensor, end: int | None, truncate_after: int) -> tuple[Tensor, Tensor]:
    """Which tokens [..., T] a response has, up to its end token, and whether it has one."""
    if end is None:
        return torch.ones_like(tokens, dtype=torch.bool), torch.ones_like(tokens[..., 0]).bool()
    is_end = tokens == end
    is_end[..., :truncate_after] = False
    ended = is_end.any(-1)
    return is_end.cumsum(-1) - is_end.long() == 0, ended


def log_probs(logits: Tensor, tokens: Tensor) -> Tensor:
    """log pi of each token: [..., V], [...] -> [...]."""
    return torch.log_softmax(logits, -1).gather(-1, tokens[..., None])[..., 0]


def response_states(network: Network, weights: Weights, prompts: Tensor, tokens: Tensor) -> Tensor:
    """Hidden states before each token of a response and after the last: [P, B, T + 1, D]."""
    whole = torch.cat([prompts, tokens], -1)
    real = whole != PAD
    real[..., prompts.shape[-1] :] = True  # padding on the right is seen by nobody
    return network.hidden(weights, whole, real, first=prompts.shape[-1] - 1)


@torch.no_grad()
def score(network: Network, weights: Weights, prompts: Tensor, tokens: Tensor) -> Tensor:
    """The reward model's score, at the last real token: [P, B]."""
    states = response_states(network, weights, prompts, tokens)
    return network.value(weights, last_state(states, tokens)[:, :, None])[..., 0]


def last_state(states: Tensor, tokens: Tensor) -> Tensor:
    """The state after the last real token: [P, B, T + 1, D] -> [P, B, D]."""
    count = (tokens != PAD).sum(-1)
    index = count[..., None, None].expand(*count.shape, 1, states.shape[-1])
    return states.gather(2, index)[:, :, 0]


def gold(text: Text, prompts: Tensor, tokens: Tensor) -> Array:
    """The gold reward, float64 [P, B]."""
    pairs = zip(prompts.cpu().numpy(), tokens.cpu().numpy(), strict=True)
    return np.stack([text.gold(each, responses) for each, responses in pairs])


def uniforms(
    streams: Sequence[np.random.Generator], shape: tuple[int, ...], device: torch.device
) -> Tensor:
    """Numbers in [0, 1), float64: one generator a learner, [P, ...]."""
    draws = np.stack([stream.random(shape) for stream in streams])
    return torch.from_numpy(draws).to(device)


def _draw(logits: Tensor, uniform: Tensor) -> Tensor:
    """The token at which the cumulative probability passes `uniform`."""
    cumulative = torch.softmax(logits.double(), -1).cumsum(-1)
    below = cumulative <= (uniform * cumulative[..., -1])[..., None]
    return below.sum(-1).clamp(max=logits.shape[-1] - 1)
