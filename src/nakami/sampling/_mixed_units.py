"""Visible units of several kinds side by side: pixels and a label, say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, final

import torch
from torch import Tensor

from ._units import VisibleUnits


@final
class MixedUnits(VisibleUnits):
    """Units of one kind after another.

    Args:
        parts: Each kind with its number of units, in the order of the units.
    """

    def __init__(self, parts: Sequence[tuple[VisibleUnits, int]]):
        self._kinds = [kind for kind, _ in parts]
        self._sizes = [size for _, size in parts]

    def detached(self) -> MixedUnits:
        kinds = [kind.detached() for kind in self._kinds]
        return MixedUnits(list(zip(kinds, self._sizes, strict=True)))

    def signal(self, v: Tensor) -> Tensor:
        return self._joined(lambda kind, v: kind.signal(v), v)

    def natural(self, bias: Tensor) -> Tensor:
        return self._joined(lambda kind, bias: kind.natural(bias), bias)

    def mean(self, theta: Tensor) -> Tensor:
        return self._joined(lambda kind, theta: kind.mean(theta), theta)

    def drawn(self, mean: Tensor, generator: torch.Generator) -> Tensor:
        return self._joined(lambda kind, mean: kind.drawn(mean, generator), mean)

    def states(self, data: Tensor, generator: torch.Generator) -> Tensor:
        return self._joined(lambda kind, data: kind.states(data, generator), data)

    def own(self, v: Tensor, bias: Tensor) -> Tensor:
        return self._joined(lambda kind, v, bias: kind.own(v, bias), v, bias)

    def gain(self, v: Tensor, bias: Tensor, base: Tensor) -> Tensor:
        return self._joined(lambda kind, *given: kind.gain(*given), v, bias, base)

    def mixed(self, bias: Tensor, base: Tensor, beta: float | Tensor) -> float | Tensor:
        parts = self._parts(lambda kind, bias, base: kind.mixed(bias, base, beta), bias, base)
        return sum(parts, 0.0)

    def log_normaliser(self, bias: Tensor, drive: Tensor) -> Tensor:
        parts = self._parts(lambda kind, *given: kind.log_normaliser(*given), bias, drive)
        return torch.stack(parts).sum(0)

    def slope(self, difference: Tensor) -> Tensor:
        return self._joined(lambda kind, part: kind.slope(part), difference)

    def base(self, data: Tensor) -> Tensor:
        return self._joined(lambda kind, data: kind.base(data), data)

    def fault(self, v: Tensor, states: bool) -> tuple[str, str, str] | None:
        faults = self._parts(lambda kind, v: kind.fault(v, states), v)
        return next((fault for fault in faults if fault), None)

    def _parts(self, what: Callable[..., Any], *given: Tensor) -> list[Any]:
        rows = zip(*(x.split(self._sizes, -1) for x in given), strict=True)
        return [what(kind, *row) for kind, row in zip(self._kinds, rows, strict=True)]

    def _joined(self, what: Callable[..., Tensor], *given: Tensor) -> Tensor:
        return torch.cat(self._parts(what, *given), -1)
