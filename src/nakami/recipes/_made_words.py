"""A text whose words are made of two parts, so that analogies between them are known."""

from __future__ import annotations

from functools import cache
from itertools import combinations, permutations

import torch

from nakami.data import Examples
from nakami.data._analogies import Question

from ._texts import blocks

STEMS = ("ar", "bel", "cor", "dan", "el", "fin", "gal", "hol", "ir", "jor", "kel", "lor")
PARTS = {
    "land": ("border", "map", "coast", "flag"),
    "city": ("street", "mayor", "square", "harbour"),
    "folk": ("dance", "song", "feast", "tale"),
    "tongue": ("verb", "vowel", "speech", "letter"),
}
COMMON = ("the", "of", "and", "in", "with", "near")
SENTENCES = (8000, 800)  # to train on, to test on


def own_words(stem: str) -> tuple[str, ...]:
    """Words that stand near all that is named by the stem."""
    return tuple(f"{stem}{ending}" for ending in ("a", "ek", "is", "o"))


@cache
def parted_words() -> tuple[Examples, Examples]:
    """Sentences to train and to test on, of seven words, in blocks of text; the same each time.

    In the middle stands a name as ``arcity``, one of twelve stems with one of four parts; before it
    come two words that its stem has, behind it two that its part has, all with common words among
    them. A name says nothing beyond its stem and its part.
    """
    generator = torch.Generator().manual_seed(0)
    said = "made sentences with names of a stem and a part"
    texts = ("\n".join(_sentence(generator) for _ in range(n)) + "\n" for n in SENTENCES)
    train, test = (blocks("data", text, said) for text in texts)
    return train, test


def _sentence(generator: torch.Generator) -> str:
    def one(of: tuple[str, ...]) -> str:
        return of[int(torch.randint(len(of), (), generator=generator))]

    stem, part = one(STEMS), one(tuple(PARTS))
    near, kind = own_words(stem), PARTS[part]
    return " ".join(
        [one(near), one(COMMON), one(near), stem + part, one(kind), one(COMMON), one(kind)]
    )


def known_analogies() -> dict[str, list[Question]]:
    """Land to city as in another stem, for all pairs of stems, by both parts."""
    return {
        f"{one} and {other}": [
            (a + first, a + second, b + first, b + second)
            for first, second in ((one, other), (other, one))
            for a, b in permutations(STEMS, 2)
        ]
        for one, other in combinations(PARTS, 2)
    }
