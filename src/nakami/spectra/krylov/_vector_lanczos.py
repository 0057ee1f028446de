"""Lanczos from single vectors, every new one orthogonal to all before, and what they may miss.

The last Lanczos vector is ``p(A) v`` of the first one, with a polynomial ``p`` that the run knows.
Its share of an eigenvector ``x`` of value ``l`` is ``p(l) <v, x>``, at most 1. So, where ``v`` is
random, an ``l`` with a large ``p(l)`` is improbable: its share in ``v`` would be too small.

Source: van Dorsselaer, Hochstenbach & van der Vorst, SIAM J. Matrix Anal. Appl. 22 (2000).
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from .._operator import LinearOperator, finite

UNLIKELY = 1e-3  # chance that a value beyond the margin was missed, at most
MARGIN = 0.1  # relative, beyond the value found

Product = Callable[[Tensor], tuple[Tensor, Tensor]]


class VectorLanczos:
    """``p`` independent runs side by side, ``A Q = Q T + next e^T`` for each.

    Args:
        product: Rows ``(p, n)`` to their images and their Rayleigh quotients, ``(p,)`` float64.
        start: Unit rows, ``(p, n)``, orthogonal to ``against``.
        steps: At most; so many rows are held for each run.
        against: Orthonormal rows ``(c, n)``; all that follows is orthogonal to them too.
        least: In units of rounding: a run ends where what is new is shorter, and goes on with
            zero vectors, which weigh nothing.

    Attributes:
        rows: ``(p, steps, n)``, the Lanczos vectors. made: how many of them.
        alpha, beta: ``(p, steps)`` float64: diagonal of ``T``, and what couples it to the next.
        alive: ``(p,)``, whether there is a next vector.
        scale: ``(p,)``, the longest image met.
    """

    def __init__(
        self,
        product: Product,
        start: Tensor,
        steps: int,
        against: Tensor | None = None,
        least: float = 10.0,
    ):
        p, n = start.shape
        self.product, self.against = product, against
        self.rows = start.new_empty(p, steps, n)
        self.rows[:, 0] = start
        self.alpha = torch.zeros(p, steps, dtype=torch.float64)
        self.beta = torch.zeros(p, steps, dtype=torch.float64)
        self.scale = torch.zeros(p, dtype=torch.float64)
        self.alive = torch.ones(p, dtype=torch.bool)
        self.rounding = least * torch.finfo(start.dtype).eps
        self.made = 0

    def step(self) -> None:
        """One product, and the next vector where there is room for it."""
        j = self.made
        if j:
            self.beta[:, j - 1] *= self.alive
        images, quotients = self.product(self.rows[:, j])
        self.made = j + 1
        # A run that has ended repeats its first value, which lies among those found.
        self.alpha[:, j] = torch.where(self.alive, quotients, self.alpha[:, 0])
        self.scale = self.scale.maximum(images.double().norm(dim=1).cpu())
        rest = self._outside(images)
        beta = rest.double().norm(dim=1).cpu()
        self.alive = beta > self.rounding * self.scale
        self.beta[:, j] = beta
        if self.made == self.rows.shape[1]:
            return
        row = rest / beta.where(self.alive, math.inf).to(rest)[:, None]
        if bool((self.alive & (beta < 1e-3 * self.scale)).any()):  # rounding, blown up
            row = self._outside(row)
            row /= row.double().norm(dim=1, keepdim=True).clamp_min(1e-30).to(row)
        self.rows[:, j + 1] = row

    def tridiagonal(self) -> Tensor:
        """``T`` of each run as far as it is made, ``(p, j, j)``."""
        off = self.beta[:, : self.made - 1]
        diagonal = self.alpha[:, : self.made].diag_embed()
        return diagonal + off.diag_embed(1) + off.diag_embed(-1)

    def _outside(self, rows: Tensor) -> Tensor:
        known = self.rows[:, : self.made]
        for _ in range(2):
            if self.against is not None:
                rows = torch.addmm(rows, rows @ self.against.T, self.against, alpha=-1)
            along = known @ rows[:, :, None]  # (p, j, 1)
            rows = rows - (along.transpose(1, 2) @ known)[:, 0]
        return rows


def signed_product(op: LinearOperator, sign: int = 1) -> Product:
    """``A`` or ``-A`` times rows, and their Rayleigh quotients."""

    def product(rows: Tensor) -> tuple[Tensor, Tensor]:
        images = finite(op @ rows.T).T * sign
        return images, (images.double() * rows.double()).sum(1).cpu()

    return product


def first_vector(
    op: LinearOperator, generator: torch.Generator, guess: Tensor | None = None
) -> tuple[Tensor, float]:
    """A unit vector ``(n, 1)``, and ``log 1/d``: its share of any direction is below d by accident.

    Half of it is random in any case: beside a guess ``(n, 1)`` a share is the least likely to be
    small where the guess has none, so that d only shrinks by the random part's length.
    """
    n = op.shape[1]
    draw = torch.randn(n, 1, generator=generator, dtype=torch.float64) / math.sqrt(n)
    random, least = draw.to(op.device), UNLIKELY * math.sqrt(math.pi / (2 * n))
    whole = random
    if guess is not None:
        whole = random + guess.double() / guess.double().norm().clamp_min(1e-300)
    length = float(whole.norm())
    return (whole / length).to(op.dtype), math.log(length / least)
