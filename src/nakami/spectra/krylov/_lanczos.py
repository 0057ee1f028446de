"""Block Lanczos for symmetric matrices, with full reorthogonalisation and thick restarts.

``A V = V T + V_next S`` holds by construction; the eigenvalues of the small matrix ``T`` are those
of ``A`` seen from the basis, and ``S`` gives their residuals for free.

Source: Golub & Underwood, in Mathematical Software III (1977) for the block form; Wu & Simon, SIAM
J. Matrix Anal. Appl. 22 (2000) for the thick restart.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .._operator import LinearOperator
from .._result import arithmetic_floor
from .._threads import one_thread
from ._basis import turn
from ._certificate import Form
from ._complement import keys
from ._decomposition import KrylovDecomposition
from ._driver import Plan


class BlockLanczos(KrylovDecomposition):
    """The growing decomposition; ``which`` says what comes first."""

    rooted = False  # whether the keys are roots of the eigenvalues

    def __init__(
        self,
        op: LinearOperator,
        plan: Plan,
        generator: torch.Generator,
        which: str,
        start: Tensor | None = None,
    ):
        super().__init__(op, plan, generator, start)
        self.which = which
        self._solved: tuple[Tensor, Tensor, Tensor] | None = None  # of the present T

    def expand(self) -> None:
        """One step: a product with the waiting block, orthonormalised against the basis."""
        at, end = self.filled, self.filled + self.waiting
        images = self._images(at, end)
        self.scale = max(self.scale, float(images.norm(dim=1).max()))
        known = self.basis[:end]
        block, above, below = self._orthonormal(images, known, self.coupled, self.scale)
        self.basis[end : end + len(block)] = block
        corner = above[:, at:]
        self.core[:at, at:end] = above[:, :at].T
        self.core[at:end, :at] = above[:, :at]
        self.core[at:end, at:end] = (corner + corner.T) / 2
        self.filled, self.waiting, self.coupled, self.tail = end, len(block), at, below.T
        self._solved = None

    def _images(self, at: int, end: int) -> Tensor:
        """The products with the basis vectors from ``at`` to ``end``, as rows."""
        return self._products(self.op, self.basis[at:end])

    def solve(self) -> tuple[Tensor, Tensor, Tensor]:
        """Ritz values, their small vectors and residuals, those asked for first."""
        c = self.filled
        if self._solved is None:
            with one_thread(self.core):
                values, p = torch.linalg.eigh(self.core[:c, :c])
            order = keys(values, self.which).argsort(descending=True, stable=True)
            p = p[:, order]
            last = p[c - self.tail.shape[1] :]
            self._solved = values[order], p, (self.tail @ last).norm(dim=0)
        return self._solved

    def ritz(self) -> tuple[Tensor, Tensor]:
        """Keys of the Ritz values, descending, and their residuals."""
        values, _, residuals = self.solve()
        return keys(values, self.which), residuals

    def forms(self) -> list[Form]:
        """Both sides where values are asked for by magnitude, else that which is asked for."""
        signs = {"largest": (1,), "smallest": (-1,), "magnitude": (1, -1)}[self.which]
        return [self._form(sign) for sign in signs]

    def _form(self, sign: int) -> Form:
        values, p, _ = self.solve()
        at, end = self.filled - self.tail.shape[1], self.filled
        seen = torch.linalg.eigvalsh(self.core[at:end, at:end])
        coupling = self.tail @ p[at:]
        theta, order = (sign * values).sort(descending=True, stable=True)
        outlook = float((sign * seen).max())
        return Form(theta, coupling[:, order], outlook, self.rooted)

    def polynomial(self, key: float) -> float:
        """``log |p(key)|``, where ``p(A)`` of the first vector is the waiting one; blocks of one.

        For keys beyond the Ritz values, and before any restart.
        """
        c = self.filled
        steps = torch.cat([self.core[:c, :c].diagonal(1), self.tail.reshape(-1)[:1]]).abs()
        factors = (key - keys(self.solve()[0], self.which)).clamp_min(1e-300)
        return float(factors.log().sum() - steps.clamp_min(1e-300).log().sum())

    def floor(self, wanted: Tensor) -> float:
        """``10 eps |l|_max``."""
        return arithmetic_floor(self.op, float(wanted.abs().max()))

    def limit(self, wanted: Tensor) -> float:
        """Half the floor: the smallest values of a semi-definite matrix get no better."""
        return self.floor(wanted) / 2

    def restart(self, keep: int) -> None:
        """Thick restart: the leading ``keep`` Ritz vectors and the waiting block stay."""
        values, p, _ = self.solve()
        turn(self.basis[: self.filled], p[:, :keep])
        self._restarted(keep, values, p)
        self._solved = None

    def vectors(self, k: int) -> Tensor:
        """Leading ``k`` Ritz vectors as columns, ``(n, k)``."""
        return self._turned(self.basis, self.solve()[1][:, :k]).T
