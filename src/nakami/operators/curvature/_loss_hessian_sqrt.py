"""Square roots of the matrix that a loss puts between the Jacobians, sample by sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from ._losses import Criterion


@dataclass(frozen=True)
class LossHessianSqrt:
    """``B`` with ``B B^T`` the matrix by the outputs ``z`` of a batch, block by block.

    Attributes:
        up: ``B u``, of the shape of ``z``.
        zero: Zeros of the shape that ``u`` has, ``(n, ...)``; the rest are an example's columns.
    """

    up: Callable[[Tensor], Tensor]
    zero: Tensor

    def down(self, v: Tensor) -> Tensor:
        """``B^T v`` for ``v`` of the shape of ``z``."""
        found: Tensor = torch.func.vjp(self.up, self.zero)[1](v)[0]
        return found

    @property
    def columns(self) -> int:
        """Columns of ``B`` for each example."""
        return prod(self.zero.shape[1:])

    def each(self) -> Iterator[Tensor]:
        """Column by column, that of all examples at once, of the shape of ``z``."""
        for c in range(self.columns):
            unit = torch.zeros(self.columns, dtype=self.zero.dtype, device=self.zero.device)
            unit[c] = 1
            yield self.up(unit.reshape(1, *self.zero.shape[1:]).expand_as(self.zero))


def loss_hessian_sqrt(judged: Criterion, z: Tensor, y: object, kind: str) -> LossHessianSqrt | None:
    """The root for a kind; None where none is known."""
    if kind == "empirical_fisher":
        return root_of_slopes(judged, z, y, judged.slope(z, y).unsqueeze(1))
    up = None if kind == "hessian" else judged.root(z, y)
    return None if up is None else LossHessianSqrt(up, torch.zeros_like(z))


def drawn_slopes(
    judged: Criterion, z: Tensor, y: object, draws: int, generator: torch.Generator
) -> Tensor:
    """Gradients of the total at targets drawn from the model, ``(n, draws, ...)``."""
    shape = (len(z), draws, *z.shape[1:])
    uniform = torch.rand(shape, generator=generator, dtype=torch.float64).to(z.device)
    return torch.stack([judged.drawn(z, y, u) for u in uniform.unbind(1)], 1)


def root_of_slopes(judged: Criterion, z: Tensor, y: object, slopes: Tensor) -> LossHessianSqrt:
    """``B B^T`` is the mean over draws of the products of gradients with themselves."""
    each, draws = judged.samples(z, y).shape, slopes.shape[1]
    zero = z.new_zeros(each[0], draws, *each[1:])
    return LossHessianSqrt(lambda u: (u * slopes).sum(1) / draws**0.5, zero)
