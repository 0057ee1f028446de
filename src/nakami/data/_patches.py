"""Small squares cut from pictures at random places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from os.path import commonpath
from pathlib import Path

import torch
from torch import Tensor

from nakami.results import PIXEL, as_path, check_at_least, check_seed, counted, wrong, wrong_type

from ._examples import Examples, pictures_of, plain_picture
from ._pictures import as_it_is, checked_mode, heads_of_pictures

WAY_OUT = "pass data.read(FOLDER, mode='grey'), or a list of picture files"


def patches(
    examples: Examples | Sequence[str | PathLike[str]],
    n: int,
    size: int,
    *,
    mode: str | None = None,
    seed: int = 0,
) -> Examples:
    """``n`` squares of ``size`` pixels, each of a random picture at a random place.

    Args:
        examples: Pictures ``(N, C, H, W)`` or ``(N, H, W)``; or picture files, of any sizes, each
            taken at its own, with pixels in 0..1.
        n: Number of patches.
        size: Pixels of a side.
        mode: Of files: ``"RGB"`` or ``"grey"``; None: grey where all files are.
        seed: Decides which; torch's global generator is not touched.

    Returns:
        Inputs ``(n, C, size, size)``, named after their pictures; no labels.

    Raises:
        UsageError: What are no pictures, or one smaller than a patch.
    """
    n, size = check_at_least("n", n, 1, "pass n=1000"), check_at_least("size", size, 1, "use 12")
    g = torch.Generator().manual_seed(check_seed(seed))
    if not isinstance(examples, Examples):
        return _of_files(examples, n, size, mode, g)
    x = pictures_of(examples, WAY_OUT)
    if mode is not None:
        raise wrong("mode", "be left out, as it is for files", repr(mode), "leave {mode} out")
    if min(x.shape[2:]) < size:
        rule = f"be at most the shorter side of the pictures, {min(x.shape[2:])}"
        raise wrong("size", rule, size, "lower it, or pass larger pictures")
    row, top, left = (
        torch.randint(high, (n, 1, 1), generator=g)
        for high in (len(x), x.shape[2] - size + 1, x.shape[3] - size + 1)
    )
    at = torch.arange(size)
    cut = x.movedim(1, 3)[row, top + at[:, None], left + at].movedim(3, 1).contiguous()
    return _named(examples, cut, row, n, size)


def _of_files(
    given: Sequence[str | PathLike[str]], n: int, size: int, mode: str | None, g: torch.Generator
) -> Examples:
    """Of pictures of one size the same patches as of these pictures read."""
    if isinstance(given, str) or not isinstance(given, Sequence):
        rule = "be Examples, or a list of picture files"
        raise wrong_type("examples", rule, type(given).__name__, WAY_OUT)
    files = [as_path("examples", file, WAY_OUT) for file in given]
    if not files:
        raise wrong("examples", "hold pictures", "no file", WAY_OUT)
    sizes, grey = heads_of_pictures(files)
    for file, (width, height) in zip(files, sizes, strict=True):
        if min(width, height) < size:
            rule = f"hold pictures of {size} x {size} pixels or more"
            got = f"{file.name} of {width} x {height}"
            raise wrong("examples", rule, got, "leave smaller ones out")
    mode = mode or ("grey" if grey else "RGB")
    channels = 3 if checked_mode(mode) == "RGB" else 1
    row = torch.randint(len(files), (n,), generator=g)
    corners = [
        [int(torch.randint(sizes[r][axis] - size + 1, (), generator=g)) for r in row.tolist()]
        for axis in (1, 0)
    ]
    cut = torch.empty(n, channels, size, size)
    for r in row.unique().tolist():
        pixels = as_it_is(files[r], mode)
        for i in (row == r).nonzero().flatten().tolist():
            top, left = corners[0][i], corners[1][i]
            cut[i] = pixels[:, top : top + size, left : left + size]
    root = Path(commonpath([file.resolve().parent for file in files]))
    names = tuple(str(file.resolve().relative_to(root)) for file in files)
    source = f"{counted(len(files), 'picture')} of {root.name} at their own size, {mode}, unit"
    whole = Examples(cut[:0], None, names, PIXEL, source, plain_picture(channels))
    return _named(whole, cut, row, n, size)


def _named(pictures: Examples, cut: Tensor, row: Tensor, n: int, size: int) -> Examples:
    """Patches with the names of the pictures that they are of."""
    rows, cuts = row.flatten().tolist(), counted(n, "patch", "patches")
    return replace(
        pictures,
        inputs=cut,
        labels=None,
        names=tuple(f"patch {i} of {pictures.names[r]}" for i, r in enumerate(rows)),
        source=f"{cuts} of {size} x {size} pixels of the {pictures.source}",
        noun="patch",
        classes=(),
    )
