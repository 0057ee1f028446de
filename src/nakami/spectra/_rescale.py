"""Matrices of any size of entries: scaled by a power of two, so that no square overflows."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ._operator import LinearOperator, MatrixOperator, finite
from ._result import Found

NORMAL = 20  # powers of two around 1 within which nothing is scaled
FAR = 60  # powers of two from which products are made of scaled vectors


class Rescaled(LinearOperator):
    """``2^power A``; products are exact but for numbers at the end of the range."""

    def __init__(self, base: LinearOperator, power: int):
        self.base, self.power = base, power
        self.shape, self.dtype, self.device = base.shape, base.dtype, base.device
        self.route, self.stored = base.route, base.stored

    def _matmat(self, block: Tensor) -> Tensor:
        return self._shift(self.base @ self._shift(block, half=True))

    def _rmatmat(self, block: Tensor) -> Tensor:
        return self._shift(self.base.T @ self._shift(block, half=True))

    def dense(self) -> Tensor:
        """The whole matrix, scaled."""
        if self.base.stored or abs(self.power) < FAR:
            return self._shift(self._shift(self.base.dense(), half=True))
        return super().dense()

    def _shift(self, numbers: Tensor, half: bool = False) -> Tensor:
        """Half of the scaling: all of it in one factor may leave the range of the numbers."""
        power = self.power // 2 if half else self.power - self.power // 2
        return torch.ldexp(numbers, torch.tensor(power, device=self.device))


def rescaled(op: LinearOperator, seed: int) -> tuple[LinearOperator, int, int]:
    """The matrix with entries of moderate size, ``op = 2^power`` of it, and the products spent.

    ``power`` is 0, and the operator itself comes back, where it is moderate already.
    """
    if isinstance(op, MatrixOperator):
        return *moderate(op, float(finite(op.matrix).abs().max())), 0
    generator = torch.Generator().manual_seed(seed)
    n = op.shape[1]
    probe = torch.randn(n, 1, generator=generator, dtype=torch.float64) / math.sqrt(n)
    near_one, power, _, spent = rescaled_product(op, probe.to(op.device, op.dtype))
    return near_one, power, spent


def rescaled_product(op: LinearOperator, v: Tensor) -> tuple[LinearOperator, int, Tensor, int]:
    """``rescaled`` by the product with a unit vector, ``(n, 1)``, and that of the rescaled one.

    Of a matrix whose products are too small for its numbers a second product is made, of a vector
    that is larger: ``A A^T`` of small entries is then seen as it is.
    """
    image, lifted, spent = finite(op @ v), 0, 1
    if float(image.abs().max()) < squares_end(op.dtype):
        lifted = 200 if op.dtype == torch.float32 else 1800
        image, spent = finite(Rescaled(op, lifted) @ v), 2
    near_one, power = moderate(op, float(image.abs().max()), lifted)
    image = (image.double() * 2.0 ** (-power - lifted)).to(image)
    return near_one, power, image, spent


def squares_end(dtype: torch.dtype) -> float:
    """Products of sums of squares below this have lost digits, or are zero."""
    return torch.finfo(dtype).tiny / torch.finfo(dtype).eps


def scaled(op: LinearOperator, power: int) -> LinearOperator:
    """``2^power A``; the operator itself where that is 1."""
    return Rescaled(op, power) if power else op


def moderate(op: LinearOperator, size: float, lifted: int = 0) -> tuple[LinearOperator, int]:
    """The matrix and its power of two, from its size times ``2^lifted``."""
    power = math.frexp(size)[1] - lifted if size > 0 else 0
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
    moments = None if found.moments is None else replace(found.moments, power=power)
    rest: dict[str, Any] = {"stopped": stopped, "n_products": spent, "moments": moments}
    return replace(found, **parts, settings=settings, **rest)
