"""Running text as numbers: by characters or by words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from os import PathLike
from typing import Literal

import torch
from torch import Tensor

from nakami.results import as_path, check_at_least, check_choice, first_names, wrong

Unit = Literal["characters", "words"]
UNITS = ("characters", "words")
UNKNOWN, END = "<unk>", "<eos>"  # as Penn Treebank's usual files write them


@dataclass(frozen=True)
class Text:
    """A text as numbers, in order.

    Attributes:
        ids: ``(n,)`` int64, places in ``kinds``.
        kinds: Characters or words that are told apart; ``<unk>`` may be one.
        unit: ``"characters"`` or ``"words"``.
    """

    ids: Tensor
    kinds: tuple[str, ...]
    unit: Unit

    @classmethod
    def of(
        cls,
        text: str,
        unit: Unit = "characters",
        *,
        kinds: Iterable[str] | None = None,
        least: int = 1,
    ) -> Text:
        """A text by characters, or by words between white space, each end of a line ``<eos>``.

        Args:
            text: Of any length.
            unit: ``"characters"`` or ``"words"``.
            kinds: Those of another text; None: those that occur, the most frequent first, those of
                one frequency in order.
            least: Kinds seen more rarely become ``<unk>``, which is a kind from 2 on.

        Raises:
            UsageError: An empty text; kinds without ``<unk>`` that lack some of the text.
        """
        check_choice("unit", unit, UNITS, "leave it out for characters")
        least = check_at_least("least", least, 1, "1 is the default")
        parts = list(text) if unit == "characters" else words_of(text)
        if not parts:
            raise wrong("text", f"hold {unit}", "none", "pass a text")
        if kinds is None:
            often = sorted(Counter(parts).items(), key=lambda pair: (-pair[1], pair[0]))
            kept = [kind for kind, n in often if n >= least]
            kinds = kept if least == 1 or UNKNOWN in kept else [*kept, UNKNOWN]
        names = tuple(kinds)
        place = {kind: i for i, kind in enumerate(names)}
        if UNKNOWN not in place and (missing := sorted(set(parts) - set(names))):
            rule = f"hold no {unit} but those of the other text, as <unk> is none of its kinds"
            way_out = "make the other one with least=2"
            raise wrong("text", rule, first_names([repr(part) for part in missing]), way_out)
        other = place.get(UNKNOWN, -1)
        return cls(torch.tensor([place.get(part, other) for part in parts]), names, unit)

    @classmethod
    def read(
        cls,
        path: str | PathLike[str],
        unit: Unit = "characters",
        *,
        kinds: Iterable[str] | None = None,
        least: int = 1,
    ) -> Text:
        """That of a file in UTF-8; otherwise as ``of``.

        Args:
            path: Of the file.
            unit: As for ``of``.
            kinds: As for ``of``.
            least: As for ``of``.
        """
        return cls.of(plain_text(path), unit, kinds=kinds, least=least)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def counts(self) -> Tensor:
        """How often each kind occurs, ``(kinds,)``."""
        return torch.bincount(self.ids, minlength=len(self.kinds))

    def spelled(self, ids: Tensor) -> str:
        """Numbers as a text again."""
        parts = [self.kinds[i] for i in ids.tolist()]
        if self.unit == "characters":
            return "".join(parts)
        return re.sub(f" ?{END} ?", "\n", " ".join(parts))

    def streams(self, n: int) -> Tensor:
        """Pieces of equal length side by side, ``(steps, n)``; what is left over is cut off."""
        n = check_at_least("n", n, 1, "pass 1 for the text as it is")
        each = len(self) // n
        if each < 2:
            got, way_out = f"{len(self)} {self.unit}", "pass fewer streams, or a longer text"
            raise wrong("text", f"give 2 steps or more to each of {n} streams", got, way_out)
        return self.ids[: n * each].view(n, each).T


def words_of(text: str) -> list[str]:
    """Words between white space, each end of a line ``<eos>``."""
    return text.replace("\n", f" {END} ").split()


def plain_text(path: str | PathLike[str]) -> str:
    """A file in UTF-8; a mark of the order of bytes at its beginning is left out.

    Raises:
        UsageError: It is not there, or is no such text.
    """
    path = as_path("path", path, "give a file of text")
    if not path.is_file():
        raise wrong("path", "be a file of text that exists", path, "check the path")
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise wrong("path", "hold text in UTF-8", f"{path} ({error})", "convert it") from error
