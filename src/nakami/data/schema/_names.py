"""Names of many rows, which are texts only where somebody asks for one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from itertools import chain, compress
from typing import Any, final, overload

import numpy as np


class Names(Sequence[str]):
    """A sequence of texts that is equal to a tuple of the same."""

    @abstractmethod
    def one(self, place: int) -> str:
        """That of a place from 0 on."""

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[str]: ...
    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return tuple(map(self.one, range(len(self))[place]))
        return self.one(range(len(self))[place])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))


@final
class Numbered(Names):
    """``row 1``, ``row 2``, ....

    Args:
        noun: What a row is called. numbers: whole numbers, ``(n,)``.
    """

    def __init__(self, noun: str, numbers: np.ndarray):
        self.noun, self.numbers = noun, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def one(self, place: int) -> str:
        """Noun and number."""
        return f"{self.noun} {self.numbers[place]}"

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[str]: ...
    def __getitem__(self, place: Any) -> Any:
        if isinstance(place, slice):
            return Numbered(self.noun, self.numbers[place])
        return super().__getitem__(place)


@final
class Written(Names):
    """Texts that stand one behind the other in an array, perhaps of a file.

    Args:
        text: UTF-8, ``(bytes,)`` uint8.
        ends: Where each text ends, ``(n,)`` int64.
    """

    def __init__(self, text: np.ndarray, ends: np.ndarray):
        self._text, self._ends = text, ends

    def __len__(self) -> int:
        return len(self._ends)

    def one(self, place: int) -> str:
        """The text."""
        first = int(self._ends[place - 1]) if place else 0
        return self._text[first : int(self._ends[place])].tobytes().decode()


def encoded(names: Sequence[str], first: int) -> tuple[np.ndarray, np.ndarray]:
    """Names as ``Written`` takes them, behind ``first`` bytes of others."""
    texts = [name.encode() for name in names]
    ends = first + np.cumsum([len(text) for text in texts], dtype=np.int64)
    return np.frombuffer(b"".join(texts), dtype=np.uint8), ends


def chosen(names: Sequence[str], which: np.ndarray) -> Sequence[str]:
    """Those of a mask."""
    if isinstance(names, Numbered):
        return Numbered(names.noun, names.numbers[which])
    return tuple(compress(names, which))


def behind(names: Sequence[str], before: str) -> Sequence[str]:
    """Each behind another text."""
    if isinstance(names, Numbered):
        return Numbered(f"{before}{names.noun}", names.numbers)
    return tuple(f"{before}{name}" for name in names)


def joined(parts: Sequence[Sequence[str]]) -> Sequence[str]:
    """The names of several parts."""
    numbered = [part for part in parts if isinstance(part, Numbered)]
    if len(numbered) == len(parts) and len({part.noun for part in numbered}) == 1:
        return Numbered(numbered[0].noun, np.concatenate([part.numbers for part in numbered]))
    return tuple(chain.from_iterable(parts))
