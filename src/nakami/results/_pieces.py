"""One piece of a run on disk: arrays, seconds, and ``result.json``, which makes it a done one."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from ._errors import UsageError
from ._files import as_json, disk, write_whole

RESULT, ARRAYS, TIMING = "result.json", "arrays.safetensors", "timing.json"
CHECKSUM = "sha256"  # in result.json, of the rest of it and of the arrays


@dataclass(frozen=True)
class Piece:
    """A finished part of a run.

    Attributes:
        name: Of its folder.
        record: What its ``result.json`` holds.
        arrays: By name, as NumPy has them.
        seconds: Wall time that it took.
    """

    name: str
    record: dict[str, Any]
    arrays: dict[str, np.ndarray]
    seconds: float


def read_piece(folder: Path) -> Piece:
    """A finished piece.

    Raises:
        UsageError: It is damaged.
    """
    with damage(f"piece {folder.name} of {folder.parent.parent}"):
        record, stored = read_json(folder / RESULT), (folder / ARRAYS).read_bytes()
        expected = record.pop(CHECKSUM, None)  # pieces of earlier versions have none
        if expected is not None and expected != _checksum(record, stored):
            raise ValueError("it is not what was written")
        timing = folder / TIMING
        seconds = float(read_json(timing)["seconds"]) if timing.exists() else 0.0
        arrays = dict(sorted(load(stored).items()))  # else in another order in each process
        return Piece(folder.name, record, arrays, seconds)


def write_piece(
    folder: Path,
    record: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray] | bytes | None,
    seconds: float,
    argument: str,
) -> None:
    """Write a piece, as ``RecordFolder.write`` says."""
    if not isinstance(arrays, bytes):
        # safetensors stores memory as it lies, so a strided view would be permuted in silence
        arrays = save({key: np.asarray(value, order="C") for key, value in (arrays or {}).items()})
    text = as_json({**record, CHECKSUM: _checksum(record, arrays)})
    with disk(folder, argument):
        (folder / RESULT).unlink(missing_ok=True)  # or new arrays would stand beside it
    write_whole(folder / ARRAYS, arrays, argument)
    write_whole(folder / TIMING, as_json({"seconds": round(seconds, 3)}), argument)
    write_whole(folder / RESULT, text, argument)


def remove_piece(folder: Path) -> None:
    """Its ``result.json`` first, so that no moment shows half a piece as done."""
    (folder / RESULT).unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def damage(what: str) -> Iterator[None]:
    """Turn what reading a damaged file raises into one sentence."""
    try:
        yield
    except UsageError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, OSError, SafetensorError) as error:
        why = f"{type(error).__name__}: {error}"
        way_out = "delete that folder and start the same command again"
        raise UsageError(f"{what} is damaged ({why}); {way_out}.") from error


def read_json(path: Path) -> dict[str, Any]:
    """The names of a JSON file.

    Raises:
        ValueError: It holds something else. OSError: it cannot be read.
    """
    body = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(body, dict):
        raise ValueError("it holds no names")
    return body


def _checksum(record: Mapping[str, Any], arrays: bytes) -> str:
    return hashlib.sha256(as_json(record).encode() + arrays).hexdigest()
