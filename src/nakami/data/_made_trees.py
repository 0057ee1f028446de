"""Sentences by a small grammar with negation, as trees whose right sentiment is known."""

from __future__ import annotations

import torch

from nakami.results import check_count, check_seed

from ._trees import Trees, parsed_trees

ADJECTIVES = (
    ("awful", "terrible", "dreadful"),
    ("bad", "dull", "weak"),
    ("long", "quiet", "short"),
    ("good", "nice", "clever"),
    ("great", "superb", "brilliant"),
)
NOUNS = ("film", "plot", "cast", "music")
CLASSES = ("very negative", "negative", "neutral", "positive", "very positive")
DEEPEST = 2  # words before an adjective
PHRASES = sum(map(len, ADJECTIVES)) * (2 ** (DEEPEST + 1) - 1)
CLAUSES = len(NOUNS) * PHRASES
MOST = CLAUSES + 2 * CLAUSES**2  # sentences of the grammar
Made = tuple[int, str]  # class, bracketed text


def made_trees(n: int, *, seed: int = 0) -> Trees:
    """Sentences such as "the plot is not very good but the cast is great".

    Five classes, 0 very negative to 4 very positive, at every node. "very" takes a phrase to the
    end of its side, "not" to the weaker class of the other side: "not awful" is positive, "not very
    good" negative, "not long" neutral. Of "A and B" the class is the mean, rounded to the middle,
    of "A but B" it is that of B. A sentence has one or two clauses.

    Args:
        n: Sentences, all different; the grammar has 353,220.
        seed: Decides them; torch's global generator is not touched.
    """
    n = check_count("n", n, MOST, "the sentences of the grammar", "pass n=1000")
    generator = torch.Generator().manual_seed(check_seed(seed))
    found = dict[str, None]()  # in order
    while len(found) < n:
        found[_Grammar(generator).sentence()[1]] = None
    return parsed_trees(list(found), "a small grammar with negation")


class _Grammar:
    def __init__(self, generator: torch.Generator):
        self._generator = generator

    def _below(self, n: int) -> int:
        return int(torch.randint(n, (), generator=self._generator))

    def sentence(self) -> Made:
        """One or two clauses."""
        first = self._clause()
        if self._below(2):
            return first
        word, second = ("and", "but")[self._below(2)], self._clause()
        middle = (first[0] + second[0] - 4) / 2
        joined = second[0] if word == "but" else 2 + int(middle)  # int: towards the middle
        return _node(joined, first, _node(second[0], _leaf(2, word), second))

    def _clause(self) -> Made:
        noun = _node(2, _leaf(2, "the"), _leaf(2, NOUNS[self._below(len(NOUNS))]))
        phrase = self._phrase(DEEPEST)
        return _node(phrase[0], noun, _node(phrase[0], _leaf(2, "is"), phrase))

    def _phrase(self, words: int) -> Made:
        """An adjective with up to so many words before it."""
        kind = self._below(3) if words else 0
        if not kind:
            own = self._below(5)
            return _leaf(own, ADJECTIVES[own][self._below(3)])
        word, inner = ("very", "not")[kind - 1], self._phrase(words - 1)
        side = (inner[0] > 2) - (inner[0] < 2)
        return _node(2 + (2 * side if word == "very" else -side), _leaf(2, word), inner)


def _leaf(label: int, word: str) -> Made:
    return label, f"({label} {word})"


def _node(label: int, left: Made, right: Made) -> Made:
    return label, f"({label} {left[1]} {right[1]})"
