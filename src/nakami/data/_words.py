"""Word vectors from files: word2vec's text, or an .npz."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from nakami.results import UsageError, as_path, unknown, wrong

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
        rows = []
        for name in names:
            tried = [name, name.lower()]
            whole = [place[one] for one in tried if one in place][:1]
            parts = self.parts(name)
            found = whole or [place[part] for part in parts if part in place]
            if not found or (not whole and len(found) < len(parts)):
                lost = next((part for part in parts if part not in place), name)
                raise unknown("word", lost, list(self.names))
            rows.append(F.normalize(self.vectors[found], dim=1).mean(0))
        return F.normalize(torch.stack(rows), dim=1)

    @staticmethod
    def parts(name: str) -> list[str]:
        """The words of a name, in small letters: ``"Tiger_shark"`` has two."""
        return name.lower().replace("_", " ").replace("-", " ").split()


def read_words(path: str | PathLike[str]) -> WordVectors:
    """Word vectors of a file.

    Args:
        path: ``.npz`` with the arrays ``words`` and ``vectors``; else a text file with a word and
            its numbers in each line, as word2vec and GloVe write them, with or without a first line
            of two counts.

    Raises:
        UsageError: It is not there, or holds something else.
    """
    path = as_path("words", path, "give a file of word vectors")
    if not path.is_file():
        raise wrong("words", "be a file of word vectors", path, "give an .npz or a text file")
    names, vectors = _of_npz(path) if path.suffix == ".npz" else _of_text(path)
    if vectors.ndim != 2 or len(vectors) != len(names) or not len(names):
        got = f"{len(names)} words and vectors of shape {vectors.shape}"
        raise wrong("words", "hold a vector for each word", got, "store (C, d)")
    if not np.isfinite(vectors).all() or not vectors.any(1).all():
        got = "NaN, infinity or a vector of zeros"
        raise wrong("words", "hold finite vectors that are not 0", got, "leave these words out")
    return WordVectors(tuple(names), torch.tensor(vectors, dtype=torch.float32))


def _of_npz(path: Path) -> tuple[list[str], np.ndarray]:
    with np.load(path, allow_pickle=False) as arrays:
        found = [next((n for n in some if n in arrays), None) for some in (NAMES, VECTORS)]
        if None in found:
            rule = "hold the arrays words and vectors"
            raise wrong("words", rule, ", ".join(arrays), "np.savez(file, words=..., vectors=...)")
        names, vectors = (arrays[str(name)] for name in found)
    return [str(name) for name in names.tolist()], vectors


def _of_text(path: Path) -> tuple[list[str], np.ndarray]:
    names, rows = list[str](), list[list[float]]()
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        word, *rest = line.split()
        if number == 1 and len(rest) == 1:  # counts
            continue
        try:
            row = [float(x) for x in rest]
        except ValueError as error:
            raise UsageError(f"line {number} of {path} is not a word and numbers.") from error
        if rows and len(row) != len(rows[0]):
            got = f"{len(row)} in line {number}"
            raise wrong("words", f"have {len(rows[0])} numbers a word", got, "mend that line")
        names.append(word)
        rows.append(row)
    return names, np.array(rows, dtype=np.float32).reshape(len(names), -1)
