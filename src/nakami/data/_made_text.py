"""English sentences made by rules, whose probabilities are known."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from nakami.results import check_at_least

NOUNS = ("king", "dog", "bird", "river", "child", "ship", "tree", "stone")
PLURALS = {"child": "children"}
ADJECTIVES = ("old", "small", "green", "quiet", "bright")
VERBS = ("see", "follow", "know", "find", "like", "remember")
ALONE = ("sleep", "wait", "sing", "turn")
PLACES = ("in the house", "by the sea", "at night", "in winter")
CLAUSE, ADJECTIVE, OBJECT, PLACE = 0.3, 0.4, 0.6, 0.3  # how often there is one


class _Rules:
    """Draws choices and adds up what they were worth, in nats."""

    def __init__(self, generator: torch.Generator):
        self.generator, self.nats = generator, 0.0

    def chance(self, p: float) -> bool:
        """True with probability p."""
        hit = bool(torch.rand((), generator=self.generator, dtype=torch.float64) < p)
        self.nats -= math.log(p if hit else 1 - p)
        return hit

    def one_of(self, words: tuple[str, ...]) -> str:
        """One of some words, each as likely."""
        self.nats += math.log(len(words))
        return words[int(torch.randint(len(words), (), generator=self.generator))]

    def noun(self, many: bool) -> Iterator[str]:
        """A noun with its article, with adjectives before it."""
        yield self.one_of(("the", "some") if many else ("the", "one"))
        while self.chance(ADJECTIVE):
            yield self.one_of(ADJECTIVES)
        word = self.one_of(NOUNS)
        yield PLURALS.get(word, f"{word}s") if many else word

    def sentence(self) -> Iterator[str]:
        """The verb at the end of a clause still has the number of its noun."""
        many = self.chance(0.5)
        yield from self.noun(many)
        while self.chance(CLAUSE):
            yield "that"
            yield from self.noun(other := self.chance(0.5))
            yield _verb(self.one_of(VERBS), other)
        if self.chance(OBJECT):
            yield _verb(self.one_of(VERBS), many)
            yield from self.noun(self.chance(0.5))
        else:
            yield _verb(self.one_of(ALONE), many)
        if self.chance(PLACE):
            yield self.one_of(PLACES)


def _verb(word: str, many: bool) -> str:
    return word if many else f"{word}s"


def made_text(length: int, generator: torch.Generator) -> tuple[str, float]:
    """Sentences made by rules, one a line, and what the rules themselves know of them.

    The verb of a main clause agrees in number with a noun that may lie several clauses before it,
    so that a model must remember for long.

    Args:
        length: Characters at least; the last sentence is whole.
        generator: Of the choices.

    Returns:
        The text; and the mean of ``-log2 p`` of its characters under the rules, bits. A sentence
        can be made in one way only, so that this is exact; no model of such texts has less in the
        long run.
    """
    length = check_at_least("length", length, 1, "pass the number of characters")
    rules, lines, done = _Rules(generator), list[str](), 0
    while done < length:
        lines.append(" ".join(rules.sentence()) + ".\n")
        done += len(lines[-1])
    return "".join(lines), rules.nats / math.log(2) / done
