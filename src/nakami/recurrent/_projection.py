"""The nearest matrix whose largest singular value keeps a bound; kept up over many small steps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..results import RunError, is_number, wrong, wrong_type
from ..spectra import _lapack

TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-12}  # of the bound
SPARE = 5  # vectors beside those above the bound
SMALL = 48  # a side below which the full decomposition is as quick
PASSES = 4  # that widen the subspace, then the full decomposition
NEAR = 0.99  # of the bound: values from here on are followed, for the next step may lift them
MOST = 4  # a share of the side: with more vectors a full decomposition is as quick


@dataclass(frozen=True)
class Held:
    """What one call of ``SpectralBall.hold`` found and did.

    Attributes:
        least, most: Between these lies the largest singular value before the projection; equal
            after a full decomposition.
        clipped: Singular values that were above the bound and now equal it.
        how: ``skipped`` (Weyl's bound rules a crossing out), ``inside`` (measured, nothing to do),
            ``truncated`` (projected by the leading vectors) or ``full`` (a whole decomposition).
    """

    least: float
    most: float
    clipped: int
    how: str


def project(matrix: Tensor, bound: float) -> Tensor:
    """The matrix nearest to this one, in Frobenius norm, with no singular value above ``bound``.

    Singular values above the bound become the bound, those below and all vectors stay:
    ``matrix - sum_i max(sigma_i - bound, 0) u_i v_i^T``. A full decomposition: O(rows columns
    min(rows, columns)).

    Args:
        matrix: Of two dimensions, float32 or float64.
        bound: Above 0.

    Returns:
        A new matrix of the same type and device; a copy where nothing is above the bound.

    Raises:
        UsageError: Not a finite matrix of these types; a bound that is not above 0.

    Source: Kanai, Fujiwara and Iwamura, NIPS 2017.
    """
    check_matrix("matrix", matrix)
    if not is_number(bound) or not 0 < bound < math.inf:
        raise wrong("bound", "be a finite number above 0", repr(bound), "pass 1.8")
    if not bool(matrix.isfinite().all()):
        raise wrong("matrix", "be finite", "NaN or infinite entries", "project before they appear")
    with torch.no_grad():
        return _clipped(matrix.detach(), float(bound))[0]


def check_matrix(argument: str, matrix: object) -> None:
    """Refuse what is no matrix of float32 or float64."""
    if not isinstance(matrix, Tensor):
        way_out = "pass a tensor, such as gru.weight_hh_l0[-gru.hidden_size:]"
        raise wrong_type(argument, "be a tensor", type(matrix).__name__, way_out)
    if matrix.ndim != 2 or not matrix.numel():
        rule, got = "have two dimensions and entries", f"shape {tuple(matrix.shape)}"
        raise wrong(argument, rule, got, "pass one matrix")
    if matrix.dtype not in TOLERANCE:
        way_out = "keep the weights in float32 and use torch.autocast for the steps"
        raise wrong(argument, "be float32 or float64", str(matrix.dtype), way_out)


def _clipped(matrix: Tensor, bound: float) -> tuple[Tensor, Tensor, Tensor]:
    """By a full decomposition: the projection, the singular values before it, right vectors (rows).

    In float64 where the device has it: after a large step the rounding of float32 would be that of
    the values before the projection.
    """
    exact = matrix if matrix.device.type == "mps" else matrix.double()
    u, s, vh = _lapack.svd(exact, full_matrices=False)
    n = int((s > bound).sum())
    projected = matrix - ((u[:, :n] * (s[:n] - bound)) @ vh[:n]) if n else exact
    return projected.to(matrix.dtype), s, vh.to(matrix.dtype)


class SpectralBall:
    """Keeps one matrix that moves a little at a time at ``sigma_1 <= bound``, with little work.

    By Weyl a singular value moves at most by the norm of the step: where the last known largest
    value and the Frobenius norm of what has changed since stay within the bound, nothing is
    decomposed. Else the leading singular vectors of the last look are improved (Rayleigh-Ritz in
    their span and that of their images), the values above the bound are lowered to it, and a
    Cholesky factorisation of ``c^2 I - P^T P`` with ``c`` the bound times 1 + 1e-5 proves that
    nothing is above ``c``. That proof is enough: with orthonormal Ritz vectors ``<W - P, Y - P> <=
    0`` for every ``Y`` in the ball, so that a ``P`` in the ball is the nearest point of it. Without
    proof after a few wider spans, in float64 and for small sides a full decomposition follows.

    Cost, ``H x H``: skipped O(H^2); else O(H^2 p) for ``p`` vectors and one product and one
    factorisation of O(H^3), about a tenth of a full decomposition at
    H = 512. Memory: 2 H^2.

    Args:
        matrix: The first one; only its shape, type and device count.
    """

    def __init__(self, matrix: Tensor):
        self.tolerance = TOLERANCE[matrix.dtype]
        self._whole = min(matrix.shape) <= SMALL or matrix.dtype == torch.float64
        self._reference: Tensor | None = None  # what ``_ceiling`` was measured at
        self._ceiling, self._floor = math.inf, 0.0  # bounds of its largest singular value
        self._vectors: Tensor | None = None  # (columns, p), the leading ones of the last look

    @torch.no_grad()
    def hold(self, matrix: Tensor, bound: float) -> Held:
        """Project the matrix in place if anything is above the bound.

        Args:
            matrix: May be a view of a parameter; nothing is written where nothing is above.
            bound: Above 0.

        Raises:
            RunError: The matrix is not finite.
        """
        moved = self._moved(matrix)
        reach, least = self._ceiling + moved, max(0.0, self._floor - moved)
        if reach <= bound:
            return Held(least, reach, 0, "skipped")
        found = None if self._whole else self._truncated(matrix, bound, reach)
        if found is None:
            found = self._full(matrix, bound)
        projected, held, self._ceiling = found
        self._floor = min(held.least, bound)
        if held.clipped:
            matrix.copy_(projected)
        self._reference = projected.clone()
        return held

    def _moved(self, matrix: Tensor) -> float:
        """Norm of what changed since the last look: by Weyl no singular value moved further."""
        moved = float((matrix if self._reference is None else matrix - self._reference).norm())
        if not math.isfinite(moved):
            raise RunError(
                "A recurrent weight matrix is not finite after this step; lower the learning rate "
                "or start again from the last checkpoint."
            )
        return moved * (1 + 1e-5)

    def _full(self, matrix: Tensor, bound: float) -> tuple[Tensor, Held, float]:
        projected, s, vh = _clipped(matrix, bound)
        clipped, near = int((s > bound).sum()), int((s > NEAR * bound).sum())
        self._vectors = vh[: near + SPARE].T.clone()
        largest = float(s[0])
        held = Held(largest, largest, clipped, "full")
        return projected, held, min(largest, bound) * (1 + self.tolerance)

    def _truncated(
        self, matrix: Tensor, bound: float, reach: float
    ) -> tuple[Tensor, Held, float] | None:
        """By the leading singular vectors; None where they did not suffice."""
        limit = bound * (1 + self.tolerance)
        basis = self._start(matrix)
        images = matrix @ basis
        for _ in range(PASSES):
            squares, turn = _lapack.eigh(images.T @ images)
            s, turn = squares.flip(0).clamp_min(0).sqrt(), turn.flip(1)
            n, near = int((s > limit).sum()), int((s > NEAR * bound).sum())
            if near + SPARE > matrix.shape[1] // MOST:
                return None
            v, u = basis @ turn[:, :n], images @ turn[:, :n] / s[:n]
            projected = matrix - (u * (s[:n] - bound)) @ v.T if n else matrix
            self._vectors = basis @ turn[:, : near + SPARE]
            sigma = float(s[0])
            apart = sigma + (bound - sigma) / 4  # above the rounding, and far below the bound
            if not n and _within(projected, apart):
                return projected, Held(sigma, apart, 0, "inside"), apart
            if _within(projected, limit):
                how = "truncated" if n else "inside"
                most = reach if n else limit
                return projected, Held(sigma, max(sigma, most), n, how), limit
            more = matrix.T @ u - v * s[:n] if n and near < len(s) else self._random(matrix, len(s))
            more = _orthogonal(more, basis)
            basis, images = torch.cat([basis, more], 1), torch.cat([images, matrix @ more], 1)
        return None

    def _start(self, matrix: Tensor) -> Tensor:
        """Vectors of the last look, improved once, and random ones where there are none."""
        v = self._random(matrix, 2 * SPARE) if self._vectors is None else self._vectors
        return torch.linalg.qr(matrix.T @ (matrix @ v)).Q

    @staticmethod
    def _random(matrix: Tensor, n: int) -> Tensor:
        """The same directions each time, so that processes that train together agree."""
        generator = torch.Generator().manual_seed(0)
        drawn = torch.randn(matrix.shape[1], n, generator=generator, dtype=torch.float64)
        return drawn.to(matrix)

    def state(self) -> dict[str, Any]:
        """All that the next call depends on: tensors and one number."""
        copies = {"reference": self._reference, "vectors": self._vectors}
        found = {name: None if t is None else t.clone() for name, t in copies.items()}
        return {**found, "ceiling": self._ceiling, "floor": self._floor}

    def load(self, state: Mapping[str, Any], like: Tensor) -> None:
        """Go on where ``state`` was taken."""
        tensors = {name: state[name] for name in ("reference", "vectors")}
        moved = {name: None if t is None else t.to(like, copy=True) for name, t in tensors.items()}
        self._reference, self._vectors = moved["reference"], moved["vectors"]
        self._ceiling, self._floor = float(state["ceiling"]), float(state["floor"])


def _orthogonal(more: Tensor, basis: Tensor) -> Tensor:
    """An orthonormal basis of what ``more`` adds to ``basis``."""
    for _ in range(2):  # the second pass removes what rounding left
        more = torch.linalg.qr(more - basis @ (basis.T @ more)).Q
    return more


def _within(matrix: Tensor, bound: float) -> bool:
    """Whether no singular value is above the bound: ``bound^2 I - matrix^T matrix`` is positive."""
    gram = matrix.T @ matrix
    gram.neg_().diagonal().add_(bound**2)
    return int(torch.linalg.cholesky_ex(gram).info) == 0
