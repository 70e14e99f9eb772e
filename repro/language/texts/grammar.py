"""Short reviews from a grammar of word classes, such as "the film was very brave and funny ."

The gold reward of a response is the valence of its distinct adjectives, less its repeated words and
its ungrammatical pairs of neighbors. Valences are VADER's (Hutto & Gilbert 2014, vader_lexicon.txt
of vaderSentiment 3.3.2: mean of ten ratings from -4 to 4).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from repro.language.texts.config import TextConfig

Array = np.ndarray[Any, Any]

VALENCES = {
    **{"great": 3.1, "good": 1.9, "brilliant": 2.8, "superb": 3.1, "perfect": 2.7},
    **{"wonderful": 2.7, "amazing": 2.8, "excellent": 2.7, "beautiful": 2.9, "charming": 2.8},
    **{"funny": 1.9, "clever": 2.0, "brave": 2.4, "warm": 0.9, "sweet": 2.0, "nice": 1.8},
    **{"fine": 0.8, "fresh": 1.3, "smart": 1.7, "honest": 2.3, "bad": -2.5, "awful": -2.0},
    **{"terrible": -2.1, "horrible": -2.5, "boring": -1.3, "dull": -1.7, "poor": -2.1},
    **{"weak": -1.9, "sad": -2.1, "ugly": -2.3, "stupid": -2.4, "annoying": -1.7},
    **{"disappointing": -2.2, "tragic": -2.0, "messy": -1.5, "lame": -1.8},
}
NEGATED = -0.74  # VADER's N_SCALAR: what "not" does to the word after it
CLASSES = {
    "pad": ["<pad>"],
    "end": ["<end>"],
    "stop": ["!", "."],
    "comma": [","],
    "not": ["not"],
    "determiner": ["the", "this", "its", "that", "every"],
    "noun": [
        *("film", "story", "acting", "music", "plot", "cast", "scene", "ending"),
        *("dialogue", "script", "camera", "actor", "director", "joke", "hero", "villain"),
    ],
    "verb": ["was", "felt", "seemed", "looked", "sounded", "became", "remained", "stayed"],
    "adverb": ["truly", "really", "deeply", "so", "very", "rather", "quite", "often"],
    "conjunction": ["and", "but", "yet"],
    "adjective": list(VALENCES),
}
# class -> what may follow, and how often
FOLLOWS: dict[str, dict[str, float]] = {
    "determiner": {"noun": 1.0},
    "noun": {"verb": 1.0},
    "verb": {"adjective": 0.5, "adverb": 0.4, "not": 0.1},
    "not": {"adjective": 1.0},
    "adverb": {"adjective": 1.0},
    "adjective": {"stop": 0.55, "conjunction": 0.33, "comma": 0.12},
    "conjunction": {"determiner": 0.6, "adjective": 0.3, "adverb": 0.1},
    "comma": {"determiner": 0.5, "adjective": 0.5},
    "stop": {"end": 0.5, "determiner": 0.5},
    "end": {"pad": 1.0},
    "pad": {"pad": 1.0},
}
# A document is pleased or displeased. It shows in these classes, of which the first words so many
# are pleased ones: a language model that predicts them has learned something of their valence.
PLEASED = {"adjective": 20, "stop": 1, "conjunction": 1, "adverb": 4}
CONSISTENT = 0.9  # share of those words that have their document's mood
CONTENT = ("noun", "verb", "adverb", "adjective")  # words that should not be repeated


class Grammar:
    """As `repro.language.texts.Text`."""

    spaced = True

    def __init__(self, config: TextConfig) -> None:
        """Number the words."""
        self.vocabulary = [word for words in CLASSES.values() for word in words]
        self.end: int | None = self.vocabulary.index("<end>")
        self._prompt = config.prompt
        names = list(CLASSES)
        self._class = np.repeat(np.arange(len(names)), [len(words) for words in CLASSES.values()])
        self._start, self._size = np.unique(self._class, return_index=True, return_counts=True)[1:]
        self._determiner = names.index("determiner")
        self._pleased = np.array([PLEASED.get(name, 0) for name in names])
        self._pair = np.zeros((len(names), len(names)))
        for name, following in FOLLOWS.items():
            for after, share in following.items():
                self._pair[names.index(name), names.index(after)] = share
        self._content = np.isin(self._class, [names.index(name) for name in CONTENT])
        self._valence = np.array([VALENCES.get(word, 0.0) for word in self.vocabulary])
        self._not = self.vocabulary.index("not")

    def documents(
        self, rng: np.random.Generator, count: int, length: int, held_out: bool = False
    ) -> Array:
        """One or more sentences each; those that are longer than `length` are cut."""
        kinds = np.full(count, self._determiner)
        pleased = rng.random(count) < 0.5
        tokens = np.zeros((count, length), np.int64)
        cumulative = self._pair.cumsum(1)
        for position in range(length):
            size, start = self._size[kinds], self._start[kinds]
            up, first = pleased == (rng.random(count) < CONSISTENT), self._pleased[kinds]
            start = np.where(up, start, start + first)
            size = np.where(up & (first > 0), first, size - first)
            pick = np.minimum((rng.random(count) * size).astype(np.int64), size - 1)
            tokens[:, position] = start + pick
            kinds = (cumulative[kinds] <= rng.random(count)[:, None]).sum(1)
        return tokens

    def prompts(self, rng: np.random.Generator, count: int) -> Array:
        """The beginnings of documents."""
        shortest, longest = self._prompt
        tokens = self.documents(rng, count, longest)
        lengths = rng.integers(shortest, longest + 1, count)
        return left_padded(tokens, lengths)

    def gold(self, prompts: Array, responses: Array) -> Array:
        """Valence of distinct adjectives - repeats - ungrammatical pairs, [count]."""
        before = np.concatenate([prompts[:, -1:], responses[:, :-1]], axis=1)
        allowed = self._pair[self._class[before], self._class[responses]] > 0
        repeated = np.zeros(responses.shape, bool)
        for position in range(1, responses.shape[1]):
            same = responses[:, :position] == responses[:, position : position + 1]
            repeated[:, position] = same.any(1)
        repeated &= self._content[responses]
        valence = self._valence[responses] * np.where(before == self._not, NEGATED, 1.0)
        total: Array = (valence * ~repeated - repeated - ~allowed).sum(1)
        return total

    def decode(self, tokens: Array) -> str:
        """Words with spaces between; no padding, and nothing after the end."""
        return " ".join(self.vocabulary[token] for token in tokens if token)

    def encode(self, words: str) -> list[int]:
        """Indices of words; a ValueError names one that is not known."""
        return indices(self.vocabulary, words)


def indices(vocabulary: list[str], words: str) -> list[int]:
    """Indices of words between spaces; a ValueError names one that is not known."""
    unknown = [word for word in words.split() if word not in vocabulary]
    if unknown:
        raise ValueError(f"{unknown[0]} is no word of the vocabulary")
    return [vocabulary.index(word) for word in words.split()]


def left_padded(tokens: Array, lengths: Array) -> Array:
    """The first `lengths` tokens of each row, moved to the right end."""
    longest = tokens.shape[1]
    source = np.arange(longest)[None] - (longest - lengths[:, None])
    kept = np.take_along_axis(tokens, np.maximum(source, 0), 1)
    moved: Array = np.where(source >= 0, kept, 0)
    return moved
