"""Layers learned one on the other, and the classifier that starts from them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from ._layers import layer, seeded


class Learned(Protocol):
    """A layer with sigmoid units: ``zoo.rbm.RBM`` and ``zoo.autoencoder.Autoencoder`` are some.

    Attributes:
        weight: ``(hidden, visible)``. hidden_bias: ``(hidden,)``.
    """

    @property
    def weight(self) -> Tensor: ...
    @property
    def hidden_bias(self) -> Tensor: ...


def classifier_of(
    learned: Iterable[nn.Module], classes: int = 10, *, generator: torch.Generator | None = None
) -> nn.Sequential:
    """A feed-forward network that starts from learned layers; weights are copied.

    Modules ``flatten``, then ``linear1``, ``hidden1`` (sigmoid), ... and ``output`` (linear).
    Takes ``(N, ...)`` with as many values per example as visible units; gives ``(N, classes)``.

    Args:
        learned: From the bottom up, see ``Learned``.
        classes: Number of outputs.
        generator: Source of the output's weights, ``N(0, 0.01^2)``; None: a fresh one with seed 0.
    """
    parts: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    width = 0
    for i, each in enumerate(cast("Iterable[Learned]", learned), 1):
        width, below = each.weight.shape
        linear = nn.utils.skip_init(nn.Linear, below, width)
        with torch.no_grad():
            linear.weight.copy_(each.weight)
            linear.bias.copy_(each.hidden_bias)
        parts[f"linear{i}"], parts[f"hidden{i}"] = linear, nn.Sigmoid()
    parts["output"] = layer(nn.Linear, width, classes, std=0.01, generator=seeded(generator))
    return nn.Sequential(parts)
