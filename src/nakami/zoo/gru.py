"""Gated recurrent unit that reads a digit row by row, from the top: 28 steps of 28 pixels.

Origin: Cho, van Merriënboer, Gulcehre et al., "Learning phrase representations using RNN
encoder-decoder for statistical machine translation", EMNLP 2014; digits by rows are a usual small
task for recurrent nets.

Deliberate differences: torch's form of the unit (the reset gate acts behind the recurrent matrix),
32 units, the classes are read from the last state.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ._entry import Entry
from ._layers import layer, seeded

STATES, ROWS, CLASSES = 32, 28, 10


class Rows(nn.Module):
    """Modules ``rnn`` (a GRU) and ``output`` (linear, from the last state)."""

    def __init__(self, generator: torch.Generator):
        super().__init__()
        self.rnn = nn.GRU(ROWS, STATES, batch_first=True, device="meta").to_empty(device="cpu")
        self.output = layer(nn.Linear, STATES, CLASSES, std=STATES**-0.5, generator=generator)
        with torch.no_grad():
            for weight in self.rnn.parameters():  # as torch draws them
                weight.uniform_(-(STATES**-0.5), STATES**-0.5, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(N, 10)`` of pictures ``(N, 1, 28, 28)`` or ``(N, 784)``."""
        states, _ = self.rnn(x.reshape(-1, ROWS, ROWS))
        logits: Tensor = self.output(states[:, -1])
        return logits


def make(*, generator: torch.Generator | None = None) -> nn.Module:
    """The network, ``(N, 1, 28, 28) -> (N, 10)`` with 6,282 parameters.

    Args:
        generator: Source of the first weights; None: a fresh one with seed 0.
    """
    return Rows(seeded(generator))


ENTRY = Entry(
    make=make,
    input=(1, 28, 28),
    output=(10,),
    parameters=6_282,
    task="classification",
    origin="Cho et al. 2014, 32 units",
    preprocessing="unit",
    data="digits",
)
