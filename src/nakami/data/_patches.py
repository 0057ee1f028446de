"""Small squares cut from pictures at random places."""

from __future__ import annotations

from dataclasses import replace

import torch

from nakami.results import check_at_least, check_seed, counted, wrong

from ._examples import Examples, pictures_of


def patches(examples: Examples, n: int, size: int, *, seed: int = 0) -> Examples:
    """``n`` squares of ``size`` pixels, each of a random picture at a random place.

    Args:
        examples: Pictures ``(N, C, H, W)`` or ``(N, H, W)``.
        n: Number of patches.
        size: Pixels of a side.
        seed: Decides which; torch's global generator is not touched.

    Returns:
        Inputs ``(n, C, size, size)``, named after their pictures; no labels.

    Raises:
        UsageError: Examples that are no pictures, or pictures smaller than a patch.
    """
    n, size = check_at_least("n", n, 1, "pass n=1000"), check_at_least("size", size, 1, "use 12")
    x = pictures_of(examples, "pass data.read(FOLDER, mode='grey')")
    if min(x.shape[2:]) < size:
        rule = f"be at most the shorter side of the pictures, {min(x.shape[2:])}"
        raise wrong("size", rule, size, "lower it, or pass larger pictures")
    g = torch.Generator().manual_seed(check_seed(seed))
    row, top, left = (
        torch.randint(high, (n, 1, 1), generator=g)
        for high in (len(x), x.shape[2] - size + 1, x.shape[3] - size + 1)
    )
    at = torch.arange(size)
    cut = x.movedim(1, 3)[row, top + at[:, None], left + at].movedim(3, 1)
    rows = row.flatten().tolist()
    cuts = counted(n, "patch", "patches")
    return replace(
        examples,
        inputs=cut.contiguous(),
        labels=None,
        names=tuple(f"patch {i} of {examples.names[r]}" for i, r in enumerate(rows)),
        source=f"{cuts} of {size} x {size} pixels of the {examples.source}",
        noun="patch",
        classes=(),
    )
