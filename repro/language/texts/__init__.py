"""Where text comes from, and its gold reward: nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from repro.language.texts.config import TextConfig
from repro.language.texts.documentation import Documentation
from repro.language.texts.grammar import Grammar
from repro.language.texts.oracle import Oracle

Array = np.ndarray[Any, Any]
PAD = 0  # the index of padding in every vocabulary


class Text(Protocol):
    """A vocabulary, documents, prompts and the gold reward.

    Attributes:
        vocabulary: words by index; index 0 is padding.
        end: index of the end token; None where a response has no end but its length.
        spaced: whether spaces go between tokens; else a token that starts a word has its own.
    """

    vocabulary: list[str]
    end: int | None
    spaced: bool

    def documents(
        self, rng: np.random.Generator, count: int, length: int, held_out: bool = False
    ) -> Array:
        """Tokens [count, length], padded on the right; `held_out`: of those not trained on.

        Where documents are drawn from a distribution, another generator holds them out.
        """
        ...

    def prompts(self, rng: np.random.Generator, count: int) -> Array:
        """Tokens [count, longest], padded on the left."""
        ...

    def gold(self, prompts: Array, responses: Array) -> Array:
        """The gold reward of responses [count, T] that are padded after their end: [count]."""
        ...

    def decode(self, tokens: Array) -> str:
        """One row of tokens as text; `spaced` says whether tokens are words."""
        ...

    def encode(self, words: str) -> list[int]:
        """Indices of words; a ValueError names one that is not known."""
        ...


def make(config: TextConfig) -> Text:
    """The text that a configuration names."""
    kinds: dict[str, Callable[[TextConfig], Text]] = {
        "grammar": Grammar,
        "oracle": Oracle,
        "documentation": Documentation,
    }
    return kinds[config.kind](config)
