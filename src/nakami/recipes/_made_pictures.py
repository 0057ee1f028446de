"""Coloured pictures made from a seed, for recipes that need some and are given none."""

from __future__ import annotations

from functools import cache

import torch

from nakami import data
from nakami.data import PIXEL, Examples

KINDS, COLOURS = ("square", "circle", "triangle", "diamond", "cross"), ("red", "blue")
CLASSES = tuple(f"{colour} {kind}" for colour in COLOURS for kind in KINDS)
SIDE, DRAWN = 64, 300  # pixels, and how many different shapes are pasted


@cache
def coloured_shapes() -> tuple[Examples, Examples]:
    """2,000 pictures to train on and 500 to test on, ``(N, 3, 64, 64)``; the same each time.

    One shape on a texture each, at a random place, 28 to 56 pixels, turned by up to 15 degrees; the
    ten classes are five kinds in two colours.
    """
    return _made(2000, 0, "training"), _made(500, 1, "test")


def _made(n: int, seed: int, part: str) -> Examples:
    shapes = data.shapes(DRAWN, KINDS, colours=COLOURS, turn=15, size=SIDE, seed=seed)
    made = data.scenes(shapes, n, size=(SIDE, SIDE), count=(1, 1), sides=(28, 56), seed=seed)
    assert made.rows.tolist() == list(range(n))  # one in each
    labels = torch.tensor([CLASSES.index(name) for name in made.names])
    return Examples(
        made.pictures,
        labels,
        tuple(f"{part} picture {i}" for i in range(n)),
        PIXEL,
        f"{n:,} {part} pictures of a coloured shape on a texture, made from seed {seed}",
        {"mean": [0.0] * 3, "std": [1.0] * 3},
        "picture",
        CLASSES,
    )
