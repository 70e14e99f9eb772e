"""Where text comes from, and its gold reward: nothing is downloaded."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from repro.language.texts.config import TextConfig
from repro.language.texts.grammar import Grammar
from repro.language.texts.oracle import Oracle

Array = np.ndarray[Any, Any]
PAD = 0  # the index of padding in every vocabulary


class Text(Protocol):
    """A vocabulary, documents, prompts and the gold reward.

    Attributes:
        vocabulary: words by index; index 0 is padding.
        end: index of the end token; None where a response has no end but its length.
    """

    vocabulary: list[str]
    end: int | None

    def documents(self, rng: np.random.Generator, count: int, length: int) -> Array:
        """Tokens [count, length], padded on the right."""
        ...

    def prompts(self, rng: np.random.Generator, count: int) -> Array:
        """Tokens [count, longest], padded on the left."""
        ...

    def gold(self, prompts: Array, responses: Array) -> Array:
        """The gold reward of responses [count, T] that are padded after their end: [count]."""
        ...

    def decode(self, tokens: Array) -> str:
        """One row of tokens as text."""
        ...

    def encode(self, words: str) -> list[int]:
        """Indices of words; a ValueError names one that is not known."""
        ...


def make(config: TextConfig) -> Text:
    """The text that a configuration names."""
    return Grammar(config) if config.kind == "grammar" else Oracle(config)
