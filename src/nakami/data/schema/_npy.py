"""Arrays written to disk row by row, and read by memory map."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, final

import numpy as np

from nakami.results import UsageError

CHUNK = 1 << 24  # bytes that are looked at together


@final
class NpyWriter:
    """Rows behind each other in an ``.npy`` file; their number is written at the end.

    Args:
        path: The file.
        dtype: Of NumPy. shape: of one row.
    """

    def __init__(self, path: Path, dtype: Any, shape: tuple[int, ...]):
        self.path, self.rows = path, 0
        self._dtype, self._shape = np.dtype(dtype), shape
        self._digest = hashlib.sha256()
        self._file = path.open("wb")
        self._first = self._head()

    def add(self, rows: np.ndarray) -> None:
        """Write rows ``(n, *shape)``."""
        held = np.ascontiguousarray(rows, dtype=self._dtype)
        assert held.shape[1:] == self._shape, (held.shape, self._shape)
        self._file.write(held.data)
        self._digest.update(held.data)
        self.rows += len(held)

    def close(self) -> str:
        """End the file; returns what ``checked`` compares."""
        with self._file as file:
            file.seek(0)
            assert self._head() == self._first  # NumPy leaves room for the number of rows
        return self._digest.hexdigest()

    def leave(self) -> None:
        """Let the file go, whole or not."""
        self._file.close()

    def _head(self) -> int:
        descr = np.lib.format.dtype_to_descr(self._dtype)
        shape = (self.rows, *self._shape)
        head = {"descr": descr, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, head)
        return self._file.tell()


def mapped(path: Path, digest: str) -> np.ndarray:
    """The array of a file by memory map, after a look at all of it.

    Raises:
        UsageError: It is not what was written.
    """
    try:
        found = np.load(path, mmap_mode="c")
        with path.open("rb") as file:
            file.seek(found.offset)
            same = _digest(file) == digest
    except (OSError, ValueError) as error:
        raise _damaged(path, str(error)) from error
    if not same:
        raise _damaged(path, "it was changed")
    return found


def _digest(file: Any) -> str:
    digest, held = hashlib.sha256(), memoryview(bytearray(CHUNK))
    while n := file.readinto(held):
        digest.update(held[:n])
    return digest.hexdigest()


def _damaged(path: Path, why: str) -> UsageError:
    return UsageError(
        f"{path} is no longer as it was written ({why}); delete the folder {path.parent}, and it "
        "is prepared again."
    )
