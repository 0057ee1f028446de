"""A symmetric operator in other coordinates: scaled on both sides by a diagonal matrix."""

from __future__ import annotations

import torch
from torch import Tensor

from ..results import counted, wrong
from ._check import check_square
from ._operator import LinearOperator


class Preconditioned(LinearOperator):
    """``S A S + diag(shift)`` of a symmetric ``A``, with ``S = diag(scale)``.

    Args:
        base: ``A``, ``(n, n)``. Its root goes along where there is no shift.
        scale: ``(n,)``, not negative; 0 takes a row and column out.
        shift: ``(n,)``, or None for nothing added.

    Raises:
        UsageError: A shape that does not fit, or values that are negative or not finite.
    """

    def __init__(self, base: LinearOperator, scale: Tensor, shift: Tensor | None = None):
        check_square(base)
        self.base, self.scale = base, _diagonal("scale", scale, base)
        self.shift = None if shift is None else _diagonal("shift", shift, base)
        self.shape, self.dtype, self.device = base.shape, base.dtype, base.device

    @property
    def route(self) -> str:  # type: ignore[override]
        """How the products are made."""
        shifted = "" if self.shift is None else " and shifted"
        return f"scaled on both sides{shifted}, {self.base.route}"

    @property
    def root(self) -> LinearOperator | None:
        """``R S`` for the root ``R`` of ``A``."""
        root = self.base.root if self.shift is None else None
        return None if root is None else _Columns(root, self.scale)

    def _matmat(self, block: Tensor) -> Tensor:
        out = self.base._matmat(block * self.scale[:, None]) * self.scale[:, None]
        return out if self.shift is None else out + block * self.shift[:, None]

    _rmatmat = _matmat


class _Columns(LinearOperator):
    """``A S``: the columns of ``A``, each times a number."""

    def __init__(self, base: LinearOperator, scale: Tensor):
        self.base, self.scale = base, scale
        self.shape, self.dtype, self.device = base.shape, base.dtype, base.device

    @property
    def route(self) -> str:  # type: ignore[override]
        return f"scaled columns, {self.base.route}"

    def _matmat(self, block: Tensor) -> Tensor:
        return self.base._matmat(block * self.scale[:, None])

    def _rmatmat(self, block: Tensor) -> Tensor:
        return self.base._rmatmat(block) * self.scale[:, None]


def _diagonal(argument: str, values: Tensor, base: LinearOperator) -> Tensor:
    n = base.shape[0]
    if tuple(values.shape) != (n,):
        raise wrong(
            argument,
            f"have shape ({n},)",
            tuple(values.shape),
            f"pass one number for each of {counted(n, 'column')}",
        )
    if not bool((torch.isfinite(values) & (values >= 0)).all()):
        bad = int((~(torch.isfinite(values) & (values >= 0))).sum())
        raise wrong(
            argument,
            "be finite and not negative",
            counted(bad, "value that is not", "values that are not"),
            f"pass {argument}.nan_to_num().clamp(min=0)",
        )
    return values.detach().to(base.device, base.dtype)
