"""Sentences about a few shapes on a grid: their probabilities by a small grammar, and their truth.

A layout is what lies in the four cells of a picture, from the top left one on in reading order:
``3 * colour + kind``, or -1.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import NamedTuple

SHAPE_COLOURS, SHAPE_KINDS = ("red", "green", "blue", "yellow"), ("square", "circle", "triangle")
RELATIONS = ("above", "below", "left of", "right of")
GRID = 2  # cells along a side
ALONE, COLOURED = 1 / 4, 2 / 3  # how often one shape alone is told of, how often with its colour
NONE = -1
_PHRASE = f"a (?:({'|'.join(SHAPE_COLOURS)}) )?({'|'.join(SHAPE_KINDS)})"
_SENTENCE = re.compile(f"{_PHRASE}(?: ({'|'.join(RELATIONS)}) {_PHRASE})?")


class Shape(NamedTuple):
    """One shape of a picture."""

    colour: str
    kind: str
    row: int
    column: int


def shapes_in(layout: Sequence[int]) -> list[Shape]:
    """The shapes of a layout in reading order."""
    n = len(SHAPE_KINDS)
    return [
        Shape(SHAPE_COLOURS[what // n], SHAPE_KINDS[what % n], *divmod(cell, GRID))
        for cell, what in enumerate(layout)
        if what != NONE
    ]


def sentence_odds(layout: Sequence[int]) -> dict[str, float]:
    """All sentences that the rules make of a layout, with their probabilities.

    One shape alone, always where there is no other and else one time in four, each as likely; or an
    ordered pair of shapes, each as likely, with one of its true relations: above, below, left of,
    right of. Two times in three a shape has its colour: "a red circle above a square".

    Args:
        layout: Four numbers, one of them or more not -1.
    """
    there, found = shapes_in(layout), defaultdict[str, float](float)
    single = 1.0 if len(there) == 1 else ALONE
    for shape in there:
        for phrase, p in _phrases(shape):
            found[phrase] += single * p / len(there)
    pairs = list(permutations(there, 2))
    for one, other in pairs:
        relations = list(_relations(one, other))
        share = (1 - single) / len(pairs) / len(relations)
        for relation in relations:
            for first, p in _phrases(one):
                for second, q in _phrases(other):
                    found[f"{first} {relation} {second}"] += share * p * q
    return dict(found)


def _phrases(shape: Shape) -> Iterator[tuple[str, float]]:
    yield f"a {shape.colour} {shape.kind}", COLOURED
    yield f"a {shape.kind}", 1 - COLOURED


def _relations(one: Shape, other: Shape) -> Iterator[str]:
    if one.row != other.row:
        yield "above" if one.row < other.row else "below"
    if one.column != other.column:
        yield "left of" if one.column < other.column else "right of"


def word_nats(text: str, layout: Sequence[int]) -> list[float]:
    """``-log p`` of each word of a sentence and of its end under the rules, given those before.

    Args:
        text: One of ``sentence_odds``.
        layout: As there.
    """
    chances = [((*words.split(), ""), p) for words, p in sentence_odds(layout).items()]
    whole, found, before = (*text.split(), ""), list[float](), 1.0
    for n in range(1, len(whole) + 1):
        chances = [(words, p) for words, p in chances if words[:n] == whole[:n]]
        now = sum(p for _, p in chances)
        found.append(math.log(before / now))
        before = now
    return found


def is_sentence(text: str) -> bool:
    """Whether a text is a sentence of the grammar, true or not."""
    return _SENTENCE.fullmatch(text) is not None


def is_true(text: str, layout: Sequence[int]) -> bool:
    """Whether a text is a sentence of the grammar that is true of a layout."""
    match = _SENTENCE.fullmatch(text)
    if match is None:
        return False
    colour, kind, relation, other_colour, other_kind = match.groups()
    meant, others = (
        [s for s in shapes_in(layout) if s.kind == k and c in (None, s.colour)]
        for k, c in ((kind, colour), (other_kind, other_colour))
    )
    if relation is None:
        return bool(meant)
    return any(_holds(relation, one, other) for one in meant for other in others)


def _holds(relation: str, one: Shape, other: Shape) -> bool:
    return {
        "above": one.row < other.row,
        "below": one.row > other.row,
        "left of": one.column < other.column,
        "right of": one.column > other.column,
    }[relation]
