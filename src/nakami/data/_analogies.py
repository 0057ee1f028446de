"""Analogies of words: a is to b as c is to what?"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from nakami.results import unknown, wrong

from ._text import plain_text
from ._words import WordVectors

Question: TypeAlias = tuple[str, str, str, str]
PART = 1000  # questions at a time


def read_analogies(path: str | PathLike[str]) -> dict[str, list[Question]]:
    """Questions by section, from a file in the form of Google's ``questions-words.txt``.

    A line ``: name`` begins a section; each other line holds four words.

    Raises:
        UsageError: It is not there, or holds something else.
    """
    found: dict[str, list[Question]] = {}
    section = "all"
    for number, line in enumerate(plain_text(path).splitlines(), 1):
        words = line.split()
        if words[:1] == [":"]:
            section = " ".join(words[1:])
        elif len(words) == 4:
            found.setdefault(section, []).append((words[0], words[1], words[2], words[3]))
        elif words:
            where, way_out = f"line {number} of {path}", "write Athens Greece Oslo Norway"
            raise wrong(where, "hold four words", len(words), way_out)
    if not found:
        raise wrong(str(path), "hold questions", "none", "write four words in a line")
    return found


def answered(words: WordVectors, questions: Sequence[Question]) -> Tensor:
    """The word that each question is answered by, its place in ``words.names``, ``(N,)`` int64.

    That with the largest cosine to ``b - a + c`` of vectors of length 1, without ``a``, ``b`` and
    ``c`` themselves.

    Args:
        words: Four or more.
        questions: Of words that are there.

    Raises:
        UsageError: A word that is not there; fewer than four words.

    Source: Mikolov et al. 2013, and its program.
    """
    place = {name: i for i, name in enumerate(words.names)}
    if len(place) < 4:
        raise wrong("words", "be four or more", len(place), "pass more words")
    for word in (word for question in questions for word in question):
        if word not in place:
            raise unknown("word", word, list(words.names))
    rows = [[place[w] for w in question[:3]] for question in questions]
    asked = torch.tensor(rows, dtype=torch.int64).reshape(-1, 3)
    v = F.normalize(words.vectors, dim=1)
    found = []
    for part in asked.split(PART):
        a, b, c = (v[column] for column in part.T)
        scores = (b - a + c) @ v.T
        found.append(scores.scatter(1, part, -torch.inf).argmax(1))
    return torch.cat(found)
