"""Small convolutional network: ``lenet`` with maximum pooling and without normalisation."""

from __future__ import annotations

import torch
from torch import nn

from . import lenet
from ._entry import Entry


def make(
    shape: tuple[int, int, int] = (1, 28, 28),
    classes: int = 10,
    *,
    generator: torch.Generator | None = None,
) -> nn.Sequential:
    """As ``lenet.make``.

    Args:
        shape: Channels, height and width of an example; 16 pixels or more on each side.
        classes: Number of outputs.
        generator: Source of the first weights ``N(0, 2 / fan-in)``; None: a fresh one with seed 0.

    Returns:
        A network ``(N, *shape) -> (N, classes)``; the default has 431,080 parameters.
    """
    return lenet.make(shape, classes, generator=generator)


ENTRY = Entry(
    make=make,
    input=lenet.ENTRY.input,
    output=lenet.ENTRY.output,
    parameters=lenet.ENTRY.parameters,
    task="classification",
    origin=lenet.ENTRY.origin,
    preprocessing="unit",
    data="digits",
)
