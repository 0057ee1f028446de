"""Rows as numbers of 64 bits that hang on what they hold alone: for splits, and to find copies."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from ._files import digest
from ._texts import Texts

WHOLE = float(1 << 64)


def hashes(values: Mapping[str, Any], types: Mapping[str, str], n: int) -> np.ndarray:
    """A hash of each row, ``(n,)`` uint64; the order of columns and of rows plays no part.

    Args:
        values: By column.
        types: Of these columns, as a schema names them.
        n: How many rows.
    """
    total = np.zeros(n, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for name, kind in types.items():
            total += _mixed(_of_column(values[name], kind) ^ _of_bytes(name.encode()))
    return _mixed(total)


def shares(found: np.ndarray) -> np.ndarray:
    """Hashes as numbers in 0..1, evenly spread, ``(n,)`` float64."""
    return found.astype(np.float64) / WHOLE


def _of_column(values: Any, kind: str) -> np.ndarray:
    if kind == "number":
        return _mixed((np.asarray(values, dtype=np.float64) + 0.0).view(np.uint64))  # no -0
    if isinstance(values, Texts):
        return values.by_kind(lambda text: _of_bytes(text.encode()), np.uint64)
    if kind == "array":
        rows = np.ascontiguousarray(np.asarray(values) + 0)
        each = (_of_bytes(row.astype(np.float64).tobytes()) for row in rows)
    elif kind in ("picture", "sound"):
        each = (_of_bytes(digest(file)) for file in values)
    else:
        known = {text: _of_bytes(text.encode()) for text in set(values)}
        each = (known[text] for text in values)
    return np.fromiter(each, dtype=np.uint64, count=len(values))


def _of_bytes(data: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little"))


def _mixed(x: np.ndarray) -> np.ndarray:
    """Every bit hangs on every bit (the last steps of splitmix64)."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    shifted = x >> np.uint64(30)
    for factor, shift in ((0xBF58476D1CE4E5B9, 27), (0x94D049BB133111EB, 31)):
        x ^= shifted
        x *= np.uint64(factor)
        np.right_shift(x, np.uint64(shift), out=shifted)
    x ^= shifted
    return x
