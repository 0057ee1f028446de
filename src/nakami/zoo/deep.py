"""Plain deep fully connected network, 784-128-...-128-10, 50 layers of tanh.

Origin: the networks that the theory of deep signal propagation is tried on (Schoenholz et al. 2017,
arXiv 1611.01232: no residual sums, no normalisation).

Weights and biases are drawn as torch draws them, uniform in ``+-1 / sqrt(inputs)``: at this depth
nothing passes, which is what the model is for.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from nakami.results import wrong

from ._entry import Entry
from ._layers import seeded

ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU}


def make(
    depth: int = 50,
    width: int = 128,
    activation: str = "tanh",
    *,
    generator: torch.Generator | None = None,
) -> nn.Sequential:
    """Modules ``flatten``, ``linear1``, ``hidden1``, ..., ``output`` (linear).

    Args:
        depth: Linear layers, 2 or more.
        width: Units of each hidden layer.
        activation: ``"tanh"`` or ``"relu"``.
        generator: Source of the first weights; None: a fresh one with seed 0.

    Returns:
        A network ``(N, ...) -> (N, 10)`` of 784 values per example.
    """
    if depth < 2:
        raise wrong("depth", "be 2 or more", depth, "pass depth=50")
    if activation not in ACTIVATIONS:
        raise wrong("activation", "be 'tanh' or 'relu'", repr(activation), "pass activation='tanh'")
    generator = seeded(generator)
    parts: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    sizes = (784, *[width] * (depth - 1), 10)
    for i in range(depth):
        linear = nn.utils.skip_init(nn.Linear, sizes[i], sizes[i + 1])
        with torch.no_grad():
            for parameter in linear.parameters():
                bound = sizes[i] ** -0.5
                parameter.uniform_(-bound, bound, generator=generator)
        if i < depth - 1:
            parts[f"linear{i + 1}"] = linear
            parts[f"hidden{i + 1}"] = ACTIVATIONS[activation]()
        else:
            parts["output"] = linear
    return nn.Sequential(parts)


ENTRY = Entry(
    make=make,
    input=(1, 28, 28),
    output=(10,),
    parameters=894_346,
    task="classification",
    origin="Schoenholz et al. 2017",
    preprocessing="unit",
    data="digits",
)
