"""Texts as numbers: places of characters or words, or which words there are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from .._text import UNKNOWN
from ._vector import Check, Values, Vector, whole

PADDING = "<pad>"
WORD = re.compile(r"\w+(?:['’]\w+)*")  # don't is one


class Counted(Vector):
    """Texts of which the frequent parts are known."""

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        self._often = Counter[str]()
        self.kinds: tuple[str, ...] = ()

    @classmethod
    def options(cls) -> Mapping[str, Check]:
        """kinds: at most so many, the most frequent. least: seen so often at least."""
        return {"kinds": whole(1, "write 10000"), "least": whole(1, "write 2")}

    def parts(self, text: str) -> list[str]:
        """Words in lower case, without the marks between them."""
        return WORD.findall(text.lower())

    def learn(self, values: Values) -> None:
        """How often each part occurs."""
        for text in values:
            self._often.update(self.parts(text))

    def finish(self) -> None:
        """The frequent ones; those of one frequency in order."""
        kept = sorted(self._often.items(), key=lambda pair: (-pair[1], pair[0]))
        least, most = self.chosen.get("least", self.usual()[0]), self.chosen.get("kinds", 10_000)
        self.kinds = tuple(name for name, n in kept if n >= least)[:most]

    def usual(self) -> tuple[int]:
        """``least`` where it is not given."""
        return (2,)

    def learned(self) -> dict[str, Any]:
        """The parts, in order."""
        return {"kinds": [*self.kinds]}

    def restore(self, learned: Mapping[str, Any]) -> None:
        """Take them."""
        self.kinds = tuple(learned["kinds"])


class Bag(Counted):
    """A component for each frequent word: 1 where the text has it."""

    name = "bag"

    def apply(self, values: Values) -> Tensor:
        """``(n, words)``, 0 or 1."""
        place = {name: i for i, name in enumerate(self.kinds)}
        found = torch.zeros(len(values), len(self.kinds))
        for row, text in enumerate(values):
            known = [place[part] for part in set(self.parts(text)) if part in place]
            found[row, known] = 1.0
        return found

    @property
    def components(self) -> tuple[str, ...]:
        """The words."""
        return tuple(f"{self.column}:{word}" for word in self.kinds)


class Words(Counted):
    """The place of each word in order; 0 is padding, 1 a word that is not known.

    Texts are as long as the longest of training, or ``length``: longer ones are cut, which is
    counted.
    """

    name, counts = "words", "longer than length, cut"

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        self.length = self.chosen.get("length", 1)

    @classmethod
    def options(cls) -> Mapping[str, Check]:
        """Length: places of a row."""
        return {**super().options(), "length": whole(1, "write 100")}

    def learn(self, values: Values) -> None:
        """Words, and the longest text."""
        super().learn(values)
        if "length" not in self.chosen:
            longest = max((len(self.parts(text)) for text in values), default=1)
            self.length = max(self.length, longest)

    def apply(self, values: Values) -> Tensor:
        """``(n, length)`` int64."""
        place = {name: i + 2 for i, name in enumerate(self.kinds)}
        found = torch.zeros(len(values), self.length, dtype=torch.int64)
        for row, text in enumerate(values):
            ids = [place.get(part, 1) for part in self.parts(text)]
            self.counted += len(ids) > self.length
            ids = ids[: self.length]
            found[row, : len(ids)] = torch.tensor(ids, dtype=torch.int64)
        return found

    def vocabulary(self) -> tuple[str, ...]:
        """What stands for 0, 1, 2, ...."""
        return (PADDING, UNKNOWN, *self.kinds)

    def learned(self) -> dict[str, Any]:
        """Words and length."""
        return {**super().learned(), "length": self.length}

    def restore(self, learned: Mapping[str, Any]) -> None:
        """Take them."""
        super().restore(learned)
        self.length = int(learned["length"])


class Characters(Words):
    """The same by characters, as they are written."""

    name = "characters"

    def parts(self, text: str) -> list[str]:
        """Characters."""
        return [*text]

    def usual(self) -> tuple[int]:
        """Every character."""
        return (1,)
