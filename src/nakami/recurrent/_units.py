"""torch's recurrent layers written as one step on flat states, in arithmetic of one's choice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from ..results import wrong

RECURRENT = (nn.RNNBase, nn.RNNCellBase)


class Weights(NamedTuple):
    """Of one layer: input and recurrent matrices, their biases, an LSTM's projection."""

    ih: Tensor
    hh: Tensor
    bias_ih: Tensor | None
    bias_hh: Tensor | None
    hr: Tensor | None


def _rnn(weights: Weights, x: Tensor, h: Tensor, bend: Callable[[Tensor], Tensor]) -> Tensor:
    return bend(linear(x, weights.ih, weights.bias_ih) + linear(h, weights.hh, weights.bias_hh))


def _gru(weights: Weights, x: Tensor, h: Tensor) -> Tensor:
    ir, iz, i_n = linear(x, weights.ih, weights.bias_ih).chunk(3, dim=-1)
    hr, hz, hn = linear(h, weights.hh, weights.bias_hh).chunk(3, dim=-1)
    z = torch.sigmoid(iz + hz)
    n = torch.tanh(i_n + torch.sigmoid(ir + hr) * hn)
    return (1 - z) * n + z * h


def _lstm(weights: Weights, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    gates = linear(x, weights.ih, weights.bias_ih) + linear(h, weights.hh, weights.bias_hh)
    i, f, g, o = gates.chunk(4, dim=-1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    h = torch.sigmoid(o) * torch.tanh(c)
    return (h if weights.hr is None else linear(h, weights.hr)), c


@dataclass(frozen=True)
class Layers:
    """A stack of recurrent layers.

    Attributes:
        kind: ``RNN``, ``GRU`` or ``LSTM``. layers: their weights, first to last.
        hidden: H of each layer's h. cells: of each layer's c, an LSTM's only, else 0.
        bend: The nonlinearity of an ``RNN``.
    """

    kind: str
    layers: tuple[Weights, ...]
    hidden: int
    cells: int
    bend: Callable[[Tensor], Tensor]

    @property
    def state_size(self) -> int:
        return len(self.layers) * (self.hidden + self.cells)

    @property
    def input_size(self) -> int:
        return self.layers[0].ih.shape[1]

    @property
    def device(self) -> torch.device:
        return self.layers[0].ih.device

    def step(self, x: Tensor, h: Tensor) -> Tensor:
        """States (B, S) after inputs (B, I)."""
        n = len(self.layers)
        cut = n * self.hidden
        states = h[..., :cut].chunk(n, dim=-1)
        cells = h[..., cut:].chunk(n, dim=-1) if self.cells else ()
        one = partial(_rnn, bend=self.bend) if self.kind == "RNN" else _gru
        new, new_cells = list[Tensor](), list[Tensor]()
        for layer, weights in enumerate(self.layers):
            if self.kind == "LSTM":
                x, cell = _lstm(weights, x, states[layer], cells[layer])
                new_cells.append(cell)
            else:
                x = one(weights, x, states[layer])
            new.append(x)
        return torch.cat([*new, *new_cells], dim=-1)


def layers_of(module: nn.Module, dtype: torch.dtype) -> Layers:
    """The layers of a recurrent module, weights copied to a type.

    Raises:
        UsageError: Another module, or two directions.
    """
    if not isinstance(module, RECURRENT):
        inside = [name for name, m in module.named_modules() if isinstance(m, RECURRENT)]
        way_out = f"pass model.{inside[0]}" if inside else "pass a function step(x, h) of your own"
        rule = "be nn.RNN, nn.GRU, nn.LSTM, a cell of these, or a function"
        raise wrong("net", rule, type(module).__name__, way_out)
    if getattr(module, "bidirectional", False):
        way_out = "copy the weights of one direction to a layer of its own"
        raise wrong("net", "have one direction", "bidirectional=True", way_out)
    kind = next(kind for kind in ("LSTM", "GRU", "RNN") if _is(module, kind))
    ends = [""] if isinstance(module, nn.RNNCellBase) else _ends(module)
    layers = tuple(_weights(module, end, dtype) for end in ends)
    cells = layers[0].hh.shape[0] // 4 if kind == "LSTM" else 0
    name = str(getattr(module, "nonlinearity", "tanh"))
    return Layers(kind, layers, layers[0].hh.shape[1], cells, getattr(torch, name))


def _is(module: nn.Module, kind: str) -> bool:
    return isinstance(module, getattr(nn, kind) | getattr(nn, f"{kind}Cell"))


def _ends(module: nn.RNNBase) -> list[str]:
    return [f"_l{layer}" for layer in range(module.num_layers)]


def _weights(module: nn.Module, end: str, dtype: torch.dtype) -> Weights:
    def copied(name: str) -> Tensor | None:
        found = getattr(module, name + end, None)
        return None if found is None else found.detach().to(dtype, copy=True)

    ih, hh = copied("weight_ih"), copied("weight_hh")
    assert ih is not None
    assert hh is not None
    return Weights(ih, hh, copied("bias_ih"), copied("bias_hh"), copied("weight_hr"))
