"""Eight words, responses of two, and a random score of each: small enough to enumerate.

The best policy of a KL penalty is then known: pi*(y) ~ pi_ref(y) exp(r(y) / beta).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from repro.language.texts.config import TextConfig
from repro.language.texts.grammar import indices

Array = np.ndarray[Any, Any]
WORDS = 8


class Oracle:
    """As `repro.language.texts.Text`: every prompt is empty, and responses have no end token."""

    spaced = True

    def __init__(self, config: TextConfig) -> None:
        """Draw the scores, and how often words follow one another in documents."""
        rng = np.random.default_rng(0)
        self.vocabulary = ["<pad>", *"abcdefgh"]
        self.end: int | None = None
        self._scores = rng.standard_normal((WORDS,) * config.response)
        self._follows = rng.dirichlet(np.full(WORDS, 2.0), len(self.vocabulary)).cumsum(1)

    def documents(
        self, rng: np.random.Generator, count: int, length: int, held_out: bool = False
    ) -> Array:
        """A chain of words after the empty prompt."""
        tokens = np.zeros((count, length), np.int64)
        for position in range(1, length):
            below = self._follows[tokens[:, position - 1]] < rng.random((count, 1))
            tokens[:, position] = 1 + np.minimum(below.sum(1), WORDS - 1)
        return tokens

    def prompts(self, rng: np.random.Generator, count: int) -> Array:
        """Padding each."""
        return np.zeros((count, 1), np.int64)

    def gold(self, prompts: Array, responses: Array) -> Array:
        """The score of each response, [count]."""
        scores: Array = self._scores[tuple(responses.T - 1)]
        return scores

    def decode(self, tokens: Array) -> str:
        """Words with spaces between."""
        return " ".join(self.vocabulary[token] for token in tokens if token)

    def encode(self, words: str) -> list[int]:
        """Indices of words; a ValueError names one that is not known."""
        return indices(self.vocabulary, words)
