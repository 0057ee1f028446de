"""Maxout network: two hidden layers of 240 units, each the largest of five linear pieces.

Origin: Goodfellow, Warde-Farley, Mirza, Courville & Bengio, "Maxout networks", ICML 2013; these
sizes are those of its result on MNIST without knowledge of pictures.

Deliberate differences: first weights ``N(0, 2 / inputs)`` (He et al. 2015), logits for a softmax.

Published: with dropout and a bound on the weights' lengths 0.94 % test error on MNIST (the table of
Srivastava et al., JMLR 2014, as repeated in notes on it).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import nn

from nakami.nn import Maxout
from nakami.results import check_at_least

from ._entry import Entry
from ._perceptron import perceptron


def make(
    sizes: Sequence[int] = (784, 240, 240, 10),
    *,
    pieces: int = 5,
    dropout: tuple[float, float] | None = (0.2, 0.5),
    generator: torch.Generator | None = None,
) -> nn.Sequential:
    """Modules ``flatten``, ``drop0``, ``linear1``, ``hidden1`` (maxout), ``drop1``, ...

    Args:
        sizes: Values per example, units of each hidden layer, classes.
        pieces: Linear pieces of each unit.
        dropout: Shares of the inputs and of the hidden units that are dropped in training; None:
            without these modules.
        generator: Source of the first weights; None: a fresh one with seed 0.

    Returns:
        A network ``(N, ...) -> (N, classes)``; the default has 1,233,610 parameters.
    """
    pieces = check_at_least("pieces", pieces, 1, "pass pieces=5")
    return perceptron(sizes, partial(Maxout, pieces), dropout, generator, pieces)


ENTRY = Entry(
    make=make,
    input=(1, 28, 28),
    output=(10,),
    parameters=1_233_610,
    task="classification",
    origin="Goodfellow et al. 2013",
    preprocessing="unit",
    data="digits",
)
