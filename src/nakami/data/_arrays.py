"""NumPy files: ``.npy`` and ``.npz``, never with pickled objects."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nakami.results import PIXEL, UsageError, counted, wrong

from ._examples import AS_STORED, EMBEDDED, Examples, check_finite, plain_picture
from ._npz import pick


def read_array(path: Path, n: int | None, key: str | None) -> Examples:
    """Examples of an array file; the contract stands in ``nakami.data.read``."""
    labels, beside, said = None, dict[str, np.ndarray](), ""
    with reading(path):
        if path.suffix == ".npz":
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                picked = pick(list(arrays), path, key)
                array, said = arrays[picked.inputs], picked.said
                labels = arrays[picked.labels] if picked.labels else None
                beside = {name: arrays[name] for name in picked.beside}
        else:  # mapped, so that a few examples of a large file cost little
            array = np.load(path, mmap_mode="r", allow_pickle=False)
    if is_tokens(array):
        return _from_tokens(array, beside, labels, path, n, said)
    found = from_array(array, labels, path, n)
    return replace(found, source=f"{found.source}, {said}") if said else found


def is_tokens(array: np.ndarray) -> bool:
    """Whole numbers that are no bytes."""
    return array.dtype.kind in "iu" and array.dtype != np.uint8


def _from_tokens(
    array: np.ndarray,
    beside: dict[str, np.ndarray],
    labels: np.ndarray | None,
    path: Path,
    n: int | None,
    said: str,
) -> Examples:
    check_examples(array, path)
    one_each = labels is not None and labels.shape == array.shape[:1] and labels.dtype.kind in "iu"
    classes = whole(labels, f"labels in {path}")[:n] if labels is not None and one_each else None
    inputs, taken = tokens(array, beside, slice(n), path)
    parts = [f"{counted(len(array[:n]), 'example')} of {path.name}", *filter(None, (said, taken))]
    names = tuple(f"{path.stem} {i}" for i in range(len(array[:n])))
    return Examples(inputs, classes, names, EMBEDDED, ", ".join(parts))


def tokens(
    array: np.ndarray, beside: dict[str, np.ndarray], rows: Any, path: Path
) -> tuple[Tensor | dict[str, Tensor], str]:
    """Some rows of token ids, and by name what goes with them, in the model's words.

    An attention mask of ones, and token types of zeros, say nothing and are left out, so that
    models which take ids alone are read.

    Returns:
        The ids, or a dict of them and the rest; what was left out or taken, in one clause.
    """
    for name, values in beside.items():
        if len(values) != len(array) or values.dtype.kind not in "iub":
            got = f"{values.dtype} {values.shape}"
            rule = f"hold whole numbers for {counted(len(array), 'example')}"
            raise wrong(f"{name!r} in {path}", rule, got, "store what the tokenizer returned")
    ids = whole(array[rows], f"tokens in {path}")
    parts = {name: whole(values[rows], f"{name!r} in {path}") for name, values in beside.items()}
    empty = {"attention_mask": 1, "token_type_ids": 0}
    idle = [
        n for n, v in parts.items() if n.lower() in empty and bool((v == empty[n.lower()]).all())
    ]
    kept = {name: value for name, value in parts.items() if name not in idle}
    said = [f"{' and '.join(idle)} the same everywhere, left out"] * bool(idle)
    return ({"input_ids": ids, **kept} if kept else ids), ", ".join(said)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Refuse a file that does not start like NumPy's, or that NumPy then refuses."""
    try:
        with path.open("rb") as file:
            start = file.read(6)
        zipped = (b"PK\x03\x04", b"PK\x05\x06")
        if not start.startswith(zipped if path.suffix == ".npz" else b"\x93NUMPY"):
            got = start.hex(" ") or "nothing"
            raise wrong(f"{path}", "start like a NumPy file", got, "write it by np.save")
        yield
    except UsageError:
        raise
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile) as error:
        if "object" in str(error).lower() or "pickle" in str(error):
            way_out = "save the numbers with np.save(path, array.astype(np.float32))"
            got = "an object array, which can hide code"
            raise wrong(f"{path}", "hold plain numbers", got, way_out) from error
        raise UsageError(
            f"{path} cannot be read as a NumPy file ({error}); save it again with np.save."
        ) from error


def from_array(
    array: np.ndarray,
    labels: np.ndarray | None,
    path: Path,
    n: int | None = None,
    rows: Sequence[int] | None = None,
) -> Examples:
    """Examples ``(N, ...)`` from one array: uint8 is divided by 255, floating is taken as it is.

    Labels are one for each example of the whole array; the first ``n`` of both are taken. ``rows``:
    Where they stand in the file; default from the first on.
    """
    check_examples(array, path)
    if array.dtype == np.uint8 and channels_last(array.shape):
        raise wrong(
            f"{path}", "hold pictures channels first, (N, C, H, W)", f"shape {array.shape}",
            "store np.moveaxis(x, -1, 1)",
        )  # fmt: skip
    classes = None if labels is None else _labels(labels, len(array), path)[:n]
    inputs = _to_float(array[:n], path)
    names = tuple(f"{path.stem} {i}" for i in range(len(inputs)))
    check_finite(inputs, str(path), rows)
    pixels = array.dtype == np.uint8
    grid = pixels and array.ndim == 4 and array.shape[1] in (1, 3)
    return Examples(
        inputs,
        classes,
        names,
        PIXEL if pixels else AS_STORED,
        f"{counted(len(inputs), 'example')} of {path.name}",
        plain_picture(array.shape[1]) if grid else None,
        "picture" if grid else "input",
    )


def check_examples(array: np.ndarray, path: Path, name: str = "") -> None:
    """Refuse an array without examples along axis 0."""
    if array.ndim < 2 or 0 in array.shape:
        raise wrong(
            f"{path}", f"hold examples along axis 0{name and f' of {name!r}'}, (N, ...)",
            f"shape {array.shape}", "for one example store x[None]",
        )  # fmt: skip


def _to_float(array: np.ndarray, path: Path) -> Tensor:
    if array.dtype == np.uint8:
        return torch.from_numpy(array.astype(np.float32)).div_(255)
    if array.dtype.kind == "f":
        return single(array)
    raise wrong(
        f"{path}", "hold floating numbers or bytes (uint8)", f"dtype {array.dtype}",
        "store measured numbers as float32, and tokens as int64",
    )  # fmt: skip


def _labels(labels: np.ndarray, n: int, path: Path) -> Tensor:
    if labels.shape == (n, 1):  # as collections of pictures have them
        labels = labels[:, 0]
    if labels.shape != (n,) or labels.dtype.kind not in "iu":
        raise wrong(
            f"labels in {path}", f"be {counted(n, 'whole number')}",
            f"{labels.dtype} {labels.shape}",
            "store one class index for each example",
        )  # fmt: skip
    return whole(labels, f"labels in {path}")


def single(array: np.ndarray) -> Tensor:
    """As float32; what is too large becomes infinite, which ``check_finite`` refuses."""
    with np.errstate(over="ignore"):
        return torch.from_numpy(array.astype(np.float32))


def whole(array: np.ndarray, what: str) -> Tensor:
    """As int64."""
    if array.size and int(array.max()) >= 2**63:
        raise wrong(what, "be below 2^63", int(array.max()), "store them as int64")
    return torch.from_numpy(array.astype(np.int64))


def channels_last(shape: tuple[int, ...]) -> bool:
    return len(shape) == 4 and shape[-1] in (1, 3) and shape[1] not in (1, 3)
