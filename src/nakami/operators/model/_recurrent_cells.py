"""torch's recurrent cells as formulas of their two sums, each to be differentiated by."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

Bend = Callable[[Tensor], Tensor]


class CellWeights(NamedTuple):
    """Of one layer and direction: input and recurrent matrices, biases, an LSTM's projection."""

    ih: Tensor
    hh: Tensor
    bias_ih: Tensor | None
    bias_hh: Tensor | None
    hr: Tensor | None


def kind_of(module: nn.Module) -> str:
    """``LSTM``, ``GRU`` or ``RNN``."""
    kinds = {"LSTM": (nn.LSTM, nn.LSTMCell), "GRU": (nn.GRU, nn.GRUCell)}
    return next((kind for kind, types in kinds.items() if isinstance(module, types)), "RNN")


def bend_of(module: nn.Module) -> Bend:
    """The nonlinearity of an ``RNN``; tanh elsewhere."""
    bend: Bend = getattr(torch, str(getattr(module, "nonlinearity", "tanh")))
    return bend


def ends_of(module: nn.Module) -> list[str]:
    """What the names of a layer's weights end with, layers in order, directions within."""
    if isinstance(module, nn.RNNCellBase):
        return [""]
    assert isinstance(module, nn.RNNBase)
    directions = ("", "_reverse") if module.bidirectional else ("",)
    return [f"_l{layer}{d}" for layer in range(module.num_layers) for d in directions]


def cell_weights(module: nn.Module, end: str) -> CellWeights:
    """The weights of one layer and direction as they are."""
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr")
    found = (getattr(module, name + end, None) for name in names)
    return CellWeights(*found)  # type: ignore[arg-type]


def advance(
    kind: str, weights: CellWeights, sums: tuple[Tensor, Tensor], h: Tensor, c: Tensor, bend: Bend
) -> tuple[Tensor, Tensor]:
    """States after one step.

    Args:
        kind: As ``kind_of`` says it.
        weights: Only an LSTM's projection is used here.
        sums: ``W_ih x + b_ih`` and ``W_hh h + b_hh``, shape (..., gates H) each.
        h: State, shape (..., H).
        c: Cell of an LSTM; given back as it is elsewhere.
        bend: Nonlinearity of an ``RNN``.

    Source: the formulas in torch's documentation.
    """
    of_x, of_h = sums
    if kind == "RNN":
        return bend(of_x + of_h), c
    if kind == "GRU":
        (ir, iz, i_n), (hr, hz, hn) = of_x.chunk(3, dim=-1), of_h.chunk(3, dim=-1)
        z = torch.sigmoid(iz + hz)
        n = torch.tanh(i_n + torch.sigmoid(ir + hr) * hn)
        return (1 - z) * n + z * h, c
    i, f, g, o = (of_x + of_h).chunk(4, dim=-1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    h = torch.sigmoid(o) * torch.tanh(c)
    return (h if weights.hr is None else linear(h, weights.hr)), c


def settle(
    kind: str, weights: CellWeights, sums: tuple[Tensor, Tensor], bend: Bend
) -> tuple[Tensor, Tensor]:
    """The states that these gates and candidates would settle to, held as they are.

    A state at rest is one that settles to itself: a GRU's is its candidate, for its update gate is
    below 1; an LSTM's cell is ``i g / (1 - f)``, for its forget gate is.

    Args:
        kind: As ``kind_of`` says it.
        weights: Only an LSTM's projection is used here.
        sums: As for ``advance``.
        bend: Nonlinearity of an ``RNN``.

    Returns:
        State, and cell of an LSTM, elsewhere the state again.
    """
    of_x, of_h = sums
    if kind == "RNN":
        h = bend(of_x + of_h)
        return h, h
    if kind == "GRU":
        (ir, _, i_n), (hr, _, hn) = of_x.chunk(3, dim=-1), of_h.chunk(3, dim=-1)
        h = torch.tanh(i_n + torch.sigmoid(ir + hr) * hn)
        return h, h
    i, f, g, o = (of_x + of_h).chunk(4, dim=-1)
    c = torch.sigmoid(i) * torch.tanh(g) * (1 + torch.exp(f))  # 1 / (1 - sigmoid(f)) = 1 + e^f
    h = torch.sigmoid(o) * torch.tanh(c)
    return (h if weights.hr is None else linear(h, weights.hr)), c
