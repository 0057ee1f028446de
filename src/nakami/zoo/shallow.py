"""Shallow network: one wide hidden layer, behind a linear bottleneck that makes it cheap.

Origin: Ba & Caruana, "Do deep nets really need to be deep?", NIPS 2014: a shallow student whose
first matrix is a product of two narrow ones, trained on the logits of a deep teacher
(``training.Mimic``).

Deliberate differences: first weights ``N(0, 2 / inputs)`` (He et al. 2015), sizes for digits.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from nakami.results import check_at_least

from ._entry import Entry
from ._layers import layer, seeded


def make(
    inputs: int = 784,
    hidden: int = 2000,
    classes: int = 10,
    *,
    bottleneck: int | None = 100,
    generator: torch.Generator | None = None,
) -> nn.Sequential:
    """Modules ``flatten``, ``bottleneck`` (linear), ``linear1``, ``hidden1`` (ReLU), ``output``.

    Args:
        inputs: Values per example.
        hidden: Units.
        classes: Number of outputs.
        bottleneck: Rank that the hidden layer's weights have at most, ``W = U V``; None: without.
        generator: Source of the first weights; None: a fresh one with seed 0.

    Returns:
        A network ``(N, ...) -> (N, classes)``; the default has 300,410 parameters.
    """
    generator, parts = seeded(generator), OrderedDict[str, nn.Module](flatten=nn.Flatten())
    if bottleneck is not None:
        rank = check_at_least("bottleneck", bottleneck, 1, "pass None for none")
        parts["bottleneck"] = layer(
            nn.Linear, inputs, rank, bias=False, std=(1 / inputs) ** 0.5, generator=generator
        )
        inputs = rank
    parts["linear1"] = layer(nn.Linear, inputs, hidden, generator=generator)
    parts["hidden1"] = nn.ReLU()
    std = (1 / hidden) ** 0.5
    parts["output"] = layer(nn.Linear, hidden, classes, std=std, generator=generator)
    return nn.Sequential(parts)


ENTRY = Entry(
    make=make,
    input=(1, 28, 28),
    output=(10,),
    parameters=300_410,
    task="classification",
    origin="Ba, Caruana 2014",
    preprocessing="unit",
    data="digits",
)
