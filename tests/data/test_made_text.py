"""Sentences made by rules: read back by other means, with the probability that the rules had."""

import math
import re

import pytest
import torch

from nakami.data import made_text
from nakami.data._made_text import ADJECTIVES, ALONE, NOUNS, PLACES, PLURALS, VERBS
from nakami.results import UsageError

MANY = {PLURALS.get(noun, f"{noun}s"): True for noun in NOUNS}
NUMBER = MANY | dict.fromkeys(NOUNS, False)


def made(length, seed=0):
    return made_text(length, torch.Generator().manual_seed(seed))


def bits(line):
    """Of one sentence, by reading it from the left."""
    tokens = re.findall(r"[a-z]+|\.", line)
    found, at = 1.0, 0  # log2 of 2 for the number of the main noun

    def noun():
        nonlocal found, at
        found += 1.0  # one of two articles
        at += 1
        while tokens[at] in ADJECTIVES:
            found -= math.log2(0.4 / len(ADJECTIVES))
            at += 1
        found -= math.log2(0.6 / len(NOUNS))
        many = NUMBER[tokens[at]]
        assert tokens[at] in MANY or not many
        at += 1
        return many

    def verb(many, kinds):
        nonlocal found, at
        assert tokens[at] in {word if many else f"{word}s" for word in kinds}
        found += math.log2(len(kinds))
        at += 1

    many = noun()
    while tokens[at] == "that":
        found -= math.log2(0.3 * 0.5)
        at += 1
        verb(noun(), VERBS)
    found -= math.log2(0.7)
    if tokens[at] in {word if many else f"{word}s" for word in VERBS}:
        found -= math.log2(0.6 * 0.5)
        verb(many, VERBS)
        noun()
    else:
        found -= math.log2(0.4)
        verb(many, ALONE)
    rest = " ".join(tokens[at:-1])
    assert rest in ("", *PLACES)
    return found - math.log2(0.3 / len(PLACES) if rest else 0.7)


def test_the_bits_of_a_text_are_those_of_its_sentences():
    text, each = made(4000)
    lines = text.splitlines()
    assert sum(map(bits, lines)) / len(text) == pytest.approx(each, rel=1e-12)
    assert 0.5 < each < 1.5


def test_a_seed_makes_one_text_and_a_long_one_has_clauses():
    assert made(500) == made(500)
    assert made(500)[0] != made(500, 1)[0]
    text, _ = made(5000)
    assert len(text) >= 5000
    assert text.endswith(".\n")
    assert max(line.count(" that ") for line in text.splitlines()) >= 3


def test_a_length_that_is_none_is_refused():
    with pytest.raises(UsageError, match="length must be a whole number from 1 on, got 0"):
        made(0)
