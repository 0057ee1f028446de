"""Sums over local fields with weights of each place, differentiable to any order and direction.

``sum over units u, field entries k and examples b of g[u, b] w[u, k] x[field of u at k, b]`` is
linear in weights, inputs and what comes back, so it has three slopes: outputs, inputs' gradient
and weights' gradient. Each is a function of autograd whose own slopes are the other two.

Examples are the last axis inside, so that fields are copied in long pieces and each place is one
product of matrices. Nothing but weights and inputs is kept for the way back: fields are cut out
again there, which costs less than to hold them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd import Function

FEW = 8  # examples, below which a product of matrices is faster transposed


class Fields(NamedTuple):
    """Where the fields lie.

    Attributes:
        size: Height and width of the inputs, padding included. kernel, stride, dilation: as those
            of a convolution. groups: likewise.
    """

    size: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    groups: int

    @property
    def span(self) -> tuple[int, int]:
        """Height and width that a field reaches over."""
        (k, m), (d, e) = self.kernel, self.dilation
        return d * (k - 1) + 1, e * (m - 1) + 1

    @property
    def places(self) -> tuple[int, int]:
        """Fields below each other, and side by side."""
        (h, w), (a, b), (s, t) = self.size, self.span, self.stride
        return (h - a) // s + 1, (w - b) // t + 1


def outputs(x: Tensor, weight: Tensor, fields: Fields) -> Tensor:
    """The sums over each field.

    Args:
        x: ``(N, C, *fields.size)``.
        weight: ``(places * units, C / groups, *fields.kernel)``, place by place.
        fields: Where they lie.

    Returns:
        ``(N, units, *fields.places)``.
    """
    if torch.compiler.is_compiling():  # which traces no function of autograd that has a jvp
        return _Outputs.forward(x, weight, fields)
    made: Tensor = _Outputs.apply(x, weight, fields)
    return made


def transposed(y: Tensor, weight: Tensor, fields: Fields) -> Tensor:
    """The transpose of the map ``outputs``, for fixed weights.

    Args:
        y: ``(N, units, *fields.places)``.
        weight: As for ``outputs``.
        fields: Where they lie.

    Returns:
        ``(N, C, *fields.size)``.
    """
    if torch.compiler.is_compiling():
        return _Inputs.forward(weight, y, fields)
    made: Tensor = _Inputs.apply(weight, y, fields)
    return made


class _Slope(Function):
    """What the three have in common: two tensors and the fields go in, one tensor comes out."""

    generate_vmap_rule = True

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Fields], output: Any) -> None:
        first, second, ctx.fields = inputs
        ctx.save_for_backward(first, second)
        ctx.save_for_forward(first, second)


class _Outputs(_Slope):
    """Of inputs and weights."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor, fields: Fields) -> Tensor:
        n, (h, w) = x.shape[0], fields.places
        sums = _product(_matrices(weight, fields), _cut(x, fields))  # (places groups, units, N)
        return sums.reshape(h, w, weight.shape[0] // (h * w), n).permute(3, 2, 0, 1).contiguous()

    @staticmethod
    def backward(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        need_x, need_weight = ctx.needs_input_grad[:2]
        return (
            _Inputs.apply(weight, g, ctx.fields) if need_x else None,
            _Weights.apply(x, g, ctx.fields) if need_weight else None,
            None,
        )

    @staticmethod
    def jvp(ctx: Any, dx: Tensor | None, dweight: Tensor | None, _: None) -> Any:
        return _leibniz(_Outputs, ctx, dx, dweight)


class _Inputs(_Slope):
    """The gradient by the inputs, of weights and what comes back."""

    @staticmethod
    def forward(weight: Tensor, g: Tensor, fields: Fields) -> Tensor:
        return _put_back(_product(_matrices(weight, fields).mT, _by_place(g, fields)), fields)

    @staticmethod
    def backward(ctx: Any, x: Tensor) -> tuple[Tensor | None, ...]:
        weight, g = ctx.saved_tensors
        need_weight, need_g = ctx.needs_input_grad[:2]
        return (
            _Weights.apply(x, g, ctx.fields) if need_weight else None,
            _Outputs.apply(x, weight, ctx.fields) if need_g else None,
            None,
        )

    @staticmethod
    def jvp(ctx: Any, dweight: Tensor | None, dg: Tensor | None, _: None) -> Any:
        return _leibniz(_Inputs, ctx, dweight, dg)


class _Weights(_Slope):
    """The gradient by the weights, of inputs and what comes back."""

    @staticmethod
    def forward(x: Tensor, g: Tensor, fields: Fields) -> Tensor:
        found = torch.bmm(_by_place(g, fields), _cut(x, fields).mT)
        return found.reshape(-1, x.shape[1] // fields.groups, *fields.kernel)

    @staticmethod
    def backward(ctx: Any, weight: Tensor) -> tuple[Tensor | None, ...]:
        x, g = ctx.saved_tensors
        need_x, need_g = ctx.needs_input_grad[:2]
        return (
            _Inputs.apply(weight, g, ctx.fields) if need_x else None,
            _Outputs.apply(x, weight, ctx.fields) if need_g else None,
            None,
        )

    @staticmethod
    def jvp(ctx: Any, dx: Tensor | None, dg: Tensor | None, _: None) -> Any:
        return _leibniz(_Weights, ctx, dx, dg)


def _leibniz(slope: Any, ctx: Any, first: Tensor | None, second: Tensor | None) -> Tensor:
    """The derivative of a product along both of its factors."""
    a, b = ctx.saved_tensors
    parts = []
    if first is not None:
        parts.append(slope.apply(first, b, ctx.fields))
    if second is not None:
        parts.append(slope.apply(a, second, ctx.fields))
    return sum(parts[1:], parts[0])


def _matrices(weight: Tensor, fields: Fields) -> Tensor:
    """``(places groups, units of a group, entries of a field)``."""
    h, w = fields.places
    return weight.reshape(h * w * fields.groups, -1, weight.shape[1:].numel())


def _by_place(g: Tensor, fields: Fields) -> Tensor:
    """What comes back, ``(N, units, h, w)``, as ``(places groups, units of a group, N)``."""
    n, units, h, w = g.shape
    groups = fields.groups
    return g.permute(2, 3, 1, 0).reshape(h * w * groups, units // groups, n).contiguous()


def _cut(x: Tensor, fields: Fields) -> Tensor:
    """The fields of ``(N, C, H, W)``, ``(places groups, entries of a field, N)``."""
    (h, w), (d, e), (n, c) = fields.places, fields.dilation, x.shape[:2]
    cut = x.permute(1, 2, 3, 0).contiguous()  # (C, H, W, N)
    for axis in (1, 2):
        cut = cut.unfold(axis, fields.span[axis - 1], fields.stride[axis - 1])
    if fields.dilation != (1, 1):
        cut = cut[..., ::d, ::e]
    cut = cut.permute(1, 2, 0, 4, 5, 3)  # (h, w, C, rows, columns, N)
    entries = c // fields.groups * fields.kernel[0] * fields.kernel[1]
    return cut.reshape(h * w * fields.groups, entries, n)


def _put_back(cut: Tensor, fields: Fields) -> Tensor:
    """Entries of all fields added up where they came from: the transpose of ``_cut``."""
    (h, w), (s, t), (d, e) = fields.places, fields.stride, fields.dilation
    places, entries, n = cut.shape
    c = places * entries // (h * w * fields.kernel[0] * fields.kernel[1])
    fill = cut.reshape(h, w, c, *fields.kernel, n).permute(2, 0, 1, 5, 3, 4)
    x = cut.new_zeros(c, *fields.size, n)
    for i in range(0, d * fields.kernel[0], d):
        for j in range(0, e * fields.kernel[1], e):
            at = x[:, i : i + s * (h - 1) + 1 : s, j : j + t * (w - 1) + 1 : t]
            at += fill[..., i // d, j // e]
    return x.permute(3, 0, 1, 2)


def _product(a: Tensor, b: Tensor) -> Tensor:
    """``a b``, matrix by matrix; ``b`` has the examples as columns."""
    compiling = torch.compiler.is_compiling()  # where the number of examples may be a symbol
    few = not compiling and b.shape[-1] < FEW
    return torch.bmm(b.mT, a.mT).mT if few else torch.bmm(a, b)
