"""Operators that only cards have: fused steps of recurrent layers, and convolutions.

Formulas are those of ``torch.nn.GRUCell`` and ``LSTMCell``. As on a card, the fused steps have no
rule for forward mode.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

ATEN = torch.ops.aten
Maybe = Tensor | None


def gru(i: Tensor, h: Tensor, state: Tensor, bias_i: Maybe = None, bias_h: Maybe = None) -> Any:
    """The next state, and what the backward pass needs."""
    if bias_i is not None and bias_h is not None:
        i, h = i + bias_i, h + bias_h
    (ir, iz, inew), (hr, hz, hnew) = i.chunk(3, -1), h.chunk(3, -1)
    r, z = (ir + hr).sigmoid(), (iz + hz).sigmoid()
    n = (inew + r * hnew).tanh()
    return n + z * (state - n), torch.cat([r, z, n, state, hnew], -1)


def gru_backward(slope: Tensor, kept: Tensor, has_bias: bool) -> Any:
    """Slopes of both sums, of the state and of both biases."""
    r, z, n, state, hnew = kept.chunk(5, -1)
    new = slope * (1 - z) * (1 - n * n)
    reset, update = new * hnew * r * (1 - r), slope * (state - n) * z * (1 - z)
    i, h = torch.cat([reset, update, new], -1), torch.cat([reset, update, new * r], -1)
    biases = (i.sum(0), h.sum(0)) if has_bias else (None, None)
    return i, h, slope * z, *biases


def lstm(i: Tensor, h: Tensor, cell: Tensor, bias_i: Maybe = None, bias_h: Maybe = None) -> Any:
    """The next state and cell, and what the backward pass needs."""
    sums = i + h
    if bias_i is not None and bias_h is not None:
        sums = sums + bias_i + bias_h
    enter, forget, new, out = sums.chunk(4, -1)
    enter, forget, new, out = enter.sigmoid(), forget.sigmoid(), new.tanh(), out.sigmoid()
    after = forget * cell + enter * new
    return out * after.tanh(), after, torch.cat([enter, forget, new, out], -1)


def lstm_backward(
    state: Maybe, cell: Maybe, before: Tensor, after: Tensor, kept: Tensor, has_bias: bool
) -> Any:
    """Slopes of the sums, of the cell and of the bias."""
    enter, forget, new, out = kept.chunk(4, -1)
    bent = after.tanh()
    state = torch.zeros_like(after) if state is None else state
    inner = state * out * (1 - bent * bent) + (0 if cell is None else cell)
    parts = [
        inner * new * enter * (1 - enter),
        inner * before * forget * (1 - forget),
        inner * enter * (1 - new * new),
        state * bent * out * (1 - out),
    ]
    sums = torch.cat(parts, -1)
    return sums, inner * forget, sums.sum(0) if has_bias else after.new_empty(0)


def convolution(x: Tensor, weight: Tensor, bias: Maybe, *how: Any) -> Tensor:
    """On the CPU and back."""
    there = None if bias is None else bias.cpu()
    out: Tensor = ATEN.convolution(x.cpu(), weight.cpu(), there, *how).to(x.device)
    return out


def convolution_backward(slope: Tensor, x: Tensor, weight: Tensor, *how: Any) -> Any:
    """On the CPU and back."""
    *how, mask = how
    transposed, groups = how[3], how[5]
    bias = [weight.shape[1] * groups if transposed else weight.shape[0]]
    found = ATEN.convolution_backward(slope.cpu(), x.cpu(), weight.cpu(), bias, *how, mask)
    return tuple(None if one is None else one.to(x.device) for one in found)


KERNELS = {
    "_thnn_fused_gru_cell": gru,
    "_thnn_fused_gru_cell_backward": gru_backward,
    "_thnn_fused_lstm_cell": lstm,
    "_thnn_fused_lstm_cell_backward_impl": lstm_backward,
    "convolution_overrideable": convolution,
    "convolution_backward_overrideable": convolution_backward,
}


def register() -> torch.library.Library:
    """Make them known; they are as long as what is returned lives."""
    library = torch.library.Library("aten", "IMPL")
    for name, kernel in KERNELS.items():
        library.impl(name, kernel, "PrivateUse1")
    return library
