"""Handwritten digits: the sample that is shipped, and the full MNIST files from a folder."""

from __future__ import annotations

from functools import cache
from importlib import resources
from os import PathLike
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from nakami.results import PIXEL, as_path, check_at_least, unknown, wrong

from ._examples import Examples, plain_picture
from ._idx import idx_items, read_idx

STEMS = {"train": "train", "test": "t10k"}
Split = Literal["train", "test"]


def digits(split: Split = "train", flat: bool = False) -> Examples:
    """The shipped sample of MNIST: its first 4,000 training or first 1,000 test digits.

    Args:
        split: ``"train"`` or ``"test"``.
        flat: Inputs ``(N, 784)`` in place of ``(N, 1, 28, 28)``.

    Returns:
        Grey values in 0..1 (byte / 255), labels 0..9. Origin and licence: ``NOTICE.md`` beside the
        data.
    """
    images, labels = _shipped(_split(split))
    source = f"first {len(labels):,} {split} digits of MNIST, shipped with nakami"
    return _digits(images, labels, split, source, flat)


def mnist(
    folder: str | PathLike[str], split: Split = "train", flat: bool = False, n: int | None = None
) -> Examples:
    """Digits from a folder with the original IDX files, plain or gzip.

    Args:
        folder: Holds ``train-images-idx3-ubyte`` or ``t10k-images-idx3-ubyte`` and the labels
            (``-labels-idx1-ubyte``), each plain or with ``.gz``.
        split: ``"train"`` or ``"test"``.
        flat: Inputs ``(N, 784)`` in place of ``(N, 1, 28, 28)``.
        n: At most this many, from the first on; None: all.

    Raises:
        UsageError: A file is missing, damaged, or images and labels do not match.
    """
    stem = STEMS[_split(split)]
    n = None if n is None else check_at_least("n", n, 1, "pass how many digits to read")
    kinds = ("images-idx3", "labels-idx1")
    files = [
        _find(as_path("folder", folder, "give that of the MNIST files"), f"{stem}-{kind}-ubyte")
        for kind in kinds
    ]
    images, labels = (read_idx(file, n) for file in files)
    items = [idx_items(file) for file in files]
    if items[0] != items[1] or images.ndim != 3 or labels.ndim != 1:
        got = f"shapes {images.shape} and {labels.shape} of {items[0]} and {items[1]} items"
        way_out = "fetch both files again"
        raise wrong(f"images and labels in {folder}", "match", got, way_out)
    source = f"first {len(labels):,} {split} digits of the MNIST files given"
    return _digits(images, labels, split, source, flat)


def _digits(
    images: np.ndarray, labels: np.ndarray, split: str, source: str, flat: bool
) -> Examples:
    x = torch.from_numpy(images.astype(np.float32)).div_(255).unsqueeze(1)
    return Examples(
        inputs=x.flatten(1) if flat else x,
        labels=torch.from_numpy(labels.astype(np.int64)),
        names=tuple(f"{split} digit {i}" for i in range(len(labels))),
        unit=PIXEL,
        source=source,
        picture=None if flat else plain_picture(1),
        noun="digit",
    )


@cache
def _shipped(split: str) -> tuple[np.ndarray, np.ndarray]:
    with (resources.files(__package__) / "mnist" / "digits.npz").open("rb") as file:
        arrays = np.load(file, allow_pickle=False)
        return arrays[f"{split}_images"], arrays[f"{split}_labels"]


def _split(split: str) -> str:
    if split not in STEMS:
        raise unknown("split", split, STEMS)
    return split


def _find(folder: Path, name: str) -> Path:
    for candidate in (folder / name, folder / f"{name}.gz"):
        if candidate.is_file():
            return candidate
    rule = f"be a folder with {name} (or {name}.gz)"
    raise wrong("data", rule, folder, "put the four MNIST files there")
