"""Block Lanczos for symmetric matrices, with full reorthogonalisation and thick restarts.

``A V = V T + V_next S`` holds by construction; the eigenvalues of the small matrix ``T`` are those
of ``A`` seen from the basis, and ``S`` gives their residuals for free.

Source: Golub & Underwood, in Mathematical Software III (1977) for the block form; Wu & Simon, SIAM
J. Matrix Anal. Appl. 22 (2000) for the thick restart.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ._basis import orthonormal, random_rows
from ._loop import Plan
from ._operator import LinearOperator, finite
from ._result import arithmetic_floor
from ._search import keys
from ._threads import one_thread


class BlockLanczos:
    """The growing decomposition; ``which`` says what comes first. Basis vectors are rows."""

    def __init__(
        self,
        op: LinearOperator,
        plan: Plan,
        generator: torch.Generator,
        which: str,
        start: Tensor | None = None,
    ):
        self.op, self.plan, self.generator, self.which = op, plan, generator, which
        n = op.shape[0]
        like = torch.empty(0, dtype=op.dtype, device=op.device)
        self.basis = like.new_empty(plan.columns + plan.widest, n)
        self.core = torch.zeros(plan.columns, plan.columns, dtype=torch.float64)  # T, on the CPU
        self.filled = 0  # columns of T
        self.coupled = 0  # the waiting block is coupled to basis vectors from here on
        self.tail = torch.zeros(0, 0, dtype=torch.float64)  # S, (next block, last block)
        self.n_products = 0
        self.scale = 0.0  # largest column met, the yardstick for "zero"
        self.waiting = 0  # rows that the next step multiplies
        block = like.new_zeros(plan.block, n)
        if start is not None:
            block[: start.shape[1]] = start.T
        self.add(block)

    @property
    def full(self) -> bool:
        """Whether the next step does not fit into the basis."""
        return self.filled + self.waiting > self.plan.columns

    def add(self, directions: Tensor) -> None:
        """Let unit ``directions`` (rows) join the waiting block; zero rows become random ones."""
        end = self.filled + self.waiting
        block = orthonormal(directions, self.basis[:end], 0, 1.0, self._random)[0]
        self.basis[end : end + len(block)] = block
        self.waiting += len(block)
        self.coupled = 0

    def expand(self) -> None:
        """One step: a product with the waiting block, orthonormalised against the basis."""
        at, end = self.filled, self.filled + self.waiting
        images = finite(self.op @ self.basis[at:end].T).T.contiguous()
        self.n_products += len(images)
        self.scale = max(self.scale, float(images.norm(dim=1).max()))
        known = self.basis[:end]
        block, above, below = orthonormal(images, known, self.coupled, self.scale, self._random)
        self.basis[end : end + len(block)] = block
        corner = above[:, at:]
        self.core[:at, at:end] = above[:, :at].T
        self.core[at:end, :at] = above[:, :at]
        self.core[at:end, at:end] = (corner + corner.T) / 2
        self.filled, self.waiting, self.coupled, self.tail = end, len(block), at, below.T

    def solve(self) -> tuple[Tensor, Tensor, Tensor]:
        """Ritz values, their small vectors and residuals, those asked for first."""
        c = self.filled
        with one_thread(self.core):
            values, p = torch.linalg.eigh(self.core[:c, :c])
        order = keys(values, self.which).argsort(descending=True, stable=True)
        p = p[:, order]
        return values[order], p, (self.tail @ p[c - self.tail.shape[1] :]).norm(dim=0)

    def ritz(self) -> tuple[Tensor, Tensor]:
        """Keys of the Ritz values, descending, and their residuals."""
        values, _, residuals = self.solve()
        return keys(values, self.which), residuals

    def gaps(self, wanted: Tensor, rest: float) -> Tensor:
        """The gaps for which ``r^2 / gap`` is the room between a key and an upper bound of it.

        In the basis ``[V, V_next, ...]``, ``A`` (or ``-A``) is ``[[D, G^T], [G, C]]`` with ``C <=
        w``; putting ``w`` for ``C`` gives values above the true ones, index by index. By magnitude,
        where this does not hold, the distance to ``w``. ``w`` is ``rest`` and a little more.
        """
        lowest = float(wanted.min()) if self.which != "magnitude" else 0.0
        rest += 0.02 * max(rest - lowest, 0.0)
        if self.which == "magnitude":
            return (wanted - rest).clamp_min(1e-300)
        values, p, residuals = self.solve()
        ritz = keys(values, self.which)
        coupling = self.tail @ p[self.filled - self.tail.shape[1] :]
        corner = rest * torch.eye(len(coupling), dtype=ritz.dtype)
        above = torch.cat([ritz.diag(), coupling.T], 1)
        with one_thread(above):
            bounds = torch.linalg.eigvalsh(torch.cat([above, torch.cat([coupling, corner], 1)]))
        room = (bounds.flip(0)[: len(ritz)] - ritz).clamp_min(1e-300)
        return (residuals.square() / room).clamp_min(1e-300)[: len(wanted)]

    def floor(self, wanted: Tensor) -> float:
        """``10 eps |l|_max``."""
        return arithmetic_floor(self.op, float(wanted.abs().max()))

    def limit(self, wanted: Tensor) -> float:
        """Half the floor: the smallest values of a semi-definite matrix get no better."""
        return self.floor(wanted) / 2

    def restart(self, keep: int) -> None:
        """Thick restart: the leading ``keep`` Ritz vectors and the waiting block stay."""
        values, p, _ = self.solve()
        c = self.filled
        waiting = self.basis[c : c + self.waiting].clone()
        self.basis[:keep] = p[:, :keep].T.to(self.basis) @ self.basis[:c]
        self.basis[keep : keep + self.waiting] = waiting
        self.core.zero_()
        self.core[:keep, :keep] = torch.diag(values[:keep])
        self.tail = self.tail @ p[c - self.tail.shape[1] :, :keep]  # coupled to every kept vector
        self.filled, self.coupled = keep, 0

    def vectors(self, k: int) -> Tensor:
        """Leading ``k`` Ritz vectors as columns, ``(n, k)``."""
        _, p, _ = self.solve()
        return (p[:, :k].T.to(self.basis) @ self.basis[: self.filled]).T

    def _random(self, count: int, basis: Tensor, others: Tensor) -> Tensor:
        return random_rows(count, basis, others, self.generator)
