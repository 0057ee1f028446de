"""The spectral norm: one singular value, and how far to trust it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ..results import Ended, Outcome
from ._operator import LinearOperator
from ._svd import svd


@dataclass(frozen=True)
class NormResult(Ended):
    """Largest singular value of a matrix.

    Attributes:
        value: The norm, in the unit of the matrix.
        error: Absolute error of ``value``, as ``errors`` of ``SVDResult``; the value lies below the
            norm rather than above, since Ritz values approach from below.
        outcome: How the computation ended, and so ``reason`` and ``converged``: ``error`` is at
            most ``tol value``.
        n_products: Columns multiplied by the matrix or its transpose.
    """

    value: float
    error: float
    outcome: Outcome
    n_products: int


def norm(
    op: LinearOperator | Tensor,
    tol: float = 1e-4,
    *,
    memory_budget: int | None = None,
    seed: int = 0,
    start: Tensor | None = None,
    max_products: int | None = None,
) -> NormResult:
    """Largest singular value, ``max |A v| / |v|``, of an operator.

    Args:
        op: A nakami operator or a dense 2-d tensor, shape ``(m, n)``.
        tol: Bound on the estimated relative error.
        memory_budget: Bytes the method may hold beyond the operator itself; default 1 GiB.
        seed: Seed of the random start block; the global random state is not touched.
        start: Guesses of right singular vectors, ``(n, p)``.
        max_products: Bound on columns multiplied; default 2040.

    Returns:
        A ``NormResult``; where it is not converged, ``svd`` warns (``NotConvergedWarning``).

    Raises:
        UsageError: An argument out of range.
        RunError: A product is NaN or infinite.

    Cost: some 40 products, 150 where many values crowd at the top; dense where the small side is
    under 57.
    """
    top = svd(
        op,
        1,
        tol,
        method="krylov",
        memory_budget=memory_budget,
        seed=seed,
        start=start,
        max_products=max_products,
    )
    value = float(top.values[0])
    error = float(top.errors[0]) * max(value, top.floor)
    return NormResult(value, error, top.outcome, top.n_products)
