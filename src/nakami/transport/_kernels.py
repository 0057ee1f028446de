"""``log sum_y exp(h(y) - c(x, y) / reg)`` for each way to give a cost: all that a solver needs.

``h`` is a batch ``(B, *shape of y)``; the result is ``(B, *shape of x)``. ``back`` sums over ``x``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, log, prod
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from ._axis import Axis

T = TypeVar("T")
CHUNK = 1 << 22  # numbers in a temporary


class Kernel(Protocol):
    """Sums in the log domain, over ``y`` and over ``x``."""

    def sum(self, h: Tensor) -> Tensor:
        """Over ``y``, for each ``x``."""

    def back(self, h: Tensor) -> Tensor:
        """Over ``x``, for each ``y``."""

    def moved(self, a: Tensor, h: Tensor) -> Tensor:
        """``sum_xy (c / reg) exp(a(x) + h(y) - c(x, y) / reg)`` for each of the batch."""


class Separable:
    """A cost that is a sum over axes: one axis after the other.

    Args:
        costs: For each axis ``c / reg``, ``(points of x, points of y)``.
    """

    def __init__(self, costs: list[Tensor]):
        self.axes = [Axis(cost) for cost in costs]
        self.turned = [Axis(cost.T) for cost in costs]
        self.together = [Together.of(axes) for axes in (self.axes, self.turned)]

    @property
    def is_one_product(self) -> bool:
        """Whether a sum along each axis is a single product."""
        return all(axis.is_one_product for axis in self.axes)

    def sum(self, h: Tensor) -> Tensor:
        return self._sum(0, self.axes, h)

    def back(self, h: Tensor) -> Tensor:
        return self._sum(1, self.turned, h)

    def moved(self, a: Tensor, h: Tensor) -> Tensor:
        found = torch.zeros_like(h.flatten(1)[:, 0])
        for place, axis in enumerate(self.axes):
            changed = [*self.axes]
            weighted = torch.where(axis.cost.isinf(), axis.cost, axis.cost - axis.cost.log())
            changed[place] = Axis(weighted, cut=False)
            found += (a + _along(changed, h)).exp().flatten(1).sum(1)
        return found

    def _sum(self, side: int, axes: list[Axis], h: Tensor) -> Tensor:
        together = self.together[side]
        if together is not None:
            found = together.sum(h)
            if found is not None:
                return found
            self.together[side] = None  # its sums come too near to 0
        return _along(axes, h)


def _along(axes: list[Axis], h: Tensor) -> Tensor:
    if len(axes) == 1:  # the batch is the other side of the product
        return axes[0].forward(h.T).T
    return _each_axis(axes, h, lambda axis, part: axis.forward(part))


def _each_axis(axes: Sequence[T], h: Tensor, apply: Callable[[T, Tensor], Tensor]) -> Tensor:
    """``apply`` to each axis in turn, which it finds last but one."""
    for place, axis in enumerate(axes, 1):
        if place == len(axes):
            h = apply(axis, h.mT).mT
        else:
            rest = h.shape[place + 1 :]
            h = apply(axis, h.flatten(place + 1)).unflatten(-1, rest)
    return h


@dataclass(frozen=True)
class Together:
    """All axes between one exp and one log, where that is seen to lose nothing.

    Attributes:
        kernels: Of each axis, ``exp(-d)``. row, column: References of all axes, as the points.
        least: Sums from here on are right: what underflows is below their rounding.
    """

    kernels: list[Tensor]
    row: Tensor
    column: Tensor
    least: float

    @staticmethod
    def of(axes: list[Axis]) -> Together | None:
        """None for one axis, or where an axis is no single product, or a sum could overflow."""
        blocks = [axis.blocks for axis in axes if axis.blocks is not None and axis.blocks.is_one]
        if len(axes) == 1 or len(blocks) < len(axes):
            return None
        kernels = [one.kernel[0, 0] for one in blocks]
        reach = sum(float(kernel.log().abs().max()) for kernel in kernels)
        points = prod(len(kernel.T) for kernel in kernels)
        info = torch.finfo(kernels[0].dtype)
        if reach + log(points) >= log(info.max):
            return None
        least = reach + log(points) + log(info.tiny) - log(info.eps)
        row, column = (
            _outer([getattr(one, side)[0, 0, :, 0] for one in blocks]) for side in ("row", "column")
        )
        return Together(kernels, row, column, exp(least))

    def sum(self, h: Tensor) -> Tensor | None:
        """None where some sum is below ``least``."""
        kind = self.kernels[0].dtype
        h = h - self.column
        top = h.amax(tuple(range(1, h.ndim)), keepdim=True).clamp_min_(torch.finfo(kind).min)
        sums = h.sub_(top).to(kind).exp_()
        for place, kernel in enumerate(self.kernels[:-1], 1):
            rest = sums.shape[place + 1 :]
            sums = torch.matmul(kernel, sums.flatten(place + 1)).unflatten(-1, rest)
        sums = sums @ self.kernels[-1].mT  # contiguous, as what is added to it
        if bool(sums.amin() < self.least):
            return None
        return sums.log_().to(h.dtype).sub_(self.row).add_(top)


def _outer(parts: list[Tensor]) -> Tensor:
    made = parts[0]
    for part in parts[1:]:
        made = made[..., None] + part
    return made


class Dense:
    """A cost matrix in memory; products with ``exp(a_i + b_j - c_ij)``.

    The references ``a`` and ``b`` start as rows' smallest costs. Where a sum comes so near to the
    smallest number that lost terms could count, it is done again term by term. Where this was done
    for as many sums as there are rows, the results give new references, at which the entries are
    conditional probabilities.

    Args:
        cost: ``c / reg``, ``(n, m)``.
        batch: Rows of ``h``.
        bytes_left: What kernels may take; above it all sums are term by term.
    """

    def __init__(self, cost: Tensor, batch: int, bytes_left: int):
        self.cost, self.batch = cost, batch
        size = cost.numel() * cost.element_size()
        self.shared_fits, self.own_fits = 2 * size <= bytes_left, (batch + 1) * size <= bytes_left
        info = torch.finfo(cost.dtype)
        self.least = max(cost.shape) * info.tiny / info.eps
        self.row = cost.amin(1, keepdim=True).T  # (1, n) or (B, n)
        self.column = torch.zeros_like(cost[:1])  # (1, m) or (B, m)
        self.kernel = (self.row.T - cost).exp_() if self.shared_fits else None
        self.repaired = 0

    def sum(self, h: Tensor) -> Tensor:
        return self._sum(h, self.row, self.column, turned=False)

    def back(self, h: Tensor) -> Tensor:
        return self._sum(h, self.column, self.row, turned=True)

    def moved(self, a: Tensor, h: Tensor) -> Tensor:
        rows = max(1, CHUNK // h.numel())
        parts = zip(a.split(rows, 1), self.cost.split(rows), strict=True)
        return torch.stack([_moved(some, h, cost) for some, cost in parts]).sum(0)

    def _sum(self, h: Tensor, to: Tensor, of: Tensor, turned: bool) -> Tensor:
        cost = self.cost.T if turned else self.cost
        if self.kernel is None:
            return _exact(h, cost)
        sums, top = self._product(h - of, turned)
        low = (sums < self.least).any(0)
        count = int(low.sum())
        found = sums.log_().to(h.dtype).add_(top - to)
        if count:
            self.repaired += count
            if self.repaired < len(low):
                found[:, low] = _exact(h, cost[low])
            else:
                found = _exact(h, cost)
                self._refer(h, found, cost, turned)
        return found

    def _product(self, h: Tensor, turned: bool) -> tuple[Tensor, Tensor]:
        """``kernel @ exp(h - top)``, and ``top``; ``h`` is overwritten."""
        assert self.kernel is not None
        top = h.amax(1, keepdim=True).clamp_min(torch.finfo(h.dtype).min)
        weights = h.sub_(top).to(self.kernel.dtype).exp_()
        kernel = self.kernel.mT if turned else self.kernel
        if kernel.ndim == 3:
            return torch.bmm(kernel, weights[..., None])[..., 0], top
        return weights @ kernel.T if self.batch > 1 else torch.mv(kernel, weights[0])[None], top

    def _refer(self, h: Tensor, found: Tensor, cost: Tensor, turned: bool) -> None:
        """Take new references from a sum; without memory for them, all sums are term by term."""
        self.repaired = 0
        if not self.own_fits:
            self.kernel = None
            return
        to, of = -found, torch.where(h.isfinite(), h, _least_of(cost, found))
        self.row, self.column = (of, to) if turned else (to, of)
        self._made()

    def _made(self) -> None:
        if self.batch == 1:
            self.kernel = (self.row.T + self.column - self.cost).clamp_(max=300).exp_()
            return
        made = self.row[:, :, None] + self.column[:, None, :]
        self.kernel = made.sub_(self.cost).clamp_(max=300).exp_()


def _least_of(cost: Tensor, found: Tensor) -> Tensor:
    """For each column the reference at which its largest entry is 1, ``(B, m)``."""
    return torch.stack([(cost + one[:, None]).amin(0) for one in found])


def _moved(a: Tensor, h: Tensor, cost: Tensor) -> Tensor:
    sums = (a[:, :, None] + h[:, None, :] - cost).exp_()
    return torch.where(cost.isinf(), 0.0, sums.mul_(cost)).sum((1, 2))


def _exact(h: Tensor, cost: Tensor) -> Tensor:
    rows = max(1, CHUNK // h.numel())
    parts = [torch.logsumexp(h[:, None, :] - part, 2) for part in cost.split(rows)]
    return torch.cat(parts, 1)


class Tiled:
    """Points too many for a matrix: costs are made tile by tile, and sums are term by term.

    Args:
        x: ``(n, d)``. y: ``(m, d)``.
        pair: The cost over ``reg`` of some of ``x`` with some of ``y``.
        tile: Points on each side of a tile.
    """

    def __init__(self, x: Tensor, y: Tensor, pair: Callable[[Tensor, Tensor], Tensor], tile: int):
        self.x, self.y, self.pair, self.tile = x, y, pair, tile

    def sum(self, h: Tensor) -> Tensor:
        return self._sums(self.x, self.y, h)

    def back(self, h: Tensor) -> Tensor:
        return self._sums(self.y, self.x, h)

    def moved(self, a: Tensor, h: Tensor) -> Tensor:
        found = torch.zeros_like(h[:, 0])
        for x, some in zip(self.x.split(self.tile), a.split(self.tile, 1), strict=True):
            for y, part in zip(self.y.split(self.tile), h.split(self.tile, 1), strict=True):
                found += _moved(some, part, self.pair(x, y))
        return found

    def _sums(self, x: Tensor, y: Tensor, h: Tensor) -> Tensor:
        top = h.amax(1, keepdim=True).clamp_min(torch.finfo(h.dtype).min)
        weights = (h - top).to(y.dtype)
        columns = list(zip(y.split(self.tile), weights.split(self.tile, 1), strict=True))
        found = []
        for rows in x.split(self.tile):
            total: Tensor | None = None
            for part, some in columns:
                one = _exact(some, self.pair(rows, part))
                total = one if total is None else torch.logaddexp(total, one)
            assert total is not None
            found.append(total)
        return torch.cat(found, 1).to(h.dtype) + top


class Shifted:
    """A kernel whose cost is that of another plus a part of ``x`` alone and one of ``y`` alone.

    The squared distance is ``|x|^2 + |y|^2 - 2 x.y``. Its first two parts are taken from here in
    float64, so that what is computed for each pair holds no large numbers.
    """

    def __init__(self, inner: Kernel, row: Tensor, column: Tensor):
        self.inner, self.row, self.column = inner, row, column

    def sum(self, h: Tensor) -> Tensor:
        return self.inner.sum(h - self.column) - self.row

    def back(self, h: Tensor) -> Tensor:
        return self.inner.back(h - self.row) - self.column

    def moved(self, a: Tensor, h: Tensor) -> Tensor:
        a, h = a - self.row, h - self.column
        rows = (a + self.inner.sum(h)).exp() @ self.row
        columns = (h + self.inner.back(a)).exp() @ self.column
        return self.inner.moved(a, h) + rows + columns


def power_cost(x: Tensor, y: Tensor, power: float) -> Tensor:
    """``|x - y|^power``, ``(n, d), (m, d) -> (n, m)``; Euclidean distance."""
    if x.shape[1] == 1:
        return (x - y.T).abs().pow(power)
    if power == 2:
        centre = x.detach().mean(0)
        a, b = x - centre, y - centre
        squares = a.square().sum(1, keepdim=True) + b.square().sum(1)
        return (squares - 2 * (a @ b.T)).clamp_min(0)
    return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist").pow(power)
