"""torch's recurrent layers with a derivative of few operations for each step.

What a step does to its sums is elementwise, so with all states known the slopes of all steps are
made at once, and products run through these: from step to step goes a state, by one product with
the recurrent matrix. torch's own way records some 35 operations a step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import linear
from torch.overrides import TorchFunctionMode

from ..model._recurrent_cells import CellWeights
from ..model._tracer import transforms
from ._known import Steps

aten = torch.ops.aten
_GRU, _LSTM = 3, 4  # gates


class Recurrences(TorchFunctionMode):
    """Within it recurrent layers of torch have the derivative of this file.

    Values come from the same operations as torch's own. Packed sequences, projections, and layers
    within transforms of the network's own stay torch's.

    Args:
        depth: Transforms that are entered within it before the network runs.
        steps: What watches the function, if anything does.
    """

    def __init__(self, depth: int, steps: Steps | None = None):
        super().__init__()
        self.steps, self.level = steps, transforms() + depth

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _STEPS and not kwargs and transforms() == self.level and _plain(args):
            with self.steps.trusted() if self.steps else nullcontext():
                return self.layers(func, *args)
        return func(*args, **(kwargs or {}))

    def layers(self, func: Any, x: Tensor, start: Any, flat: Any, *options: Any) -> Any:
        """All layers and directions, as torch's function returns them."""
        biased, count, _, _, both, batch_first = options
        h, c = start if func is torch.lstm else (start, None)
        weights = _by_layer(flat, biased)
        x = x.transpose(0, 1).contiguous() if batch_first else x
        ends: list[tuple[Tensor, Tensor]] = []
        for _ in range(count):
            made = []
            for back in range(1 + both):
                place = len(ends)
                first = h[place], None if c is None else c[place]
                steps = x.flip(0) if back else x
                states, cell = self.one(func, place, steps, next(weights), *first)
                ends.append((states[-1], cell))
                made.append(states.flip(0) if back else states)
            x = torch.cat(made, -1) if both else made[0]
        x = x.transpose(0, 1) if batch_first else x
        finals = [torch.stack(each) for each in zip(*ends, strict=True)]
        return (x, *finals) if func is torch.lstm else (x, finals[0])

    def one(
        self, func: Any, place: int, x: Tensor, weights: CellWeights, h: Tensor, c: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """A layer in a direction, the ``place``-th: states of all steps, and the last cell."""
        states, cell, *_ = Recurrence.apply(func, x, *weights[:4], h, c, None, None)
        return states, cell


def _plain(args: Any) -> bool:
    """Whether these are sequences of one length, without dropout or projection."""
    if len(args) != 9 or not isinstance(args[2], (list, tuple)) or args[0].ndim != 3:
        return False
    _, _, flat, biased, count, dropout, train, both, _ = args
    return len(flat) == count * (1 + both) * (4 if biased else 2) and not (dropout and train)


def _by_layer(flat: Any, biased: bool) -> Iterator[CellWeights]:
    width = 4 if biased else 2
    for at in range(0, len(flat), width):
        yield CellWeights(*flat[at : at + width], *[None] * (5 - width))


class Slopes(NamedTuple):
    """Elementwise slopes of all T steps of n sequences.

    Attributes:
        gates: Of the state by the sums ``W_hh h + b_hh``; of an LSTM the first three are those of
            the cell. ``(T, n, gates, H)``.
        keep: Of the state (of an LSTM the cell) by the one before, ``(T, n, H)``; empty for RNN.
        other: Of a GRU's state by the input's sum of its last gate, the only one with another
            slope; of an LSTM's state by its cell; empty for RNN.
    """

    gates: Tensor
    keep: Tensor
    other: Tensor


class Known(NamedTuple):
    """What a derivative of a layer is made of; time comes first."""

    x: Tensor
    ih: Tensor
    hh: Tensor
    h: Tensor
    states: Tensor
    slopes: Slopes

    def before(self, t: int) -> Tensor:
        """The state that step t begins with."""
        return self.states[t - 1] if t else self.h


class Recurrence(torch.autograd.Function):
    """``(x, weights, h, c) -> (states, last cell, *Slopes)``, one layer in one direction.

    The last two arguments have no part in the values; their gradients are those by the sums ``W_ih
    x + b_ih`` and ``W_hh h + b_hh``, ``(T, n, gates H)``.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(func: Any, *given: Any) -> tuple[Tensor, ...]:
        x, ih, hh, bias_ih, bias_hh, h, c, _, _ = given
        return _run(func, x, CellWeights(ih, hh, bias_ih, bias_hh, None), h, c)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        func, *given = inputs
        states, _, *slopes = output
        ctx.func = func
        ctx.mark_non_differentiable(*slopes)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*given[:7], states, *slopes)
        ctx.save_for_forward(*given[:7], states, *slopes)

    @staticmethod
    def backward(ctx: Any, of_states: Any, of_cell: Any, *_: Any) -> tuple[Tensor | None, ...]:
        _, of_x, *of_weights, of_h, of_c, by_x, by_h = ctx.needs_input_grad
        known = _known(ctx)
        found = _back(known, of_states, of_cell, of_weights, of_x or by_x or by_h)
        return (
            None,
            found.of_x @ known.ih if of_x else None,
            *found.weights,
            found.h if of_h else None,
            found.c if of_c else None,
            found.of_x if by_x else None,
            found.of_h if by_h else None,
        )

    @staticmethod
    def jvp(ctx: Any, *moves: Tensor | None) -> tuple[Tensor | None, ...]:
        return *_forth(_known(ctx), *moves[1:8]), None, None, None


def _known(ctx: Any) -> Known:
    x, ih, hh, bias_ih, bias_hh, h, c, states, *slopes = ctx.saved_tensors
    if torch.is_grad_enabled():  # to be differentiated again, by all that slopes depend on
        weights = CellWeights(ih, hh, bias_ih, bias_hh, None)
        states, _, *slopes = _run(ctx.func, x, weights, h, c)
    return Known(x, ih, hh, h, states, Slopes(*slopes))


def _run(
    func: Any, x: Tensor, weights: CellWeights, h: Tensor, c: Tensor | None
) -> tuple[Tensor, ...]:
    """States, last cell and slopes."""
    step, slopes = _STEPS[func]
    states, cells, kept = [h], [h if c is None else c], list[tuple[Tensor, ...]]()
    for of_x in linear(x, weights.ih, weights.bias_ih):
        of_h = linear(states[-1], weights.hh, weights.bias_hh)
        state, cell, gates = step(of_x, of_h, states[-1], cells[-1])
        states.append(state)
        cells.append(cell)
        kept.append(gates)
    every = torch.stack(states[1:])
    found = slopes(*[torch.stack(each) for each in zip(*kept, strict=True)])
    return every, cells[-1].clone(), *found


Step = tuple[Tensor, Tensor, tuple[Tensor, ...]]  # state and cell after it, and what slopes need


def _tanh_step(of_x: Tensor, of_h: Tensor, h: Tensor, c: Tensor) -> Step:
    h = torch.tanh(of_x + of_h)
    return h, c, (h,)


def _tanh_slopes(h: Tensor) -> Slopes:
    return Slopes((1 - h * h)[:, :, None], h.new_empty(0), h.new_empty(0))


def _relu_step(of_x: Tensor, of_h: Tensor, h: Tensor, c: Tensor) -> Step:
    h = torch.relu(of_x + of_h)
    return h, c, (h,)


def _relu_slopes(h: Tensor) -> Slopes:
    return Slopes((h > 0).to(h)[:, :, None], h.new_empty(0), h.new_empty(0))


def _gru_step(of_x: Tensor, of_h: Tensor, h: Tensor, c: Tensor) -> Step:
    size = 2 * h.shape[-1]
    r, z = torch.sigmoid(of_x[:, :size] + of_h[:, :size]).chunk(2, -1)
    hn = of_h[:, size:]
    n = torch.tanh(torch.addcmul(of_x[:, size:], r, hn))
    ahead = h - n
    return torch.addcmul(n, z, ahead), c, (r, z, n, hn, ahead)


def _gru_slopes(r: Tensor, z: Tensor, n: Tensor, hn: Tensor, ahead: Tensor) -> Slopes:
    of_n = aten.tanh_backward(1 - z, n)
    gates = [aten.sigmoid_backward(of_n * hn, r), aten.sigmoid_backward(ahead, z), of_n * r]
    return Slopes(torch.stack(gates, 2), z, of_n)


def _lstm_step(of_x: Tensor, of_h: Tensor, h: Tensor, c: Tensor) -> Step:
    i, f, g, o = (of_x + of_h).chunk(4, -1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    cell = torch.addcmul(f * c, i, g)
    bent = cell.tanh()
    return o * bent, cell, (i, f, g, o, c, bent)


def _lstm_slopes(
    i: Tensor, f: Tensor, g: Tensor, o: Tensor, before: Tensor, bent: Tensor
) -> Slopes:
    slope, bend = aten.sigmoid_backward, aten.tanh_backward
    gates = [slope(g, i), slope(before, f), bend(i, g), slope(bent, o)]
    return Slopes(torch.stack(gates, 2), f, bend(o, bent))


_STEPS: dict[Any, tuple[Callable[..., Step], Callable[..., Slopes]]] = {
    torch.gru: (_gru_step, _gru_slopes),
    torch.lstm: (_lstm_step, _lstm_slopes),
    torch.rnn_tanh: (_tanh_step, _tanh_slopes),
    torch.rnn_relu: (_relu_step, _relu_slopes),
}


class _Gradients(NamedTuple):
    """By matrices and biases, by first state and cell, by all sums of input and state."""

    weights: list[Tensor | None]
    h: Tensor
    c: Tensor | None
    of_x: Tensor
    of_h: Tensor


def _back(
    known: Known, of_states: Tensor | None, c: Tensor | None, wanted: list[bool], sums: bool
) -> _Gradients:
    """From the gradients by all states and by the last cell.

    ``wanted``: by ``W_ih, W_hh, b_ih, b_hh``. sums: whether those by all sums are wanted.
    """
    gates, keep, other = known.slopes
    count, size = gates.shape[2:]
    h, every = torch.zeros_like(known.h), list[tuple[Tensor, Tensor]]()
    # Of a GRU the last gate has another slope by the input.
    parts, by_hh = [_Gathered(*wanted[::2])], _Gathered(*wanted[1::2])
    parts += [_Gathered(*wanted[::2])] if count == _GRU else []
    for t in reversed(range(len(gates))):
        h = h if of_states is None else h + of_states[t]
        if count == _LSTM:
            c = other[t] * h if c is None else torch.addcmul(c, other[t], h)
            delta = (gates[t] * torch.stack([c, c, c, h], 1)).flatten(1)
            c = keep[t] * c
        else:
            delta = (gates[t] * h[:, None]).flatten(1)
        of_x = [delta[:, : 2 * size], other[t] * h] if count == _GRU else [delta]
        for part, each in zip(parts, of_x, strict=True):
            part.add(each, known.x[t])
        by_hh.add(delta, known.before(t))
        if sums:
            every.append((torch.cat(of_x, 1), delta))
        back = delta @ known.hh
        h = torch.addcmul(back, keep[t], h) if count == _GRU else back
    by_ih = [_joined([part.matrix for part in parts]), _joined([part.bias for part in parts])]
    weights = [by_ih[0], by_hh.matrix, by_ih[1], by_hh.bias]
    of_sums = [torch.stack(each[::-1]) for each in zip(*every, strict=True)] or [h, h]
    return _Gradients(weights, h, c, *of_sums)


def _forth(known: Known, *moves: Tensor | None) -> tuple[Tensor, Tensor]:
    """How states and last cell move, from the moves of input, weights, first state and cell."""
    of_x, of_ih, of_hh, of_bias_ih, of_bias_hh, h, c = moves
    count, size = known.slopes.gates.shape[2:]
    moved, none = list[Tensor](), known.states.new_zeros(len(known.h), count * size)
    ih, hh, of_ih, of_hh = (None if w is None else w.T for w in (known.ih, known.hh, of_ih, of_hh))
    before = (known.h, *known.states.unbind(0))
    gates, keep, other = (part.unbind(0) for part in known.slopes)
    for t, met in enumerate(known.x.unbind(0)):
        by_x = _affine(met, of_ih, of_bias_ih)
        by_x = _affine(None if of_x is None else of_x[t], ih, by_x)
        sums = _affine(h, hh, _affine(before[t], of_hh, of_bias_hh))
        by_x, sums = (none if each is None else each for each in (by_x, sums))
        if count == _GRU:
            (r, z, last), x, s = gates[t].unbind(1), by_x.split(size, 1), sums.split(size, 1)
            new = torch.addcmul(r * (x[0] + s[0]), z, x[1] + s[1])
            new = torch.addcmul(torch.addcmul(new, last, s[2]), other[t], x[2])
            h = new if h is None else torch.addcmul(new, keep[t], h)
        else:
            parts = gates[t] * (by_x + sums).unflatten(1, (count, size))
            if count == _LSTM:
                new = parts[:, :3].sum(1)
                c = new if c is None else torch.addcmul(new, keep[t], c)
                h = torch.addcmul(parts[:, 3], other[t], c)
            else:
                h = parts[:, 0]
        moved.append(h)
    states = torch.stack(moved)
    return states, c if c is not None else states[-1].clone()


class _Gathered:
    """Gradients by a matrix and its bias, gathered over steps; what is wanted of them."""

    def __init__(self, of_matrix: bool, of_bias: bool):
        self.of_matrix, self.of_bias = of_matrix, of_bias
        self.matrix: Tensor | None = None
        self.bias: Tensor | None = None

    def add(self, delta: Tensor, x: Tensor) -> None:
        """Those of one step: of its sums, ``(n, m)``, and what the matrix met, ``(n, k)``."""
        if self.of_matrix:
            known = self.matrix
            self.matrix = delta.T @ x if known is None else torch.addmm(known, delta.T, x)
        if self.of_bias:
            bias = delta.sum(0)
            self.bias = bias if self.bias is None else self.bias + bias


def _joined(parts: list[Tensor | None]) -> Tensor | None:
    some = [part for part in parts if part is not None]
    return torch.cat(some) if some else None


def _affine(x: Tensor | None, weight: Tensor | None, shift: Tensor | None) -> Tensor | None:
    """``x weight + shift`` of what there is; a bias may be the shift."""
    if x is None or weight is None:
        return shift if shift is None or shift.ndim > 1 or x is None else shift.expand(len(x), -1)
    return x @ weight if shift is None else torch.addmm(shift, x, weight)
