"""Byte pairs, and the documentation that packages bring along."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest

from repro.language.texts import documentation, pieces
from repro.language.texts.config import TextConfig

CONFIG = TextConfig("documentation", "documentation", [3, 6], 32)


def test_byte_pairs_are_those_of_the_source() -> None:
    words = {"low": 5, "lower": 2, "newest": 6, "widest": 3}  # Sennrich et al. 2016, section 3.2
    made, split = pieces.learn(words, 10 + 4)
    assert made[10:] == ["st", "est", "ow", "low"]  # there es, est, lo, low: two pairs tie twice
    assert {"".join(parts) for parts in split.values()} == set(words)


def test_pairs_are_counted_again_after_each_merge() -> None:
    words = {"aaab": 3, "abab": 2, "bbaa": 4, "caab": 1}
    made, split = pieces.learn(words, 7)
    parts = {word: tuple(word) for word in words}
    for piece in made[3:]:
        counts = Counter[tuple[str, str]]()
        for word, own in parts.items():
            for pair in itertools.pairwise(own):
                counts[pair] += words[word]
        best = max(counts, key=lambda pair: (counts[pair], pair))
        assert "".join(best) == piece
        parts = {word: pieces.merged(own, best) for word, own in parts.items()}
    assert parts == split


@pytest.fixture(scope="module")
def text() -> documentation.Documentation:
    return documentation.Documentation(CONFIG)


def test_it_is_english_and_comes_back_from_its_pieces(text: documentation.Documentation) -> None:
    own = documentation.corpus()
    assert len(own.vocabulary) == documentation.PIECES and len(own.training) > 30_000
    assert not {tuple(x) for x in own.training[:200]} & {tuple(x) for x in own.held_out[:10]}
    for sentence in own.training[:200]:
        words = text.decode(np.array(sentence[:-1]))
        assert words.endswith(".") and text.encode(words) == sentence[:-1]
    with pytest.raises(ValueError, match="'é' is no character"):
        text.encode("caféteria")


def test_prompts_are_whole_words(text: documentation.Documentation) -> None:
    known = {word for pair in documentation.corpus().pairs for word in pair}
    prompts = text.prompts(np.random.default_rng(0), 64)
    words = [text.decode(row).split() for row in prompts]
    assert np.mean([each[-1].strip("(),.") in known for each in words]) > 0.8
    assert ((prompts > 0).sum(1) <= 6).all()


@pytest.mark.parametrize(
    ("prompt", "response", "gold"),
    [
        (" the", " matrix <end>", 1.0),
        (" the", " gradient gradient <end>", 1 - 1 - 0.5),  # "gradient gradient" is nowhere
        (" the vector", "s of a matrix <end>", 2.0),  # goes on with the prompt's word
        (" the", " xqzt <end>", -0.5),
    ],
)
def test_gold_counts_words_repeats_and_pairs(
    text: documentation.Documentation, prompt: str, response: str, gold: float
) -> None:
    assert text._gold(prompt, response) == gold


def test_its_own_sentences_have_no_unseen_pair(text: documentation.Documentation) -> None:
    rng = np.random.default_rng(0)
    tokens = text.documents(rng, 256, 38, held_out=True)
    whole = tokens[tokens[:, -1] == 0]  # not cut
    for row in whole:
        words = documentation.words(text.decode(row))
        assert set(documentation.neighbors(words)) <= documentation.corpus().pairs
    assert len(whole) > 50
