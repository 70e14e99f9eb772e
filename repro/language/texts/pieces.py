"""Byte-pair encoding (Sennrich et al. 2016, algorithm 1), on characters."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping

Pair = tuple[str, str]


def learn(words: Mapping[str, int], size: int) -> tuple[list[str], dict[str, tuple[str, ...]]]:
    """Pieces of words: the most frequent pair becomes a piece, until there are enough.

    Args:
        words: how often each occurs.
        size: how many pieces to make, single characters included.

    Returns:
        The pieces, characters first and then as they were made; and each word's pieces.
    """
    split = {word: tuple(word) for word in words}
    pieces = sorted({character for word in words for character in word})
    counts: Counter[Pair] = Counter()
    holders: dict[Pair, set[str]] = {}
    for word, parts in split.items():
        _count(word, parts, words[word], counts, holders)
    while len(pieces) < size and counts:
        best = max(counts, key=lambda pair: (counts[pair], pair))
        pieces.append("".join(best))
        for word in sorted(holders[best]):
            _count(word, split[word], -words[word], counts, holders)
            split[word] = merged(split[word], best)
            _count(word, split[word], words[word], counts, holders)
        del counts[best]
    return pieces, split


def merged(parts: tuple[str, ...], pair: Pair) -> tuple[str, ...]:
    """`parts` with each occurrence of `pair` as one, from the left."""
    made: list[str] = []
    i = 0
    while i < len(parts):
        both = parts[i : i + 2] == pair
        made.append("".join(pair) if both else parts[i])
        i += 1 + both
    return tuple(made)


def encode(word: str, pieces: Mapping[str, int]) -> list[int]:
    """The indices of a word's pieces, merged in the order in which they were made.

    Raises:
        ValueError: a character is not known.
    """
    parts = tuple(word)
    for part in parts:
        if part not in pieces:
            raise ValueError(f"{part!r} is no character of the text")
    while True:
        pairs = [pair for pair in itertools.pairwise(parts) if "".join(pair) in pieces]
        if not pairs:
            return [pieces[part] for part in parts]
        parts = merged(parts, min(pairs, key=lambda pair: pieces["".join(pair)]))


def _count(
    word: str,
    parts: tuple[str, ...],
    times: int,
    counts: Counter[Pair],
    holders: dict[Pair, set[str]],
) -> None:
    for pair in itertools.pairwise(parts):
        counts[pair] += times
        holders.setdefault(pair, set()).add(word)
