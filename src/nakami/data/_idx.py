"""IDX files, the format of the MNIST family, plain or gzip.

Format: two zero bytes, a type code, the number of axes, each axis as a big-endian 32-bit number,
then the values (http://yann.lecun.com/exdb/mnist/).
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np

from nakami.results import UsageError, wrong

BYTES = 0x08  # the only type code that the MNIST family uses


def is_idx(path: Path) -> bool:
    """Whether the name is that of an IDX file (``...-ubyte``, ``.idx``, also with ``.gz``)."""
    name = path.name.lower().removesuffix(".gz")
    return name.endswith(("ubyte", ".idx")) or ".idx" in name


def read_idx(path: Path, n: int | None = None) -> np.ndarray:
    """The array of an IDX file of unsigned bytes, at most the first ``n`` items.

    Raises:
        UsageError: Wrong magic, another type than bytes, a damaged gzip or a truncated file.
    """
    try:
        with gzip.open(path) if path.name.endswith(".gz") else path.open("rb") as file:
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
            shape = struct.unpack(f">{magic[3]}I", head)
            items = shape[0] if n is None else min(n, shape[0])
            size = items * math.prod(shape[1:])
            body = file.read(size)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UsageError(f"{path} is damaged ({error}); fetch the file again.") from error
    if len(body) < size:
        raise _truncated(path, len(body), size)
    return np.frombuffer(body, np.uint8).reshape(items, *shape[1:])


def _truncated(path: Path, got: int, expected: int) -> UsageError:
    rule = f"hold {expected} bytes of values after its header"
    return wrong(f"{path}", rule, got, "fetch the file again, it is truncated")
