"""Coloured pictures made from a seed, for recipes that need some and are given none."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

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
    source = f"{n:,} {part} pictures of a coloured shape on a texture, made from seed {seed}"
    return _examples(made.pictures, labels, CLASSES, part, source)


@cache
def thirty_classes() -> tuple[Examples, Examples]:
    """3,000 pictures to train on and 1,000 to test on, ``(N, 3, 28, 28)``; the same each time.

    Five kinds of shapes in six colours, as ``shapes_in_noise`` makes them.
    """
    colours = ("red", "green", "blue", "yellow", "magenta", "white")
    classes = tuple(f"{colour} {kind}" for colour in colours for kind in KINDS)
    parts = []
    for n, seed, part in ((3000, 0, "training"), (1000, 1, "test")):
        x, labels = shapes_in_noise(n, classes, seed=seed)
        source = f"{n:,} {part} pictures of a coloured shape in noise, made from seed {seed}"
        parts.append(_examples(x, labels, classes, part, source))
    return parts[0], parts[1]


def shapes_in_noise(
    n: int,
    classes: Sequence[str],
    *,
    size: int = 28,
    noise: float = 0.3,
    seed: int = 0,
    generator: torch.Generator | None = None,
) -> tuple[Tensor, Tensor]:
    """Pictures ``(n, 3, size, size)`` of one shape each on black, and their classes ``(n,)``.

    A shape fills all but 6 pixels of a side, is turned by up to 30 degrees and shifted by up to 3
    pixels; then Gaussian noise is added, so that values lie around 0..1.

    Args:
        n: Pictures.
        classes: ``"red square"`` and the like: all pairs of a colour and a kind, in any order.
        size: Pixels of a side.
        noise: Standard deviation.
        seed: Of the shapes.
        generator: Of places and noise; None: one with the seed.
    """
    colours, kinds = (
        list(dict.fromkeys(words)) for words in zip(*map(str.split, classes), strict=True)
    )
    drawn = data.shapes(n, kinds, colours=colours, turn=30, size=size - 6, seed=seed)
    source = generator or torch.Generator().manual_seed(seed)
    x = torch.zeros(n, 3, size, size)
    places = torch.randint(7, (n, 2), generator=source).tolist()
    for i, (y, z) in enumerate(places):
        x[i, :, y : y + size - 6, z : z + size - 6] = drawn.pictures[i] * drawn.opacity[i]
    x += noise * torch.randn(x.shape, generator=source)
    return x, torch.tensor([classes.index(name) for name in drawn.names])


def _examples(
    x: Tensor, labels: Tensor, classes: tuple[str, ...], part: str, source: str
) -> Examples:
    names = tuple(f"{part} picture {i}" for i in range(len(x)))
    given = {"mean": [0.0] * 3, "std": [1.0] * 3}
    return Examples(x, labels, names, PIXEL, source, given, "picture", classes)
