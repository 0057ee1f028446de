"""Fully connected layers one after the other: what the perceptrons of the zoo share."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import nn

from nakami.results import check_fraction, wrong

from ._layers import layer, seeded


def perceptron(
    sizes: Sequence[int],
    unit: Callable[[], nn.Module],
    dropout: tuple[float, float] | None,
    generator: torch.Generator | None,
    pieces: int = 1,
) -> nn.Sequential:
    """Modules ``flatten``, ``linear1``, ``hidden1``, ..., ``output``; weights ``N(0, 2 / inputs)``.

    Args:
        sizes: Values per example, units of each hidden layer, classes.
        unit: Makes what follows a hidden linear layer.
        dropout: Shares of the inputs and of the hidden units that are dropped, as ``drop0`` before
            ``linear1`` and ``drop1``, ... behind ``hidden1``, ...; None: no such modules.
        generator: Source of the first weights; None: a fresh one with seed 0.
        pieces: Outputs of a linear layer for each hidden unit.
    """
    if len(sizes) < 2:
        raise wrong("sizes", "name input and output", tuple(sizes), "for example (784, 300, 10)")
    for share in dropout or ():
        check_fraction("dropout", share, "pass dropout=(0.2, 0.5)")
    generator = seeded(generator)
    parts: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    if dropout:
        parts["drop0"] = nn.Dropout(dropout[0])
    for i, (n, m) in enumerate(pairwise(sizes[:-1]), 1):
        std = (2 / n) ** 0.5
        parts[f"linear{i}"] = layer(nn.Linear, n, m * pieces, std=std, generator=generator)
        parts[f"hidden{i}"] = unit()
        if dropout:
            parts[f"drop{i}"] = nn.Dropout(dropout[1])
    n, m = sizes[-2:]
    parts["output"] = layer(nn.Linear, n, m, std=(1 / n) ** 0.5, generator=generator)
    return nn.Sequential(parts)
