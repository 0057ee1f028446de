"""How much a backward signal grows over some steps of the sequences that were trained on."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from ...operators import advance, bend_of, cell_weights, ends_of, kind_of
from ._witness import Seen


def backward_growth(module: nn.RNNBase, seen: Seen, length: int) -> dict[str, Tensor]:
    """Growth of a backward signal over windows of a sequence, in each layer and direction.

    A window of ``length`` steps from state h to h' has the Jacobian ``J = dh'/dh``, S by S along
    the real inputs (an LSTM's state is h and c). For a random unit vector v the growth is
    ``ln(sqrt(S) |J^T v|)``, whose square before the logarithm has the mean ``|J|_F^2``: 0 for a
    rotation in one dimension, ``ln sqrt(S)`` for one in S. Gradients that pass through the window
    are multiplied by as much, up to their direction.

    Args:
        module: ``nn.RNN``, ``nn.GRU`` or ``nn.LSTM``. Dropout between layers is left out.
        seen: What it saw, T steps of n examples.
        length: Steps of a window; at most T.

    Returns:
        Nats by the end of the parameters' names (``l0``, ``l0_reverse``): shape (windows, n), in
        the order in which the layer runs. ``-inf`` where nothing comes back. Each layer by itself:
        the way through the layers above is not in it.

    Cost: the states anew, without a graph, and one forward and backward over ``length`` steps of
    all windows at once.
    """
    with torch.autocast(seen.inputs.device.type, enabled=False):
        return dict(_layers(module, seen, length))


def _layers(module: nn.RNNBase, seen: Seen, length: int) -> Iterator[tuple[str, Tensor]]:
    ends = ends_of(module)
    directions = 2 if module.bidirectional else 1
    x = seen.inputs
    for layer in range(module.num_layers):
        outputs = []
        for direction in range(directions):
            index = layer * directions + direction
            own = x.flip(0) if direction else x
            starts = None if seen.starts is None else tuple(s[index] for s in seen.starts)
            states, growth = _layer(module, ends[index], own, starts, length)
            outputs.append(states.flip(0) if direction else states)
            yield ends[index].removeprefix("_"), growth
        x = torch.cat(outputs, dim=2)


def _layer(
    module: nn.RNNBase, end: str, x: Tensor, starts: tuple[Tensor, ...] | None, length: int
) -> tuple[Tensor, Tensor]:
    """States after each step, shape (T, n, H), and the growth over the windows."""
    kind, bend = kind_of(module), bend_of(module)
    weights = cell_weights(module, end)
    weights = type(weights)(*(None if w is None else w.detach() for w in weights))  # type: ignore[arg-type]
    x = x.to(weights.ih.dtype)
    length = min(length, len(x))
    windows, n = len(x) // length, x.shape[1]
    hidden, cell = weights.hh.shape[1], module.hidden_size
    with torch.no_grad():
        of_x = linear(x, weights.ih, weights.bias_ih)
        if starts is None:
            h, c = x.new_zeros(n, hidden), x.new_zeros(n, cell)
        else:
            h, c = starts[0].to(x), starts[-1].to(x)
        states, begun = list[Tensor](), list[tuple[Tensor, Tensor]]()
        for t, sums in enumerate(of_x):
            if t % length == 0 and len(begun) < windows:
                begun.append((h, c))
            of_h = linear(h, weights.hh, weights.bias_hh)
            h, c = advance(kind, weights, (sums, of_h), h, c, bend)
            states.append(h)
    h = torch.cat([h for h, _ in begun]).requires_grad_()
    c = torch.cat([c for _, c in begun]).requires_grad_()
    parts = of_x[: windows * length].unflatten(0, (windows, length)).transpose(0, 1).flatten(1, 2)
    with torch.enable_grad():
        after = h, c
        for sums in parts:
            of_h = linear(after[0], weights.hh, weights.bias_hh)
            after = advance(kind, weights, (sums, of_h), *after, bend)
    own = 2 if kind == "LSTM" else 1
    v = _directions(sum(part.shape[1] for part in after[:own]), windows * n).to(x)
    cotangents = v.split([part.shape[1] for part in after[:own]], dim=1)
    back = torch.autograd.grad(after[:own], (h, c)[:own], cotangents)
    growth = torch.cat(back, dim=1).norm(dim=1).double().mul(math.sqrt(v.shape[1])).log()
    return torch.stack(states), growth.view(windows, n)


def _directions(size: int, count: int) -> Tensor:
    """Random unit vectors, the same ones each time; torch's own random numbers stay."""
    generator = torch.Generator().manual_seed(0)
    v = torch.randn(count, size, generator=generator, dtype=torch.float64)
    return v / v.norm(dim=1, keepdim=True)
