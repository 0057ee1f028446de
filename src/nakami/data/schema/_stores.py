"""Where prepared rows go: into memory, into files, or nowhere."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias, final

import numpy as np
import torch
from torch import Tensor

from .._maps import map_of
from ._names import Written, encoded, joined
from ._npy import NpyWriter, mapped

Stored: TypeAlias = tuple[Tensor, Tensor | None, Sequence[str]]  # inputs, targets, names


class Store(ABC):
    """Takes the rows of one part, in order.

    Attributes:
        rows: How many it took.
    """

    rows: int = 0

    def add(self, inputs: Tensor, targets: Tensor | None, names: Sequence[str]) -> None:
        """Take rows."""
        if len(names):
            self._take(inputs, targets, names)
            self.rows += len(names)

    @abstractmethod
    def _take(self, inputs: Tensor, targets: Tensor | None, names: Sequence[str]) -> None: ...

    @abstractmethod
    def names(self) -> Sequence[str]:
        """Of all rows that were taken."""


@final
class InMemory(Store):
    """One tensor for all rows, made at the first ones.

    Args:
        most: How many rows may come.
    """

    def __init__(self, most: int):
        self._most, self._names = most, list[Sequence[str]]()
        self._inputs = self._targets = torch.empty(0)
        self._labelled = False

    def _take(self, inputs: Tensor, targets: Tensor | None, names: Sequence[str]) -> None:
        if not self.rows:
            self._inputs = inputs.new_empty((self._most, *inputs.shape[1:]))
            self._labelled = targets is not None
            if targets is not None:
                self._targets = targets.new_empty((self._most, *targets.shape[1:]))
        here = slice(self.rows, self.rows + len(names))
        self._inputs[here] = inputs
        if targets is not None:
            self._targets[here] = targets
        self._names.append(names)

    def names(self) -> Sequence[str]:
        """Of all parts."""
        return joined(self._names)

    def stored(self) -> Stored:
        """All rows."""
        targets = self._targets[: self.rows] if self._labelled else None
        return self._inputs[: self.rows], targets, self.names()


@final
class Nowhere(Store):
    """Keeps names alone."""

    def __init__(self) -> None:
        self._names = list[Sequence[str]]()

    def _take(self, inputs: Tensor, targets: Tensor | None, names: Sequence[str]) -> None:
        self._names.append(names)

    def names(self) -> Sequence[str]:
        """Of all parts."""
        return joined(self._names)


@final
class OnDisk(Store):
    """Files of a folder: ``train-inputs.npy`` and so on.

    Args:
        folder: Where they go. part: ``"train"`` or ``"test"``.
    """

    def __init__(self, folder: Path, part: str):
        self._folder, self._part = folder, part
        self._files: dict[str, NpyWriter] = {}
        self._bytes = 0

    def _take(self, inputs: Tensor, targets: Tensor | None, names: Sequence[str]) -> None:
        text, ends = encoded(names, self._bytes)
        self._bytes = int(ends[-1])
        arrays = {"inputs": inputs.numpy(), "names": text, "ends": ends}
        if targets is not None:
            arrays["targets"] = targets.numpy()
        for name, array in arrays.items():
            if name not in self._files:
                path = self._folder / f"{self._part}-{name}.npy"
                self._files[name] = NpyWriter(path, array.dtype, array.shape[1:])
            self._files[name].add(array)

    def names(self) -> Sequence[str]:
        """Those of the files, once they are closed."""
        paths = [self._files[name].path for name in ("names", "ends")]
        return Written(*(np.load(path, mmap_mode="c") for path in paths))

    def close(self) -> dict[str, str]:
        """End the files; what ``read_stored`` checks them by."""
        return {file.path.name: file.close() for file in self._files.values()}

    def leave(self) -> None:
        """Let the files go, whole or not."""
        for file in self._files.values():
            file.leave()


def read_stored(folder: Path, part: str, files: dict[str, Any]) -> Stored:
    """The rows that ``OnDisk`` wrote, by memory map.

    Raises:
        UsageError: A file is not as it was written.
    """
    found = {}
    for name in ("inputs", "targets", "names", "ends"):
        file = f"{part}-{name}.npy"
        if file in files:
            found[name] = mapped(folder / file, files[file])
    targets = map_of(found["targets"]) if "targets" in found else None
    return map_of(found["inputs"]), targets, Written(found["names"], found["ends"])
