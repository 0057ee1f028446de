"""NumPy files: ``.npy`` and ``.npz``, never with pickled objects."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from nakami.results import UsageError, wrong

from ._examples import AS_STORED, PIXEL, Examples, check_finite, plain_picture

INPUTS = ("inputs", "x", "images", "data", "arr_0")
LABELS = ("labels", "y", "targets")


def read_array(path: Path, n: int | None, key: str | None) -> Examples:
    """Examples of an array file; the contract stands in ``nakami.data.read``."""
    labels = None
    with reading(path):
        if path.suffix == ".npz":
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                x, y = pick(list(arrays), path, key)
                array, labels = arrays[x], arrays[y] if y else None
        else:  # mapped, so that a few examples of a large file cost little
            array = np.load(path, mmap_mode="r", allow_pickle=False)
    return from_array(array, labels, path, n)


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
    array: np.ndarray, labels: np.ndarray | None, path: Path, n: int | None = None
) -> Examples:
    """Examples ``(N, ...)`` from one array: uint8 is divided by 255, floating is taken as it is.

    Labels are one for each example of the whole array; the first ``n`` of both are taken.
    """
    if array.ndim < 2 or 0 in array.shape:
        raise wrong(
            f"{path}", "hold examples along axis 0, (N, ...)", f"shape {array.shape}",
            "for one example store x[None]",
        )  # fmt: skip
    if array.dtype == np.uint8 and _channels_last(array.shape):
        raise wrong(
            f"{path}", "hold pictures channels first, (N, C, H, W)", f"shape {array.shape}",
            "store np.moveaxis(x, -1, 1)",
        )  # fmt: skip
    classes = None if labels is None else _labels(labels, len(array), path)[:n]
    inputs = _to_float(array[:n], path)
    names = tuple(f"{path.stem} {i}" for i in range(len(inputs)))
    check_finite(inputs, names, str(path))
    pixels = array.dtype == np.uint8
    grid = pixels and array.ndim == 4 and array.shape[1] in (1, 3)
    return Examples(
        inputs,
        classes,
        names,
        PIXEL if pixels else AS_STORED,
        f"{len(inputs):,} examples of {path.name}",
        plain_picture(array.shape[1]) if grid else None,
        "picture" if grid else "input",
    )


def _to_float(array: np.ndarray, path: Path) -> Tensor:
    if array.dtype == np.uint8:
        return torch.from_numpy(array.astype(np.float32)).div_(255)
    if array.dtype.kind == "f":
        return single(array)
    raise wrong(
        f"{path}", "hold floating numbers or bytes (uint8)", f"dtype {array.dtype}",
        "store measured numbers as float32; a model of tokens is read in Python, where nakami.xray "
        "starts from its embedding",
    )  # fmt: skip


def _labels(labels: np.ndarray, n: int, path: Path) -> Tensor:
    if labels.shape != (n,) or labels.dtype.kind not in "iu":
        raise wrong(
            f"labels in {path}", f"be {n} whole numbers", f"{labels.dtype} {labels.shape}",
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


def _channels_last(shape: tuple[int, ...]) -> bool:
    return len(shape) == 4 and shape[-1] in (1, 3) and shape[1] not in (1, 3)


def pick(
    names: list[str], path: Path, key: str | None = None, labels: str | None = None
) -> tuple[str, str | None]:
    """Which arrays of an ``.npz`` are the inputs and the labels; None where there are none.

    ``y_test`` goes with ``x_test``; else the labels are called as in ``LABELS``.
    """
    got = f"arrays {', '.join(names) or 'none'}"
    for name in (key, labels):
        if name is not None and name not in names:
            raise wrong(f"{path}", f"hold {name!r}", got, "name one of them: {key}=NAME")
    rest = [name for name in names if name not in (labels, *LABELS)]
    x = key or next((name for name in INPUTS if name in names and name != labels), None)
    x = x or (rest[0] if len(rest) == 1 else None)
    if x is None:
        raise wrong(f"{path}", "hold inputs", got, "name one of them: {key}=NAME")
    partner = f"y{x[1:]}" if x.startswith("x") else ""
    found = labels or next((n for n in (partner, *LABELS) if n in names and n != x), None)
    return x, found
