"""A feed-forward network that goes on from a deep Boltzmann machine's mean field.

Origin: the discriminative fine-tuning of Salakhutdinov & Hinton, "Deep Boltzmann machines", AISTATS
2009. Deliberate difference: where there are three hidden layers or more, every one but the last is
given the mean field of the layer above it; the paper says so of two.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ._layers import layer

if TYPE_CHECKING:
    from .dbm import DBM


class MeanFieldNet(nn.Module):
    """``h_l = sigmoid(linear_l [h_(l-1), q(h_(l+1) | v)])``, then a linear output.

    The means ``q`` are those of the machine as it was, and stay so while the net is trained. So at
    the start each hidden layer makes one more sweep of the mean field, upwards.

    Takes ``(N, ...)`` with as many values per example as visible units; gives ``(N, classes)``.

    Args:
        machine: Copied.
        classes: Number of outputs.
        generator: Source of the output's weights, ``N(0, 0.01^2)``.

    Attributes:
        linear1, hidden1, ...: Layers and their sigmoids. output: The last layer. machine: Held: its
            parameters take no gradient.
    """

    def __init__(self, machine: DBM, classes: int, generator: torch.Generator):
        super().__init__()
        self.machine = copy.deepcopy(machine).requires_grad_(False)
        weights = [w.detach() for w in machine.weights]
        for i, bias in enumerate(list(machine.biases)[1:]):
            joined = torch.cat([weights[i], *(w.T for w in weights[i + 1 : i + 2])], 1)
            linear = nn.utils.skip_init(nn.Linear, *reversed(joined.shape)).to(joined)
            with torch.no_grad():
                linear.weight.copy_(joined)
                linear.bias.copy_(bias)
            self.add_module(f"linear{i + 1}", linear)
            self.add_module(f"hidden{i + 1}", nn.Sigmoid())
        width = machine.sizes[-1]
        self.output = layer(nn.Linear, width, classes, std=0.01, generator=generator)
        self.output.to(weights[0])

    def forward(self, x: Tensor) -> Tensor:
        """Logits, ``(N, ...) -> (N, classes)``."""
        h = x.flatten(1)
        above = [*self.machine.mean_field(h)[1:], h[:, :0]]
        for i, means in enumerate(above, 1):
            h = self.get_submodule(f"linear{i}")(torch.cat([h, means], 1))
            h = self.get_submodule(f"hidden{i}")(h)
        return self.output(h)
