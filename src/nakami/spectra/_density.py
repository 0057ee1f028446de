"""How the eigenvalues of a symmetric operator lie: stochastic Lanczos quadrature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..results import Ended, Outcome, Plotted, SpectrumEnding, counted, told, wrong
from . import _lapack
from ._autocast import without_autocast
from ._check import (
    check_at_least,
    check_budget,
    check_choice,
    check_seed,
    check_square,
    check_symmetric,
    is_number,
)
from ._dense import check_eigh_memory, dense_eigh, eigh_bytes
from ._operator import LinearOperator, as_operator
from ._rescale import moderate
from ._threads import one_thread
from .krylov._vector_lanczos import VectorLanczos, signed_product

DENSITY_METHODS = ("auto", "dense", "lanczos")
GRID = 201  # points where none are given


@dataclass(frozen=True, repr=False)
class DensityResult(Plotted, Ended):
    """Density of the eigenvalues of a symmetric matrix, total mass 1.

    Attributes:
        points: ``(t,)`` float64, where the curves are given, in the unit of the eigenvalues.
        density: ``(t,)``, share of eigenvalues per unit, smoothed with a Gaussian of ``width``.
        density_se: ``(t,)``, its standard error over the probes; 0 where it is exact.
        cumulative: ``(t,)``, share of eigenvalues up to each point, smoothed alike.
        cumulative_se: ``(t,)``, its standard error over the probes.
        nodes: ``(p, s)`` float64, Ritz values of each probe; all eigenvalues, p = 1, where exact.
        weights: ``(p, s)`` float64, sum 1 over all: ``(weights * f(nodes)).sum()`` is an estimate
            of ``tr f(A) / n``, exact in expectation for polynomials of degree up to 2 s - 1.
        width: Standard deviation of the smoothing, in the unit of the eigenvalues.
        exact: Whether nodes are the eigenvalues themselves.
        outcome: How the computation ended; ``converged`` and ``reason`` are read from it.
        n_products: Columns multiplied by the matrix.
        n_probes: Random start vectors; 0 where exact.
        steps: Lanczos steps of each probe; n where exact.
        seed: Seed of the probes.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "points", "density", "density_se", "cumulative", "cumulative_se"
    )  # fmt: skip
    points: Tensor
    density: Tensor
    density_se: Tensor
    cumulative: Tensor
    cumulative_se: Tensor
    nodes: Tensor
    weights: Tensor
    width: float
    exact: bool
    outcome: Outcome
    n_products: int
    n_probes: int
    steps: int
    seed: int

    def __repr__(self) -> str:
        low, high = float(self.nodes.min()), float(self.nodes.max())
        points, products = counted(len(self.points), "point"), counted(self.n_products, "product")
        return (
            f"DensityResult({points}, Ritz values {low:.4g} to {high:.4g}, "
            f"width {self.width:.2g}, {products}, {self.reason})"
        )

    def per_decade(
        self, points: Tensor | Sequence[float], width: float = 0.1
    ) -> tuple[Tensor, Tensor]:
        """Density over ``log10``: share of eigenvalues per factor of ten, and its standard error.

        Args:
            points: Where, ``(t,)``, above 0, in the unit of the eigenvalues.
            width: Standard deviation of the smoothing, in decades.

        Returns:
            Two ``(t,)`` float64. Nodes at or below 0 are left out: their share has no place there.

        Raises:
            UsageError: Points at or below 0, a width at or below 0.
        """
        t = _points(points)
        if not bool((t > 0).all()):
            raise wrong("points", "lie above 0", float(t.min()), "pass points[points > 0]")
        if not (is_number(width) and 0 < width < float("inf")):
            raise wrong("width", "be positive and finite", repr(width), "leave it out")
        above = self.nodes > 0
        decades = torch.where(above, self.nodes, 1.0).log10()
        return _over_probes(_gauss(t.log10(), decades, width), self.weights * above)


@told
@without_autocast
def density(
    op: LinearOperator | Tensor,
    points: Tensor | Sequence[float] | None = None,
    *,
    width: float | None = None,
    steps: int = 64,
    probes: int = 16,
    method: str = "auto",
    memory_budget: int | None = None,
    seed: int = 0,
) -> DensityResult:
    """Density of the eigenvalues of a symmetric operator, with standard errors.

    From a random unit vector, ``steps`` Lanczos steps with full reorthogonalisation give a small
    matrix; its eigenvalues are nodes, the squared first components of its vectors weights. The
    standard errors tell how the probes differ. They do not hold the smoothing, nor the quadrature
    error, which is small where ``width`` is at least the range over ``steps``.

    Args:
        op: A nakami operator or a dense 2-d tensor, symmetric, shape ``(n, n)``.
        points: Where to give the curves, ``(t,)``; default 201 from below the least node to above
            the largest.
        width: Standard deviation of the smoothing; default the range of the nodes (where they are
            all equal, their size) over ``steps``.
        steps: Lanczos steps of each probe (at most n are made).
        probes: Random start vectors, at least 2.
        method: ``"dense"`` (all eigenvalues, exact, n products), ``"lanczos"``, or ``"auto"``:
            dense where n is at most ``steps probes`` and the matrix fits the budget.
        memory_budget: Bytes for the basis; as many probes run at once as fit. Default 1 GiB.
        seed: Seed of the probes; the global random state is not touched.

    Returns:
        A ``DensityResult``. An eigenvalue alone among n weighs 1/n, less than the standard error
        for large n: use ``eigh`` for the largest ones.

    Raises:
        UsageError: An argument out of range, or ``op`` not symmetric (one random pair is tried).
        RunError: A product is NaN or infinite.

    Source: Golub & Meurant, Matrices, Moments and Quadrature (2010), chapter 6; Ubaru, Chen & Saad,
    SIAM J. Matrix Anal. Appl. 38 (2017).
    """
    a = as_operator(op)
    check_square(a)
    check_choice("method", method, DENSITY_METHODS, "use 'auto'")
    steps = min(check_at_least("steps", steps, 1, "use 64"), a.shape[0])
    check_at_least("probes", probes, 2, "use 16; one probe has no standard error")
    if width is not None and not (is_number(width) and 0 < width < float("inf")):
        raise wrong("width", "be positive and finite", repr(width), "leave it out for the default")
    given = None if points is None else _points(points)
    seed, budget = check_seed(seed), check_budget(memory_budget)
    if method == "dense":
        check_eigh_memory(a, budget, "raise it, or use method 'lanczos'")
    with torch.no_grad():
        near_one, power = moderate(a, check_symmetric(a, seed))
        exact = method == "dense" or (
            method == "auto" and a.shape[0] <= steps * probes and eigh_bytes(a) <= budget
        )
        if exact:
            nodes, weights = _eigenvalues(near_one)
        else:
            nodes, weights = _quadrature(near_one, steps, probes, budget, seed)
    nodes = nodes * 2.0**power
    t, smooth = _grid(nodes, given, width, steps)
    curve, curve_se = _over_probes(_gauss(t, nodes, smooth), weights)
    total, total_se = _over_probes(_step(t, nodes, smooth), weights)
    n_probes, made = (0, a.shape[0]) if exact else (probes, steps)
    n_products = 2 + (a.shape[0] if exact else steps * probes)
    ended: tuple[SpectrumEnding, dict[str, object]]
    ended = SpectrumEnding.SAMPLED, {"probes": probes, "steps": steps}
    if exact:
        way = f"all {made} eigenvalues" if made > 1 else "the one eigenvalue"
        ended = SpectrumEnding.EXACT, {"way": way}
    return DensityResult(
        t,
        curve,
        curve_se,
        total,
        total_se,
        nodes,
        weights,
        smooth,
        exact,
        Outcome(*ended),
        n_products,
        n_probes,
        made,
        seed,
    )


def _eigenvalues(op: LinearOperator) -> tuple[Tensor, Tensor]:
    n = op.shape[0]
    values = dense_eigh(op, n, "smallest").values.cpu()
    return values[None], torch.full((1, n), 1 / n, dtype=torch.float64)


def _quadrature(
    op: LinearOperator, steps: int, probes: int, budget: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Nodes and weights of all probes, ``(probes, steps)`` each."""
    n = op.shape[0]
    one = (steps + 4) * n * op.dtype.itemsize
    if budget < one:
        raise wrong(
            "memory_budget",
            f"hold {counted(steps, 'vector')} of {counted(n, 'component')} ({one} bytes)",
            f"{budget} bytes",
            ["raise it", "lower {steps}"],
        )
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for at in range(0, probes, budget // one):
        count = min(budget // one, probes - at)
        draw = torch.randn(count, n, generator=generator, dtype=torch.float64)
        start = (draw / draw.norm(dim=1, keepdim=True)).to(op.device, op.dtype)
        run = VectorLanczos(signed_product(op), start, steps)
        for _ in range(steps):
            run.step()
        parts.append(run.tridiagonal())
        del run  # its memory is wanted
    small = torch.cat(parts)
    with one_thread(small[0]):
        nodes, vectors = _lapack.eigh(small)
    return nodes, vectors[:, 0].square() / probes


def _grid(
    nodes: Tensor, points: Tensor | None, width: float | None, steps: int
) -> tuple[Tensor, float]:
    low, high = float(nodes.min()), float(nodes.max())
    if width is None:
        top = max(abs(low), abs(high))
        width = (high - low if high - low > 1e-6 * top else top or 1.0) / steps
    if points is None:
        return torch.linspace(low - 4 * width, high + 4 * width, GRID, dtype=torch.float64), width
    return points, width


def _points(points: Tensor | Sequence[float]) -> Tensor:
    """Where the curves are asked for, refused before any product is made."""
    try:
        t = torch.as_tensor(points, dtype=torch.float64).cpu()
    except (TypeError, ValueError, RuntimeError):
        t = None
    if t is None or t.ndim != 1 or not torch.isfinite(t).all():
        got = f"{type(points).__name__}" if t is None else f"shape {tuple(t.shape)}"
        raise wrong("points", "be a finite list of numbers", got, "leave them out for a grid")
    return t


def _gauss(t: Tensor, nodes: Tensor, width: float) -> Tensor:
    return torch.exp(-(((t - nodes[..., None]) / width) ** 2) / 2) / (width * (2 * torch.pi) ** 0.5)


def _step(t: Tensor, nodes: Tensor, width: float) -> Tensor:
    return torch.special.ndtr((t - nodes[..., None]) / width)


def _over_probes(values: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard error of ``p`` curves, from ``(p, s, t)`` values and ``(p, s)`` weights."""
    p = len(weights)
    curves = p * (weights[..., None] * values).sum(1)
    if p == 1:
        return curves[0], torch.zeros_like(curves[0])
    return curves.mean(0), curves.std(0) / p**0.5
