"""Inputs and slopes of a recurrent layer's matrices, which torch's fused layers do not show."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from ..operators import advance, bend_of, cell_weights, ends_of, kind_of

Pair = tuple[Tensor, Tensor]  # (rows, positions, numbers) each


def pairs_of(
    module: nn.Module, x: Tensor, start: Any, slopes: list[Tensor | None]
) -> dict[str, Pair]:
    """What the matrices of a recurrent module were multiplied by, and the slopes of their sums.

    The module is run again, step by step, and differentiated back through time: exact for any
    number of layers and both directions.

    Args:
        module: ``nn.RNN``, ``nn.GRU``, ``nn.LSTM`` or a cell of these.
        x: Its input, as it was called.
        start: Its first state, or None.
        slopes: Gradients by its outputs in order (sequence, h, c; of a cell h, c); None for 0.

    Returns:
        By name of the weight in the module; positions are steps.
    """
    cell = isinstance(module, nn.RNNCellBase)
    batched = x.ndim == (2 if cell else 3)
    first = cell or not batched or not getattr(module, "batch_first", False)
    x = x if batched else x.unsqueeze(0 if cell else 1)
    x = x[None] if cell else x if first else x.transpose(0, 1)
    with torch.enable_grad():
        run = _Run(module, x.detach(), start)
        outputs = (
            [run.h[0], run.c[0]] if cell else [run.sequence, torch.stack(run.h), torch.stack(run.c)]
        )
    given = []
    for place, (out, slope) in enumerate(zip(outputs, slopes, strict=False)):
        if slope is not None and out.requires_grad:
            slope = slope if batched else slope.unsqueeze(0 if cell else 1)
            turned = slope if first or place else slope.transpose(0, 1)
            given.append((out, turned.to(out.dtype)))
    if not given:
        return {}
    sums = [s for _, parts in run.sums.values() for s in parts]
    found = iter(
        torch.autograd.grad(
            [out for out, _ in given], sums, [slope for _, slope in given], allow_unused=True
        )
    )
    made = {}
    for name, (inputs, parts) in run.sums.items():
        each = [next(found) for _ in parts]
        if all(slope is None for slope in each):
            continue
        filled = [torch.zeros_like(s) if g is None else g for s, g in zip(parts, each, strict=True)]
        whole = filled[0] if len(filled) == 1 and filled[0].ndim == 3 else torch.stack(filled)
        made[name] = (inputs.detach().transpose(0, 1), whole.transpose(0, 1))
    return made


class _Run:
    """A module run step by step.

    Attributes:
        sequence: Outputs of the last layer, (T, B, D H). h, c: last states, layer by layer.
        sums: By name of a weight: its inputs (T, B, n), and what it made, whole or a step each.
    """

    def __init__(self, module: nn.Module, x: Tensor, start: Any):
        kind, bend = kind_of(module), bend_of(module)
        ends = ends_of(module)
        directions = 2 if getattr(module, "bidirectional", False) else 1
        starts = start if isinstance(start, tuple) else (start, start)
        self.h, self.c = list[Tensor](), list[Tensor]()
        self.sums: dict[str, tuple[Tensor, list[Tensor]]] = {}
        out = list[Tensor]()
        for place, end in enumerate(ends):
            weights = cell_weights(module, end)
            x = x.to(weights.ih.dtype)
            steps = x.flip(0) if end.endswith("_reverse") else x
            size = weights.hh.shape[1], weights.hh.shape[0] // 4
            h, c = (_start(s, place, len(ends), x, n) for s, n in zip(starts, size, strict=True))
            of_x = linear(steps, weights.ih, weights.bias_ih)
            before, of_h, states = list[Tensor](), list[Tensor](), list[Tensor]()
            for t in range(len(steps)):
                before.append(h)
                of_h.append(linear(h, weights.hh, weights.bias_hh))
                h, c = advance(kind, weights, (of_x[t], of_h[-1]), h, c, bend)
                states.append(h)
            self.sums[f"weight_ih{end}"] = (steps, [of_x])
            self.sums[f"weight_hh{end}"] = (torch.stack(before), of_h)
            self.h.append(h)
            self.c.append(c)
            made = torch.stack(states)
            out.append(made.flip(0) if end.endswith("_reverse") else made)
            if len(out) == directions:
                x, out = torch.cat(out, dim=-1), []
        self.sequence = x


def _start(given: Any, place: int, count: int, x: Tensor, size: int) -> Tensor:
    """The first state of a layer, (B, size)."""
    if given is None:
        return x.new_zeros(x.shape[1], size)
    one = given.detach().to(x.dtype).reshape(count, -1, given.shape[-1])[place]
    return one.expand(x.shape[1], -1)
