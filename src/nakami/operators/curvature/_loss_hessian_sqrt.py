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
        slope = judged.slope(z, y)
        shape = [1 if a in judged.within(z) else size for a, size in enumerate(z.shape)]
        return LossHessianSqrt(lambda u: u * slope, z.new_zeros(shape))
    root = judged.root
    if kind == "hessian" or root is None:
        return None
    return LossHessianSqrt(lambda u: root(z, y, u), torch.zeros_like(z))


def sampled_slopes(
    judged: Criterion, z: Tensor, y: object, draws: int, generator: torch.Generator
) -> Tensor:
    """Gradients of the total at targets drawn from the model, ``(n, draws, ...)``."""
    assert judged.draw is not None
    n, rest = len(z), z.shape[1:]
    uniform = torch.rand(n, draws, *rest, generator=generator, dtype=torch.float64).to(z.device)
    each = [judged.slope(z, judged.draw(z, y, uniform[:, s].to(z.dtype))) for s in range(draws)]
    return torch.stack(each, 1)


def sampled_root(judged: Criterion, z: Tensor, slopes: Tensor) -> LossHessianSqrt:
    """``B B^T`` is the mean over draws of the products of gradients with themselves."""
    draws = slopes.shape[1]
    shape = [1 if a in judged.within(z) else size for a, size in enumerate(z.shape)]
    zero = z.new_zeros(shape[0], draws, *shape[1:])
    return LossHessianSqrt(lambda u: (u * slopes).sum(1) / draws**0.5, zero)
