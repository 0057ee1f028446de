"""Dead leaves: pictures of discs that hide each other, with the statistics of natural pictures."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from nakami.results import PIXEL, check_at_least, check_ends, check_seed, counted

from ._examples import Examples, plain_picture

FINER = 2  # drawn at so many times the size, so that edges are smooth
LEAVES = 400  # of a picture, at least
LAYERS = 5.0  # leaves above each other at a place, so that exp(-5) of the picture stays bare


def dead_leaves(
    n: int, *, size: int = 64, radii: tuple[float, float] = (4.0, 32.0), seed: int = 0
) -> Examples:
    """Grey pictures of opaque discs at random places, the later in front of the earlier.

    A disc has a grey value uniform in 0..1 and a radius with density ``r^-3``, so that pictures
    look alike at all scales between the ends: edges, occlusion and a power spectrum as photographs
    have them, made on the spot.

    Args:
        n: Number of pictures.
        size: Pixels of a side.
        radii: Least and greatest radius in pixels, from 0.5 to 1000.
        seed: Decides all of it; torch's global generator is not touched.

    Returns:
        Inputs ``(n, 1, size, size)`` in 0..1, without labels.

    Cost: about 20 ms of a core for each picture of 64 x 64; pictures much larger than the leaves
    need more of these, and time in proportion to ``size^4``.
    Source: Lee, Mumford & Huang, International Journal of Computer Vision 41 (2001).
    """
    n = check_at_least("n", n, 1, "pass n=100")
    size = check_at_least("size", size, 2, "use 64")
    rule = "be the least and the greatest radius, from 0.5 to 1000 pixels"
    radii = check_ends("radii", radii, 0.5, 1000, rule, "write radii=(4, 32)")
    g = torch.Generator().manual_seed(check_seed(seed))
    side = FINER * size
    at = torch.arange(side) + 0.5
    pictures = torch.full((n, side, side), 0.5)
    for _ in range(_leaves(size, radii)):
        u, grey, y, x = torch.rand(4, n, 1, generator=g)
        low, high = (FINER * r for r in radii)
        r = (low**-2 + u * (high**-2 - low**-2)).rsqrt()  # the inverse of the distribution
        y, x = (-high + each * (side + 2 * high) for each in (y, x))
        inside = (at - y).square()[:, :, None] + (at - x).square()[:, None] < r.square()[..., None]
        pictures = torch.where(inside, grey[..., None], pictures)
    return Examples(
        inputs=_halved(pictures)[:, None],
        labels=None,
        names=tuple(f"dead leaves {i}" for i in range(n)),
        unit=PIXEL,
        source=f"{counted(n, 'picture')} of dead leaves, {size} x {size}, seed {seed}",
        picture=plain_picture(1),
        noun="picture",
    )


def _leaves(size: int, radii: tuple[float, float]) -> int:
    """How many hide the ground, from their mean area and that over which their middles fall."""
    low, high = radii
    square = low**2 * 2 * math.log(high / low) / (1 - (low / high) ** 2) if high > low else low**2
    return max(LEAVES, math.ceil(LAYERS * (size + 2 * high) ** 2 / (math.pi * square)))


def _halved(pictures: Tensor) -> Tensor:
    return torch.nn.functional.avg_pool2d(pictures[:, None], FINER)[:, 0]
