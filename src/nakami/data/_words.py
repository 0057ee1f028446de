"""Word vectors from files: word2vec's text, or an .npz."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nakami.results import as_path, counted, first_names, unknown, warn, wrong

from ._arrays import reading, single

SPACES = re.compile("[ \t]+")  # others, as a no-break space, belong to a word
NAMES = ("words", "names", "labels", "vocab")
VECTORS = ("vectors", "embeddings", "x", "arr_0")


@dataclass(frozen=True)
class WordVectors:
    """Words and their vectors.

    Attributes:
        names: The words, C of them.
        vectors: ``(C, d)`` float32, as the file has them.
    """

    names: tuple[str, ...]
    vectors: Tensor

    def of(self, names: Sequence[str]) -> Tensor:
        """Vectors of these words, each of length 1, ``(len(names), d)``.

        A word that is not there as it stands is looked for in small letters; one of several parts
        (``"tiger_shark"``, ``"tiger shark"``) that is not there is the mean of its parts.

        Raises:
            UsageError: A word, or one of its parts, is not there.
        """
        place = {name: i for i, name in enumerate(self.names)}
        rows = self.vectors.new_zeros(len(names), self.vectors.shape[1])
        for i, name in enumerate(names):
            tried = [name, name.lower()]
            whole = [place[one] for one in tried if one in place][:1]
            parts = self.parts(name)
            found = whole or [place[part] for part in parts if part in place]
            if not found or (not whole and len(found) < len(parts)):
                lost = next((part for part in parts if part not in place), name)
                raise unknown("word", lost, list(self.names))
            rows[i] = F.normalize(self.vectors[found], dim=1).mean(0)
        return F.normalize(rows, dim=1)

    @staticmethod
    def parts(name: str) -> list[str]:
        """The words of a name, in small letters: ``"Tiger_shark"`` has two."""
        return name.lower().replace("_", " ").replace("-", " ").split()


def read_words(path: str | PathLike[str]) -> WordVectors:
    """Word vectors of a file.

    Args:
        path: ``.npz`` with the arrays ``words`` and ``vectors``; else a text file with a word and
            its numbers in each line, as word2vec and GloVe write them, with or without a first line
            of two counts. A word may hold spaces; empty lines are left out.

    Returns:
        The words in order. One that stands more than once has its first vector, and a warning says
        so.

    Raises:
        UsageError: It is not there, or holds something else; another number of words than its first
            line says; a vector of zeros, NaN or infinity, whose word is named.
    """
    path = as_path("words", path, "give a file of word vectors")
    if not path.is_file():
        raise wrong("words", "be a file of word vectors", path, "give an .npz or a text file")
    names, vectors = _of_npz(path) if path.suffix == ".npz" else _of_text(path)
    if vectors.ndim != 2 or len(vectors) != len(names) or not len(names):
        got = f"{len(names)} words and vectors of shape {vectors.shape}"
        raise wrong("words", "hold a vector for each word", got, "store (C, d)")
    vectors = single(vectors).numpy()
    for bad, what in (
        (~np.isfinite(vectors).all(1), "NaN or infinity"),
        (~vectors.any(1), "zeros"),
    ):
        if bad.any():
            got = f"{what} for {first_names(repr(names[i]) for i in np.flatnonzero(bad))}"
            raise wrong("words", "hold finite vectors that are not 0", got, "leave these words out")
    first: dict[str, int] = {}
    again = {name for i, name in enumerate(names) if first.setdefault(name, i) != i}
    if again:
        shown = first_names(map(repr, sorted(again)))
        several = f"{counted(len(again), 'word')} more than once ({shown})"
        warn(f"{path.name} holds {several}; each has its first vector.")
    return WordVectors(tuple(first), torch.from_numpy(vectors[list(first.values())]))


def _of_npz(path: Path) -> tuple[list[str], np.ndarray]:
    with reading(path), path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        found = [next((n for n in some if n in arrays), None) for some in (NAMES, VECTORS)]
        if None in found:
            rule = "hold the arrays words and vectors"
            raise wrong("words", rule, ", ".join(arrays), "np.savez(file, words=..., vectors=...)")
        names, vectors = (arrays[str(name)] for name in found)
    if vectors.dtype.kind not in "fiu" or names.dtype.kind != "U":
        got = f"words of {names.dtype} and vectors of {vectors.dtype}"
        raise wrong("words", "be texts with vectors of numbers", got, "store np.array of each")
    return [str(name) for name in names.tolist()], vectors


def _of_text(path: Path) -> tuple[list[str], np.ndarray]:
    names, rows, width, announced = list[str](), list[np.ndarray](), 0, None
    try:
        with path.open(encoding="utf-8-sig", newline="\n") as lines:
            for number, line in enumerate(lines, 1):
                parts = SPACES.split(line.strip(" \t\r\n"))
                if number == 1 and len(parts) == 2 and all(part.isdecimal() for part in parts):
                    announced, width = map(int, parts)
                elif parts != [""]:
                    width = width or len(parts) - 1
                    name, row = _parted(parts, width, f"line {number} of {path.name}")
                    names.append(name)
                    rows.append(row)
    except UnicodeDecodeError as broken:
        got, way_out = f"{path}: {broken.reason}", "write word2vec's binary vectors as text"
        raise wrong("words", "be UTF-8 text, or .npz", got, way_out) from None
    if announced not in (None, len(names)):
        rule = f"hold the {counted(announced, 'word')} that its first line says"
        raise wrong("words", rule, len(names), "fetch the file again, or leave its first line out")
    return names, np.array(rows, dtype=np.float32).reshape(len(names), width)


def _parted(parts: list[str], width: int, where: str) -> tuple[str, np.ndarray]:
    """A word, which may hold spaces, and the ``width`` numbers behind it."""
    if len(parts) <= max(width, 1) or (len(parts) > width + 1 and _is_number(parts[-width - 1])):
        rule = f"be a word and {width or 'its'} numbers"
        raise wrong(where, rule, counted(len(parts) - 1, "number"), "mend that line")
    try:
        with np.errstate(over="ignore"):  # infinity is refused
            return " ".join(parts[:-width]), np.array(parts[-width:], dtype=np.float32)
    except ValueError:
        got = next(part for part in parts[-width:] if not _is_number(part))
        raise wrong(where, "be a word and numbers", repr(got), "mend that line") from None


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
