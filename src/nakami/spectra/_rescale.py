"""Matrices of any size of entries: scaled by a power of two, so that no square overflows."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import Tensor

from ._operator import LinearOperator, MatrixOperator, finite

Found = TypeVar("Found", bound=Any)
NORMAL = 20  # powers of two around 1 within which nothing is scaled


class Rescaled(LinearOperator):
    """``2^power A``; products are exact but for numbers at the end of the range."""

    def __init__(self, base: LinearOperator, power: int):
        self.base, self.power = base, power
        self.shape, self.dtype, self.device = base.shape, base.dtype, base.device
        self.route, self.stored = base.route, base.stored

    def _matmat(self, block: Tensor) -> Tensor:
        return torch.ldexp(self.base @ block, self._power())

    def _rmatmat(self, block: Tensor) -> Tensor:
        return torch.ldexp(self.base.T @ block, self._power())

    def dense(self) -> Tensor:
        """The whole matrix, scaled."""
        return torch.ldexp(self.base.dense(), self._power())

    def _power(self) -> Tensor:
        return torch.tensor(self.power, device=self.device)


def rescaled(op: LinearOperator, seed: int) -> tuple[LinearOperator, int, int]:
    """The matrix with entries of moderate size, ``op = 2^power`` of it, and the products spent.

    ``power`` is 0, and the operator itself comes back, where it is moderate already.
    """
    if isinstance(op, MatrixOperator):
        return *_moderate(op, float(finite(op.matrix).abs().max())), 0
    generator = torch.Generator().manual_seed(seed)
    n = op.shape[1]
    probe = torch.randn(n, 1, generator=generator, dtype=torch.float64) / math.sqrt(n)
    moderate, power, _ = rescaled_product(op, probe.to(op.device, op.dtype))
    return moderate, power, 1


def rescaled_product(op: LinearOperator, v: Tensor) -> tuple[LinearOperator, int, Tensor]:
    """``rescaled`` by the product with a unit vector, ``(n, 1)``, and that of the rescaled one."""
    image = finite(op @ v)
    moderate, power = _moderate(op, float(image.abs().max()))
    return moderate, power, torch.ldexp(image, torch.tensor(-power, device=op.device))


def _moderate(op: LinearOperator, size: float) -> tuple[LinearOperator, int]:
    power = math.frexp(size)[1] if size > 0 else 0
    return (op, 0) if abs(power) <= NORMAL else (Rescaled(op, -power), power)


def unscaled(found: Found, power: int, spent: int) -> Found:
    """What was found of ``2^-power A``, in the size of ``A``; ``spent`` more products."""
    size, settings = 2.0**power, dict(found.settings)
    if "level" in settings:
        settings["level"] *= size
    stopped = found.stopped
    if stopped is not None and "missed" in stopped.numbers:
        missed = stopped.numbers["missed"] * size
        stopped = replace(stopped, numbers={**stopped.numbers, "missed": missed})
    parts = {name: getattr(found, name) * size for name in ("values", "residuals", "shifts", "top")}
    spent += found.n_products
    return replace(found, **parts, settings=settings, stopped=stopped, n_products=spent)
