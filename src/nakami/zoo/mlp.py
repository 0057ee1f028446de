"""Multilayer perceptron with rectified linear units, 784-300-100-10.

Origin: the sizes of the three-layer network "300-100" in LeCun, Bottou, Bengio, Haffner,
"Gradient-based learning applied to document recognition", Proc. IEEE 86 (1998).

Deliberate differences: ReLU in place of scaled tanh, first weights ``N(0, 2 / inputs)`` (He et al.
2015), logits for a softmax in place of squared error.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from nakami.results import wrong

from ._entry import Entry
from ._layers import layer, seeded


def make(
    sizes: Sequence[int] = (784, 300, 100, 10), *, generator: torch.Generator | None = None
) -> nn.Sequential:
    """Modules ``flatten``, ``linear1``, ``hidden1`` (ReLU), ..., ``output`` (linear).

    Args:
        sizes: Values per example, units of each hidden layer, classes.
        generator: Source of the first weights; None: a fresh one with seed 0.

    Returns:
        A network ``(N, ...) -> (N, classes)``; the default has 266,610 parameters.
    """
    if len(sizes) < 2:
        raise wrong("sizes", "name input and output", tuple(sizes), "for example (784, 300, 10)")
    generator = seeded(generator)
    parts: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    for i, (n, m) in enumerate(pairwise(sizes[:-1]), 1):
        parts[f"linear{i}"] = layer(nn.Linear, n, m, std=(2 / n) ** 0.5, generator=generator)
        parts[f"hidden{i}"] = nn.ReLU()
    n, m = sizes[-2:]
    parts["output"] = layer(nn.Linear, n, m, std=(1 / n) ** 0.5, generator=generator)
    return nn.Sequential(parts)


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
