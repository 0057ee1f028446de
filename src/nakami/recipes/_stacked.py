"""Layers trained one on the other, then all by back-propagation."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from nakami.data import Examples
from nakami.training import Method, Supervised, Training

PART = 5000  # examples that go through the layers at once


def stacked(
    training: Training,
    pixels: Tensor,
    layers: Sequence[nn.Module],
    method: Callable[[nn.Module], Method],
    batch: int,
) -> None:
    """Train each layer on what those below it give: phases ``layer1``, ``layer2``, ..."""
    for i, layer in enumerate(layers):

        @torch.no_grad()
        def below(depth: int = i) -> tuple[Tensor]:
            parts = pixels.split(PART)
            for lower in layers[:depth]:
                parts = tuple(lower(part) for part in parts)
            return (torch.cat(parts),)

        training.run(f"layer{i + 1}", method(layer), below, batch=batch)


def finetuned(
    training: Training,
    start: nn.Sequential,
    train: Examples,
    optimizer: Callable[[nn.Module], torch.optim.Optimizer],
    batch: int,
) -> nn.Sequential:
    """A copy of the network, trained on labels: the phase ``finetuned``."""
    tuned = copy.deepcopy(start)
    assert train.labels is not None  # both readers of digits give labels
    examples = (train.inputs, train.labels)
    training.run("finetuned", Supervised(tuned, optimizer(tuned)), lambda: examples, batch=batch)
    return tuned
