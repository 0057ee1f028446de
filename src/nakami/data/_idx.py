"""IDX files, the format of the MNIST family, plain or gzip.

Format: two zero bytes, a type code, the number of axes, each axis as a big-endian 32-bit number,
then the values (http://yann.lecun.com/exdb/mnist/).
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from nakami.results import UsageError, wrong

BYTES = 0x08  # the only type code that the MNIST family uses
MOST_ZIPPED = 1032  # bytes that one byte of a gzip file can become


def is_idx(path: Path) -> bool:
    """Whether the name is that of an IDX file (``...-ubyte``, ``.idx``, also with ``.gz``)."""
    name = path.name.lower().removesuffix(".gz")
    return name.endswith(("ubyte", ".idx")) or ".idx" in name


def read_idx(path: Path, n: int | None = None) -> np.ndarray:
    """The array of an IDX file of unsigned bytes, at most the first ``n`` items.

    Raises:
        UsageError: Wrong magic, another type than bytes, a damaged gzip or a truncated file.
    """
    with _opened(path) as file:
        shape = _shape(file, path)
        items = shape[0] if n is None else min(n, shape[0])
        size = items * math.prod(shape[1:])
        most = path.stat().st_size * MOST_ZIPPED
        body = file.read(min(size, most))  # a damaged head may ask for more than any memory
    if len(body) < size:
        raise _truncated(path, len(body), size)
    return np.frombuffer(body, np.uint8).reshape(items, *shape[1:])


def idx_items(path: Path) -> int:
    """How many items an IDX file says it holds."""
    with _opened(path) as file:
        return _shape(file, path)[0]


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with gzip.open(path) if path.name.endswith(".gz") else path.open("rb") as file:
            yield cast(BinaryIO, file)
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"{path} is damaged ({error}); fetch the file again.") from error


def _shape(file: BinaryIO, path: Path) -> tuple[int, ...]:
    magic = file.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[3] == 0:
        raise wrong(
            f"{path}", "start like an IDX file (two zero bytes, type, axes)",
            magic.hex(" ") or "nothing", "give the original file, plain or .gz",
        )  # fmt: skip
    if magic[2] != BYTES:
        raise wrong(
            f"{path}", "hold unsigned bytes (type 0x08)", f"type 0x{magic[2]:02x}",
            "store its array with np.save",
        )  # fmt: skip
    head = file.read(4 * magic[3])
    if len(head) < 4 * magic[3]:
        raise _truncated(path, len(head), 4 * magic[3])
    return struct.unpack(f">{magic[3]}I", head)


def _truncated(path: Path, got: int, expected: int) -> UsageError:
    rule = f"hold {expected} bytes of values after its header"
    return wrong(f"{path}", rule, got, "fetch the file again, it is truncated")
