"""Multilayer perceptron with rectified linear units, 784-300-100-10.

Origin: the sizes of the three-layer network "300-100" in LeCun, Bottou, Bengio, Haffner,
"Gradient-based learning applied to document recognition", Proc. IEEE 86 (1998).

Deliberate differences: ReLU in place of scaled tanh, first weights ``N(0, 2 / inputs)`` (He et al.
2015), logits for a softmax in place of squared error.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from ._entry import Entry
from ._perceptron import perceptron


def make(
    sizes: Sequence[int] = (784, 300, 100, 10),
    *,
    dropout: tuple[float, float] | None = None,
    generator: torch.Generator | None = None,
) -> nn.Sequential:
    """Modules ``flatten``, ``linear1``, ``hidden1`` (ReLU), ..., ``output`` (linear).

    Args:
        sizes: Values per example, units of each hidden layer, classes.
        dropout: Shares of the inputs and of the hidden units that are dropped in training, as
            modules ``drop0``, ``drop1``, ...; None: without.
        generator: Source of the first weights; None: a fresh one with seed 0.

    Returns:
        A network ``(N, ...) -> (N, classes)``; the default has 266,610 parameters.
    """
    return perceptron(sizes, nn.ReLU, dropout, generator)


ENTRY = Entry(
    make=make,
    input=(1, 28, 28),
    output=(10,),
    parameters=266_610,
    task="classification",
    origin="LeCun et al. 1998, 300-100",
    preprocessing="unit",
    data="digits",
)
