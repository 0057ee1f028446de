"""Block Lanczos for symmetric matrices, with full reorthogonalisation and thick restarts.

``A V = V T + V_next S`` holds by construction; the eigenvalues of the small matrix ``T`` are those
of ``A`` seen from the basis, and ``S`` gives their residuals for free.

Source: Golub & Underwood, in Mathematical Software III (1977) for the block form; Wu & Simon, SIAM
J. Matrix Anal. Appl. 22 (2000) for the thick restart.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from .. import _lapack
from .._operator import LinearOperator
from .._result import arithmetic_floor
from .._threads import one_thread
from ._basis import orthonormal, turn
from ._certificate import Form
from ._decomposition import KrylovDecomposition
from ._plan import Plan
from ._vector_lanczos import MARGIN, Product, signed_product


def keys(values: Tensor, which: str) -> Tensor:
    """What is largest for the eigenvalues asked for."""
    return {"largest": values, "smallest": -values, "magnitude": values.abs()}[which]


class SymmetricDecomposition(KrylovDecomposition):
    """What runs on ``H = A`` and on ``H = A^T A`` share; ``which`` says what comes first."""

    which = "largest"
    rooted = False  # whether the keys are roots of the eigenvalues

    _solved: tuple[Tensor, Tensor, Tensor] | None = None  # of the present T

    @abstractmethod
    def _images(self, at: int, end: int) -> Tensor:
        """``H`` times the basis vectors from ``at`` to ``end``, as rows."""

    def expand(self) -> None:
        """One step: a product with the waiting block, orthonormalised against the basis."""
        at, end = self.filled, self.filled + self.waiting
        images = self._images(at, end)
        self.scale = max(self.scale, float(images.norm(dim=1).max()))
        known = self.basis[:end]
        block, above, below = orthonormal(images, known, self.coupled, self.scale, self._random)
        self.basis[end : end + len(block)] = block
        corner = above[:, at:]
        self.core[:at, at:end] = above[:, :at].T
        self.core[at:end, :at] = above[:, :at]
        self.core[at:end, at:end] = (corner + corner.T) / 2
        self.filled, self.waiting, self.coupled, self.tail = end, len(block), at, below.T
        self._solved = None

    def solve(self) -> tuple[Tensor, Tensor, Tensor]:
        """Ritz values, their small vectors and residuals, those asked for first."""
        c = self.filled
        if self._solved is None:
            with one_thread(self.core):
                values, p = _lapack.eigh(self.core[:c, :c])
            order = keys(values, self.which).argsort(descending=True, stable=True)
            p = p[:, order]
            last = p[c - self.tail.shape[1] :]
            self._solved = values[order], p, (self.tail @ last).norm(dim=0)
        return self._solved

    def forms(self) -> list[Form]:
        """Both sides where values are asked for by magnitude, else that which is asked for."""
        signs = {"largest": (1,), "smallest": (-1,), "magnitude": (1, -1)}[self.which]
        return [self._form(sign) for sign in signs]

    def _form(self, sign: int) -> Form:
        values, p, _ = self.solve()
        at, end = self.filled - self.tail.shape[1], self.filled
        seen = _lapack.eigvalsh(self.core[at:end, at:end])
        coupling = self.tail @ p[at:]
        theta, order = (sign * values).sort(descending=True, stable=True)
        outlook = float((sign * seen).max())
        return Form(theta, coupling[:, order], outlook, self.rooted)

    def floor(self, keys: Tensor) -> float:
        """``10 eps`` times the largest size."""
        return arithmetic_floor(self.op, float(keys.abs().max()))

    def _restart_basis(self, keep: int) -> None:
        values, p, _ = self.solve()
        turn(self.basis[: self.filled], p[:, :keep])
        self._restarted(keep, values, p)
        self._solved = None


class BlockLanczos(SymmetricDecomposition):
    """The decomposition of a symmetric matrix ``A``.

    Args:
        op: ``A``.
        plan: Sizes.
        generator: Of the random vectors.
        which: ``"largest"``, ``"smallest"`` or ``"magnitude"``.
        start: Unit columns of the first block, ``(n, p)``.
        odds: For blocks of one: how large ``log |p(key)|`` must be for a value there to be
            improbable, see ``krylov/_vector_lanczos.py``; None where nothing is known of the start.
    """

    cost = 1

    def __init__(
        self,
        op: LinearOperator,
        plan: Plan,
        generator: torch.Generator,
        which: str,
        start: Tensor | None = None,
        odds: Callable[[float], float] | None = None,
    ):
        super().__init__(op, plan, generator, start)
        self.which, self.odds = which, odds
        self.sure = None if odds is None else self._sure

    def _images(self, at: int, end: int) -> Tensor:
        return self._products(self.op, self.basis[at:end])

    def product(self, side: int) -> Product:
        """``A``, or ``-A`` for the lower end."""
        return signed_product(self.op, -1 if self.which == "smallest" or side == 1 else 1)

    def ritz(self) -> tuple[Tensor, Tensor]:
        """Keys of the Ritz values, descending, and their residuals."""
        values, _, residuals = self.solve()
        return keys(values, self.which), residuals

    def polynomial(self, key: float) -> float:
        """``log |p(key)|``, where ``p(A)`` of the first vector is the waiting one; blocks of one.

        For keys beyond the Ritz values, and before any restart.
        """
        c = self.filled
        steps = torch.cat([self.core[:c, :c].diagonal(1), self.tail.reshape(-1)[:1]]).abs()
        factors = (key - keys(self.solve()[0], self.which)).clamp_min(1e-300)
        return float(factors.log().sum() - steps.clamp_min(1e-300).log().sum())

    def _sure(self, key: float) -> bool:
        assert self.odds is not None
        beyond = key + MARGIN * abs(key)
        return self.polynomial(beyond) >= self.odds(beyond)

    def top(self, values: Tensor) -> float:
        """The largest size that any vector of the basis has shown."""
        return float(self.solve()[0].abs().max())

    def limit(self, keys: Tensor) -> float:
        """Half the floor: the smallest values of a semi-definite matrix get no better."""
        return self.floor(keys) / 2

    def restart(self, keep: int) -> None:
        """Thick restart: the leading ``keep`` Ritz vectors and the waiting block stay."""
        self._restart_basis(keep)

    def found(self, k: int) -> tuple[Tensor, None, Tensor]:
        """Leading ``k`` eigenvalues, float64, and Ritz vectors as columns, ``(n, k)``."""
        values, p, _ = self.solve()
        return values[:k], None, self._turned(self.basis, p[:, :k]).T
