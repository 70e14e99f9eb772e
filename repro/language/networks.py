"""Causal networks of P learners at once: a transformer, and a table for what can be enumerated.

Parameters are stacked, [P, ...] each, as everywhere in this project. Both have the same methods:

    hidden(w, tokens, real, first)   [P, B, L] -> [P, B, L - first, D], for training
    begin / step                     the same token by token, with cached keys and values
    logits(w, hidden)                [..., D] -> [..., V]
    value(w, hidden)                 [..., D] -> [...], also the reward model's score
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from repro.language.config import ModelConfig
from repro.language.layers import attend, gelu
from repro.language.texts import PAD
from repro.networks.layers import padded_size

Array = np.ndarray[Any, Any]
Weights = Mapping[str, Tensor]
HIDDEN_PER_WIDTH = 4  # GPT-2's
NEVER = -1e4  # the logit of what is not to be drawn
EMBEDDING_STD = 0.02  # GPT-2's


def make(config: ModelConfig, words: int, length: int) -> Transformer | Table:
    """The network that a configuration names, for `words` and sequences up to `length`."""
    return (Table if config.kind == "table" else Transformer)(config, words, length)


class Cache:
    """Keys and values of the tokens so far, and which of them are real."""

    def __init__(self, layers: int, shape: tuple[int, ...], device: torch.device) -> None:
        """Make room: `shape` is [P B, H, L, d]."""
        self.keys = [torch.zeros(shape, device=device) for _ in range(layers)]
        self.values = [torch.zeros(shape, device=device) for _ in range(layers)]
        self.bias = torch.zeros(shape[0], 1, 1, shape[2], device=device)
        self.filled = 0
        self.position = torch.zeros(0, dtype=torch.int64)  # of the next token, [P, B]


class Transformer:
    """GPT-2's (Radford et al. 2019): layer norm before each part, learned positions, GELU."""

    def __init__(self, config: ModelConfig, words: int, length: int) -> None:
        """Fix the sizes."""
        self.config, self.words, self.length = config, words, length
        self.columns = padded_size(words)

    def initialize(self, rng: np.random.Generator) -> dict[str, Array]:
        """Parameters of one learner; the value head is zero."""
        width, deep = self.config.width, HIDDEN_PER_WIDTH * self.config.width

        def normal(*shape: int, std: float) -> Array:
            return (rng.standard_normal(shape) * std).astype(np.float32)

        weights = {
            "token": normal(self.columns, width, std=EMBEDDING_STD),
            "position": normal(self.length, width, std=EMBEDDING_STD),
        }
        residual = 1 / math.sqrt(2 * self.config.layers)  # GPT-2 scales what is added
        for i in range(self.config.layers):
            for name, rows, columns, scale in (
                ("attend", width, 3 * width, 1.0),
                ("mix", width, width, residual),
                ("up", width, deep, 1.0),
                ("down", deep, width, residual),
            ):
                std = scale / math.sqrt(rows)
                weights[f"{i}.{name}"] = normal(rows, columns, std=std)
                weights[f"{i}.{name}.bias"] = np.zeros((1, columns), np.float32)
            for name in ("before_attention", "before_mlp"):
                weights |= _norm(f"{i}.{name}", width)
        weights |= _norm("last", width)
        weights["logits"] = normal(width, self.columns, std=EMBEDDING_STD)
        weights["value"] = np.zeros((width, padded_size(1)), np.float32)
        weights["value.bias"] = np.zeros((1, padded_size(1)), np.float32)
        return weights

    # -- training ---------------------------------------------------------------------------------

    def hidden(self, w: Weights, tokens: Tensor, real: Tensor, first: int = 0) -> Tensor:
        """Outputs of the last layer norm.

        Args:
            w: weights, [P, ...] each.
            tokens: [P, B, L].
            real: which of them are no padding on the left, [P, B, L]; on the right it is harmless.
            first: the position from which outputs are wanted.
        """
        learners, batch, length = tokens.shape
        position = (real.cumsum(-1) - 1).clamp(min=0)
        x = self._embed(w, tokens, position)
        bias = _causal_bias(real)
        for i in range(self.config.layers):
            joined = self._joined(w, i, x)
            if first and i == self.config.layers - 1:  # nothing reads the other positions any more
                bias = bias[:, :, first:]
                x = x.view(learners, batch, length, -1)[:, :, first:].flatten(1, 2)
            x = self._rest(w, i, x, attend(joined, bias, self.config.heads))
        x = _layer_norm(w, "last", x)
        return x.view(learners, batch, length - first, -1)

    def logits(self, w: Weights, hidden: Tensor) -> Tensor:
        """Of the next token, [P, ..., V]."""
        out = torch.bmm(hidden.flatten(1, -2), w["logits"])[..., : self.words]
        return _without_padding(out).reshape(*hidden.shape[:-1], self.words)

    def value(self, w: Weights, hidden: Tensor) -> Tensor:
        """The scalar head, [P, ...]."""
        out = torch.baddbmm(w["value.bias"], hidden.flatten(1, -2), w["value"])
        return out[..., 0].reshape(hidden.shape[:-1])

    # -- sampling ---------------------------------------------------------------------------------

    def begin(self, w: Weights, prompts: Tensor, real: Tensor, steps: int) -> tuple[Tensor, Cache]:
        """Read prompts [P, B, L]: the last token's hidden [P, B, D], and a cache for more."""
        learners, batch, length = prompts.shape
        heads, size = self.config.heads, self.config.width // self.config.heads
        shape = (learners * batch, heads, length + steps, size)
        cache = Cache(self.config.layers, shape, prompts.device)
        position = (real.cumsum(-1) - 1).clamp(min=0)
        x = self._embed(w, prompts, position)
        bias = _causal_bias(real)
        for i in range(self.config.layers):
            q, k, v = self._heads(w, i, x, (learners * batch, length))
            cache.keys[i][:, :, :length] = k
            cache.values[i][:, :, :length] = v
            mixed = functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
            x = self._rest(w, i, x, mixed.transpose(1, 2).reshape(x.shape))
        cache.bias[..., :length].masked_fill_(~real.flatten(0, 1)[:, None, None], -math.inf)
        cache.filled, cache.position = length, position[..., -1] + 1
        last = x.view(learners, batch, length, -1)[:, :, -1]
        return _layer_norm(w, "last", last), cache

    def step(self, w: Weights, tokens: Tensor, cache: Cache) -> Tensor:
        """Read one more token each, [P, B]: its hidden, [P, B, D]."""
        learners, batch = tokens.shape
        end = cache.filled + 1
        x = self._embed(w, tokens[..., None], cache.position[..., None])
        for i in range(self.config.layers):
            q, k, v = self._heads(w, i, x, (learners * batch, 1))
            cache.keys[i][:, :, cache.filled : end] = k
            cache.values[i][:, :, cache.filled : end] = v
            mixed = functional.scaled_dot_product_attention(
                q,
                cache.keys[i][:, :, :end],
                cache.values[i][:, :, :end],
                attn_mask=cache.bias[..., :end],
            )
            x = self._rest(w, i, x, mixed.transpose(1, 2).reshape(x.shape))
        cache.filled, cache.position = end, cache.position + 1
        return _layer_norm(w, "last", x)

    # -- parts ------------------------------------------------------------------------------------

    def _embed(self, w: Weights, tokens: Tensor, position: Tensor) -> Tensor:
        """[P, B, L] -> [P, B L, D]."""
        return _lookup(w["token"], tokens) + _lookup(w["position"], position)

    def _joined(self, w: Weights, i: int, x: Tensor) -> Tensor:
        """Queries, keys and values side by side, [P, B L, 3 D]."""
        normed = _layer_norm(w, f"{i}.before_attention", x)
        return torch.baddbmm(w[f"{i}.attend.bias"], normed, w[f"{i}.attend"])

    def _heads(
        self, w: Weights, i: int, x: Tensor, rows: tuple[int, int]
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, [P B, H, L, d] each."""
        joined = self._joined(w, i, x)
        q, k, v = joined.view(*rows, 3, self.config.heads, -1).unbind(2)
        return q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)

    def _rest(self, w: Weights, i: int, x: Tensor, mixed: Tensor) -> Tensor:
        """What follows attention: [P, B L, D]."""
        x = x + torch.baddbmm(w[f"{i}.mix.bias"], mixed, w[f"{i}.mix"])
        normed = _layer_norm(w, f"{i}.before_mlp", x)
        deep = torch.baddbmm(w[f"{i}.up.bias"], normed, w[f"{i}.up"])
        return x + torch.baddbmm(w[f"{i}.down.bias"], gelu(deep), w[f"{i}.down"])


class Table:
    """Logits and a value for each last token: of responses of two words, every policy there is."""

    def __init__(self, config: ModelConfig, words: int, length: int) -> None:
        """Fix the sizes."""
        self.words, self.columns = words, padded_size(words)

    def initialize(self, rng: np.random.Generator) -> dict[str, Array]:
        """All zeros."""
        return {
            "logits": np.zeros((self.columns, self.columns), np.float32),
            "value": np.zeros((self.columns, padded_size(1)), np.float32),
        }

    def hidden(self, w: Weights, tokens: Tensor, real: Tensor, first: int = 0) -> Tensor:
        """The last token, one-hot: [P, B, L - first, D]."""
        return functional.one_hot(tokens[..., first:], self.columns).to(w["logits"].dtype)

    def begin(self, w: Weights, prompts: Tensor, real: Tensor, steps: int) -> tuple[Tensor, Cache]:
        """As the transformer's; the cache is empty."""
        cache = Cache(0, (1, 1, 1, 1), prompts.device)
        return self.hidden(w, prompts[..., -1:], real)[:, :, -1], cache

    def step(self, w: Weights, tokens: Tensor, cache: Cache) -> Tensor:
        """As the transformer's."""
        return self.hidden(w, tokens[..., None], tokens)[:, :, -1]

    def logits(self, w: Weights, hidden: Tensor) -> Tensor:
        """As the transformer's."""
        out = torch.bmm(hidden.flatten(1, -2), w["logits"])[..., : self.words]
        return _without_padding(out).reshape(*hidden.shape[:-1], self.words)

    def value(self, w: Weights, hidden: Tensor) -> Tensor:
        """As the transformer's."""
        out = torch.bmm(hidden.flatten(1, -2), w["value"])
        return out[..., 0].reshape(hidden.shape[:-1])


Network = Transformer | Table


def _without_padding(logits: Tensor) -> Tensor:
    """Padding is never drawn. Not minus infinity, which makes a KL of 0 log 0 no number."""
    never = torch.zeros(logits.shape[-1], device=logits.device)
    never[PAD] = NEVER
    return logits + never


def _norm(name: str, width: int) -> dict[str, Array]:
    ones, zeros = np.ones((1, width), np.float32), np.zeros((1, width), np.float32)
    return {name: ones, f"{name}.bias": zeros}


def _layer_norm(w: Weights, name: str, x: Tensor) -> Tensor:
    """[P, M, D]."""
    normed = functional.layer_norm(x, x.shape[-1:])
    return torch.addcmul(w[f"{name}.bias"], normed, w[name])


def _lookup(table: Tensor, index: Tensor) -> Tensor:
    """Rows of [P, R, D] by [P, B, L]: [P, B L, D]."""
    learners, rows, width = table.shape
    offset = torch.arange(learners, device=index.device)[:, None] * rows
    flat = functional.embedding(index.flatten(1) + offset, table.reshape(-1, width))
    return flat.view(learners, -1, width)


def _causal_bias(real: Tensor) -> Tensor:
    """0 where a token may look, else minus infinity: [P, B, L] -> [P B, 1, L, L].

    Padding sees itself, since a softmax over nothing is not a number.
    """
    length = real.shape[-1]
    causal = torch.ones(length, length, dtype=torch.bool, device=real.device).tril()
    itself = torch.eye(length, dtype=torch.bool, device=real.device)
    seen = causal & (real.flatten(0, 1)[:, None, :] | itself)
    return torch.zeros(seen.shape, device=real.device).masked_fill_(~seen, -math.inf)[:, None]
