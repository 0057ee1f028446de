"""The singular values that were not computed: their sums and their number above 1, by probes."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ..results import Remainder, wrong
from . import _lapack
from ._autocast import without_autocast
from ._check import check_at_least, check_budget, check_seed
from ._operator import LinearOperator, as_operator, finite
from ._rescale import moderate
from ._result import SVDResult
from ._start_count import Levels, count_of_starts, foretold
from ._step_bounds import mass_above
from .krylov._basis import random_rows
from .krylov._vector_lanczos import Product, VectorLanczos

PROBES, DEEP, STEPS = 8, 2, 48
HALFWAY = 24  # steps after which a run goes on only if that brings the bounds near
EXPECTED_PROBING = 2 * PROBES + 2 * DEEP * HALFWAY  # products, about
LOOK = 4  # steps between two looks at the bounds
CLOSE, NEAR = 0.05, 0.2  # bounds as close as this share of the count are close enough, and near


@without_autocast
def remainder(
    op: LinearOperator | Tensor,
    found: SVDResult,
    *,
    probes: int = PROBES,
    steps: int = STEPS,
    memory_budget: int | None = None,
    seed: int = 0,
) -> Remainder:
    """What random probes tell of the singular values that ``svd`` did not compute.

    A probe ``z`` is a random unit vector orthogonal to the singular vectors found, on the smaller
    side, in ``d = min(m, n) - k`` dimensions. The means of ``d |A z|^2`` and ``d |A^T A z|^2``,
    the latter outside of what was found, are the sums of ``s^2`` and ``s^4``. Two of the probes go
    on as Lanczos runs while the last value found lies above 1: each run bounds its share above 1 by
    the Chebyshev-Markov-Stieltjes inequalities, until the bounds are within 5 % of the count, or 24
    steps are made and twice as many would not bring them within 20 %. They are not made where the
    random start vectors of the Krylov run behind ``found`` bound the count as closely already.

    Args:
        op: A nakami operator or a dense 2-d tensor, shape ``(m, n)``.
        found: What ``svd`` returned for it, with vectors, the largest values.
        probes: Random probes, at least 2. They are multiplied at once.
        steps: Lanczos steps of the two deep probes, at most, at least 2.
        memory_budget: Bytes; half of it holds the Lanczos vectors, so that a small one leaves fewer
            steps, two at least. Default 1 GiB.
        seed: Seed of the probes; the global random state is not touched. Start vectors have the
            seed of ``svd``.

    Returns:
        A ``Remainder``. Exact, and without chance, where nothing was left out, where the last value
        found lies below the floor of the arithmetic, and where so few values are left that all of
        them cost no more products than the probes.

    Raises:
        UsageError: An argument out of range, or ``found`` without vectors.
        RunError: A product is NaN or infinite.

    Cost: ``2 probes`` products, and ``4 steps`` at most where the count is open.

    Source: Golub & Meurant, Matrices, Moments and Quadrature (2010), chapters 6 and 11; Ubaru, Chen
    & Saad, SIAM J. Matrix Anal. Appl. 38 (2017); the normalised probes as in Epperly, Tropp &
    Webber, XTrace, SIAM J. Matrix Anal. Appl. 45 (2024).
    """
    a = as_operator(op)
    check_at_least("probes", probes, 2, f"use {PROBES}; one probe has no standard error")
    check_at_least("steps", steps, 2, f"use {STEPS}")
    seed, budget = check_seed(seed), check_budget(memory_budget)
    if a.shape[0] < a.shape[1]:
        a, vectors = a.T, found.left
    else:
        vectors = found.right
    if vectors is None:
        raise wrong("found", "hold singular vectors", "none", "call svd with vectors=True")
    size, last = a.shape[1] - len(found.values), float(found.values[-1])
    if size == 0 or last <= found.floor:
        return Remainder(size, seed=seed)
    room = budget // (2 * DEEP * a.shape[1] * a.dtype.itemsize)
    steps = max(2, min(steps, room))
    with torch.no_grad():
        near_one, power = moderate(a, float(found.values[0]))
        run = _Complement(near_one, power, vectors, size, seed)
        opened = last > 1
        if size <= probes + opened * DEEP * (steps - 1):
            return run.whole(found)
        return run.probed(found, probes, steps if opened else 1)


class _Complement:
    """``A^T A`` on what is orthogonal to the singular vectors found, ``size`` dimensions.

    ``op`` is ``2^-power`` of the matrix, its smaller side on the right.
    """

    def __init__(self, op: LinearOperator, power: int, vectors: Tensor, size: int, seed: int):
        self.op, self.scale, self.size, self.seed = op, 4.0**power, size, seed
        self.known = vectors.T.to(op.device, op.dtype).contiguous()
        self.generator = torch.Generator().manual_seed(seed)

    def whole(self, found: SVDResult) -> Remainder:
        """All values that were left, from the matrix on the whole complement."""
        nothing = self.known[:0]
        rows = random_rows(self.size, self.known, nothing, self.generator)
        small = (rows.double() @ _gram(self.op)(rows)[0].double().T).cpu()
        squares = _lapack.eigvalsh((small + small.T) / 2).clamp_min(0) * self.scale
        below, beyond = _levels(found)
        return Remainder(
            self.size,
            float(squares.sum()),
            float(squares.square().sum()),
            above=(int((squares > beyond).sum()), int((squares > below).sum())),
            n_products=2 * self.size,
            seed=self.seed,
        )

    def probed(self, found: SVDResult, probes: int, steps: int) -> Remainder:
        """The sums by all probes, and the number above 1 by the deep ones."""
        shown = self._by_starts(found, steps) if steps > 1 else None
        deep = DEEP if steps > 1 and shown is None else 0
        start, runs = self._start(probes), []
        for part, most in ((start[:deep], steps), (start[deep:], 1)):
            if len(part):
                runs.append(VectorLanczos(_gram(self.op), part, most, self.known))
                runs[-1].step()
        first = np.concatenate([run.alpha[:, 0].numpy() for run in runs])
        second = first**2 + np.concatenate([run.beta[:, 0].numpy() ** 2 for run in runs])
        samples = self.size * np.stack([first * self.scale, second * self.scale**2])
        (ss, sf), (_, ff) = np.cov(samples) / probes
        above, made = (0.0, 0.0), 1
        if shown is not None:
            above, deep, made = shown
        elif deep:
            above, made = self._above(runs[0], found, steps), runs[0].made
        squares, fourths = samples.mean(1)
        return Remainder(
            self.size,
            float(squares),
            float(fourths),
            covariance=(float(ss), float(sf), float(ff)),
            above=above,
            exact=False,
            n_probes=probes,
            n_deep=deep,
            steps=made,
            n_products=2 * sum(run.made * len(run.alpha) for run in runs),
            seed=self.seed,
        )

    def _by_starts(
        self, found: SVDResult, steps: int
    ) -> tuple[tuple[float, float], int, int] | None:
        """Bounds of the number above 1 by the start vectors, with their number and steps.

        None where probes of ``steps`` steps would come closer, by the rule that ends them.
        """
        moments = found.moments
        if moments is None:
            return None
        unit, k = 4.0**moments.power, len(found.values)
        below, beyond = (level / unit for level in _levels(found))
        levels = Levels(below, beyond, _top(found) / unit, _top(found, 0) / unit)
        rounding = 10 * torch.finfo(self.op.dtype).eps
        shown = count_of_starts(moments, levels, self.size, rounding)
        after = foretold(moments, levels, self.size)
        probed = after(min(HALFWAY, steps))
        if probed is not None and probed.open_share(k) * HALFWAY <= NEAR * steps:
            probed = after(steps)
        made = min(len(alpha) for alpha, _ in moments.runs)
        if shown.open_share(k) <= CLOSE or (
            probed is not None and shown.high - shown.low <= probed.high - probed.low
        ):
            return shown, len(moments.runs), made
        return None

    def _above(self, run: VectorLanczos, found: SVDResult, steps: int) -> tuple[float, float]:
        """Bounds of the number above 1, after as many steps as make them close."""
        while True:
            for _ in range(min(LOOK - run.made % LOOK, steps - run.made)):
                run.step()
            low, high = self._bounds(run, found)
            left = (high - low) / (len(found.values) + (low + high) / 2)
            hopeless = run.made >= HALFWAY and left * run.made > NEAR * steps  # it falls as 1/steps
            if left <= CLOSE or hopeless or run.made == steps or not bool(run.alive.any()):
                return low, high

    def _bounds(self, run: VectorLanczos, found: SVDResult) -> tuple[float, float]:
        below, beyond = (level / self.scale for level in _levels(found))
        top = _top(found) / self.scale
        made, pairs = run.made, []
        for alpha, beta, alive in zip(run.alpha, run.beta, run.alive, strict=True):
            a, b = alpha[:made].numpy(), beta[:made].numpy().copy()
            b[-1] *= bool(alive)
            low, high = (mass_above(a, b, level, top) for level in (beyond, below))
            pairs.append((low[0], high[1]))
        rounding = 10 * made * torch.finfo(self.op.dtype).eps  # of the weights of the points
        low, high = np.mean(pairs, axis=0)
        low, high = max(0.0, low - rounding), min(1.0, high + rounding)
        return self.size * float(low), self.size * float(high)

    def _start(self, count: int) -> Tensor:
        """Random unit rows, orthogonal to what was found, not to each other."""
        draw = torch.randn(count, self.op.shape[1], generator=self.generator, dtype=torch.float64)
        rows = draw.to(self.known)
        for _ in range(2):
            rows = rows - (rows @ self.known.T) @ self.known
        return rows / rows.double().norm(dim=1, keepdim=True).to(rows)


def _gram(op: LinearOperator) -> Product:
    """``A^T A`` times rows, and ``|A row|^2``."""

    def product(rows: Tensor) -> tuple[Tensor, Tensor]:
        across = finite(op @ rows.T)
        return finite(op.T @ across).T, across.double().square().sum(0).cpu()

    return product


def _levels(found: SVDResult) -> tuple[float, float]:
    """1, less and more what rounding may have moved a square by."""
    blur = found.floor * float(found.values[-1])
    return max(0.0, 1 - blur), 1 + blur


def _top(found: SVDResult, at: int = -1) -> float:
    """No square from that place on is larger, of the last: none that was left out.

    Infinity where that is not settled.
    """
    if not found.converged:
        return math.inf
    return (float(found.values[at]) * (1 + float(found.errors[at])) + found.floor) ** 2
