"""torch's recurrent layers written as one step on flat states, in arithmetic of one's choice."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from ..operators import (
    CellWeights,
    advance,
    bend_of,
    cell_weights,
    ends_of,
    is_recurrent,
    kind_of,
    settle,
)
from ..results import wrong


@dataclass(frozen=True)
class Layers:
    """A stack of recurrent layers.

    Attributes:
        module: Whose formulas these are. layers: their weights, first to last, copied.
        hidden: H of each layer's h. cells: of each layer's c, an LSTM's only, else 0.
    """

    module: nn.Module
    layers: tuple[CellWeights, ...]
    hidden: int
    cells: int

    @property
    def state_size(self) -> int:
        return len(self.layers) * (self.hidden + self.cells)

    @property
    def input_size(self) -> int:
        return self.layers[0].ih.shape[1]

    @property
    def device(self) -> torch.device:
        return self.layers[0].ih.device

    @property
    def bounds(self) -> Tensor:
        """Size that no entry of a state at rest exceeds, (S,); inf where there is no bound.

        A tanh unit gives values within 1, and a GRU at rest is its candidate, for its update gate
        is never quite 1. So is an LSTM's h, where nothing projects it; its cells have no bound.
        """
        kind, first = kind_of(self.module), self.layers[0]
        bent = kind == "RNN" and bend_of(self.module) is not torch.tanh
        most = float("inf") if bent or first.hr is not None else 1.0
        bounds = first.hh.new_full((self.state_size,), most)
        bounds[len(self.layers) * self.hidden :] = float("inf")
        return bounds

    def step(self, x: Tensor, h: Tensor) -> Tensor:
        """States (B, S) after inputs (B, I)."""
        n, kind, bend = len(self.layers), kind_of(self.module), bend_of(self.module)
        cut = n * self.hidden
        states = h[..., :cut].chunk(n, dim=-1)
        cells = h[..., cut:].chunk(n, dim=-1) if self.cells else states
        new, new_cells = list[Tensor](), list[Tensor]()
        for weights, state, cell in zip(self.layers, states, cells, strict=True):
            sums = (
                linear(x, weights.ih, weights.bias_ih),
                linear(state, weights.hh, weights.bias_hh),
            )
            x, after = advance(kind, weights, sums, state, cell, bend)
            new.append(x)
            new_cells.append(after)
        return torch.cat([*new, *(new_cells if self.cells else ())], dim=-1)

    def settled(self, x: Tensor, h: Tensor) -> Tensor:
        """Whole states (B, S) that gates and candidates at ``h``, (B, layers H), would settle to.

        States at rest are those whose h settles to itself.
        """
        kind, bend = kind_of(self.module), bend_of(self.module)
        new, cells = list[Tensor](), list[Tensor]()
        for weights, state in zip(self.layers, h.chunk(len(self.layers), dim=-1), strict=True):
            sums = (
                linear(x, weights.ih, weights.bias_ih),
                linear(state, weights.hh, weights.bias_hh),
            )
            x, cell = settle(kind, weights, sums, bend)
            new.append(x)
            cells.append(cell)
        return torch.cat([*new, *(cells if self.cells else ())], dim=-1)


def layers_of(module: nn.Module, dtype: torch.dtype) -> Layers:
    """The layers of a recurrent module, weights copied to a type.

    Raises:
        UsageError: Another module, or two directions.
    """
    if not is_recurrent(module):
        inside = [name for name, m in module.named_modules() if is_recurrent(m)]
        way_out = f"pass model.{inside[0]}" if inside else "pass a function step(x, h) of your own"
        rule = "be nn.RNN, nn.GRU, nn.LSTM, a cell of these, or a function"
        raise wrong("net", rule, type(module).__name__, way_out)
    if getattr(module, "bidirectional", False):
        way_out = "copy the weights of one direction to a layer of its own"
        raise wrong("net", "have one direction", "bidirectional=True", way_out)
    own = [cell_weights(module, end) for end in ends_of(module)]
    layers = tuple(
        CellWeights(*(None if t is None else t.detach().to(dtype, copy=True) for t in weights))  # type: ignore[arg-type]
        for weights in own
    )
    cells = layers[0].hh.shape[0] // 4 if kind_of(module) == "LSTM" else 0
    return Layers(module, layers, layers[0].hh.shape[1], cells)
