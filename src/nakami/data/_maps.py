"""Tensors that are maps of files, so that they take memory only where they are looked at."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from weakref import WeakValueDictionary

import numpy as np
import torch
from torch import Tensor

FEW = 64  # rows
_maps: WeakValueDictionary[int, mmap.mmap] = WeakValueDictionary()  # by place of the first number


def map_of(array: np.ndarray) -> Tensor:
    """The tensor of a map, of which ``let_go`` knows."""
    tensor = torch.from_numpy(array)
    held: mmap.mmap | None = getattr(array, "_mmap", None)
    if held is not None:
        _maps[_place(tensor)] = held
    return tensor


def let_go(tensor: Tensor) -> None:
    """Give back the memory of a map, which is read again where it is looked at; of others nothing.

    Else a process that looks at all of a large file seems to hold all of it.
    """
    if (held := _held(tensor)) is not None:
        held.madvise(mmap.MADV_DONTNEED)


def picked(tensor: Tensor, rows: Tensor) -> Tensor:
    """A copy of the rows of these numbers; a map is let go behind a few.

    Linux 6.18 takes up to 2 MiB of a file into memory for each row that is looked at.
    """
    if _held(tensor) is None:
        return tensor[rows]
    found = tensor.new_empty((len(rows), *tensor.shape[1:]))
    for into, few in zip(found.split(FEW), rows.split(FEW), strict=True):
        torch.index_select(tensor, 0, few, out=into)
        let_go(tensor)
    return found


def pieces(tensor: Tensor, rows: int = 1000) -> Iterator[Tensor]:
    """The rows in order, some at a time; a map is let go behind each piece."""
    for piece in tensor.split(rows):
        yield piece
        let_go(tensor)


def _held(tensor: Tensor) -> mmap.mmap | None:
    held = _maps.get(_place(tensor)) if _maps else None
    return held if hasattr(mmap, "MADV_DONTNEED") else None


def _place(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
