"""Sentences of the documentation that packages bring along: English prose on computing.

The gold reward of a response is the number of distinct words of mathematics in it, less its
repeated words and half its pairs of neighbors that the documentation never has. Those catch what
is misspelled and what is no sentence.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import itertools
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from repro.errors import ConfigError
from repro.language.texts import pieces
from repro.language.texts.config import DOCUMENTED, TextConfig
from repro.language.texts.grammar import left_padded

Array = np.ndarray[Any, Any]

PIECES = 1024  # with padding and the end
HELD_OUT = 20  # one in so many sentences is not trained on
WORDS = (5, 30)  # of a sentence
MATHEMATICS = frozenset(
    {
        *("array", "arrays", "basis", "coefficient", "coefficients", "derivative", "determinant"),
        *("dimension", "dimensions", "distance", "eigenvalue", "eigenvalues", "equation"),
        *("equations", "gradient", "integral", "inverse", "linear", "matrices", "matrix", "norm"),
        *("polynomial", "polynomials", "product", "rotation", "scalar", "square", "sum", "tensor"),
        *("tensors", "vector", "vectors"),
    }
)
LONG = 5  # letters of a word that should not be repeated
END = " <end>"
UNSEEN = 0.5  # what a pair of neighbors costs that no sentence has


@dataclass(frozen=True)
class Corpus:
    """The sentences in pieces.

    Attributes:
        vocabulary: pieces by index; a piece that starts a word starts with a space.
        training: tokens of each sentence, the end token included.
        held_out: likewise.
        pairs: neighbors that occur.
    """

    vocabulary: list[str]
    training: list[list[int]]
    held_out: list[list[int]]
    pairs: frozenset[tuple[str, str]]


class Documentation:
    """As `repro.language.texts.Text`."""

    spaced = False

    def __init__(self, config: TextConfig) -> None:
        """Read it, once a process."""
        self._corpus = corpus()
        self.vocabulary = self._corpus.vocabulary
        self.end: int | None = self.vocabulary.index(END)
        self._index = {piece: i for i, piece in enumerate(self.vocabulary)}
        self._prompt = config.prompt

    def documents(
        self, rng: np.random.Generator, count: int, length: int, held_out: bool = False
    ) -> Array:
        """A sentence each; those that are longer than `length` are cut."""
        sentences = self._corpus.held_out if held_out else self._corpus.training
        tokens = np.zeros((count, length), np.int64)
        for row, pick in zip(tokens, rng.integers(0, len(sentences), count), strict=True):
            kept = sentences[pick][:length]
            row[: len(kept)] = kept
        return tokens

    def prompts(self, rng: np.random.Generator, count: int) -> Array:
        """The beginnings of sentences, whole words."""
        shortest, longest = self._prompt
        tokens = self.documents(rng, count, longest + 1)
        starts = np.array([piece.startswith(" ") for piece in self.vocabulary])
        lengths = rng.integers(shortest, longest + 1, count)
        for row, wanted in enumerate(lengths):
            ends = np.flatnonzero(starts[tokens[row, 1:]]) + 1  # tokens before a word's first
            fitting = ends[ends <= wanted]
            lengths[row] = fitting[-1] if len(fitting) else wanted
        return left_padded(tokens[:, :longest], lengths)

    def gold(self, prompts: Array, responses: Array) -> Array:
        """Words of mathematics - repeats - half the unseen pairs, [count]."""
        rows = zip(prompts, responses, strict=True)
        return np.array([self._gold(self.decode(a), self.decode(b)) for a, b in rows])

    def _gold(self, prompt: str, response: str) -> float:
        """Of a response that may go on with the prompt's last word."""
        whole = words(prompt + response)
        first = len(words(prompt)) - (not response.startswith(" "))
        new, pairs = whole[first:], neighbors(whole)[max(first - 1, 0) :]
        unseen = sum(pair not in self._corpus.pairs for pair in pairs)
        counts = Counter(word for word in new if len(word) >= LONG or word in MATHEMATICS)
        repeats = sum(counts.values()) - len(counts)
        return len(MATHEMATICS & set(new)) - repeats - UNSEEN * unseen

    def decode(self, tokens: Array) -> str:
        """Text, without padding; a space comes first where the first piece starts a word."""
        return "".join(self.vocabulary[token] for token in tokens if token)

    def encode(self, words: str) -> list[int]:
        """Indices of the pieces of words between spaces; a ValueError names what is not known."""
        spelled = [f" {word}" for word in words.lower().split()]
        return [index for word in spelled for index in pieces.encode(word, self._index)]


def words(text: str) -> list[str]:
    """The words of a text, without punctuation and the end token."""
    return re.findall(r"[a-z'-]+", text.replace(END, ""))


def neighbors(found: list[str]) -> list[tuple[str, str]]:
    """Each word but the last with the one after it."""
    return list(itertools.pairwise(found))


@functools.cache
def corpus() -> Corpus:
    """The documentation of the packages that are installed, each sentence once.

    Raises:
        ConfigError: a package is missing.
    """
    found = {
        each: None for package in DOCUMENTED for text in texts(package) for each in sentences(text)
    }
    every = list(found)
    spelled = [[f" {word}" for word in each.split()] for each in every]
    made, split = pieces.learn(Counter(word for each in spelled for word in each), PIECES - 2)
    vocabulary = [" <pad>", END, *made]
    index = {piece: i for i, piece in enumerate(vocabulary)}
    tokens = [[index[piece] for word in each for piece in split[word]] + [1] for each in spelled]
    pairs = frozenset(pair for each in every for pair in neighbors(words(each)))
    training = [each for i, each in enumerate(tokens) if i % HELD_OUT]
    return Corpus(vocabulary, training, tokens[::HELD_OUT], pairs)


def texts(package: str) -> Iterator[str]:
    """A package's pages and docstrings, its tests' not among them.

    Raises:
        ConfigError: it is missing.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ConfigError(f"text=documentation reads {package}, which is missing: make install.")
    folder = Path(spec.origin).parent
    for file in sorted((*folder.rglob("*.rst"), *folder.rglob("*.py"))):
        if any("test" in part for part in file.relative_to(folder).parts):
            continue
        text = file.read_text(encoding="utf-8", errors="ignore")
        if file.suffix == ".rst":
            yield text
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                yield ast.get_docstring(node) or ""


def sentences(text: str) -> list[str]:
    """Plain sentences of reStructuredText, in lower case; none of directives, lists, tables."""
    found: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text):
        lines = paragraph.strip("\n").split("\n")
        if any(re.match(r"\s*(\.\.|[:|+*#]|-\s|[-=~^`]{3})", line) for line in lines):
            continue
        plain = " ".join(line.strip() for line in lines).replace("``", "")
        plain = re.sub(r"(:\w+)*:?`([^`<]*?)\s*(<[^`]*>)?`_*", r"\2", plain).replace("*", "")
        for each in re.split(r"(?<=[.])\s+", plain.lower()):
            short, long = WORDS
            if re.fullmatch(r"[a-z ,.'()-]+\.", each) and short <= len(each.split()) <= long:
                found.append(each)
    return found
