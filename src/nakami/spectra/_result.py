"""What the engine returns: singular values and eigenvalues with the doubt they carry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..results import (
    Ended,
    Ending,
    NotConvergedWarning,
    Outcome,
    Plotted,
    SpectrumEnding,
    counted,
    warn,
)
from ._operator import LinearOperator
from .krylov._start_moments import StartMoments

WITH_COUNT: dict[Ending, Ending] = {
    SpectrumEnding.UNCHECKED: SpectrumEnding.SPENT,
    SpectrumEnding.MISSED: SpectrumEnding.OPEN,
}

ROWS = 1 << 18  # of long vectors that are looked at in float64 at a time


@dataclass(frozen=True, repr=False)
class SVDResult(Plotted, Ended):
    """Leading singular triplets of a matrix ``A`` of shape ``(m, n)``.

    Attributes:
        values: ``(k,)`` float64, descending; ascending where the smallest were asked for.
        left: ``(m, k)`` orthonormal columns ``u``, or None.
        right: ``(n, k)`` orthonormal columns ``v``, or None.
        residuals: ``(k,)`` float64, absolute: ``max(|A v - s u|, |A^T u - s v|)``. Krylov: from the
            recurrence plus the rounding seen in up to four triplets that are measured. Dense, of
            more than 64 triplets: those of more than ``1e-7 s``; of the others bounds about three
            times as large, which all hold but for a chance of 1e-3.
        outcome: How the computation ended; ``converged`` and ``reason`` are read from it.
        n_products: Columns multiplied by ``A`` or its transpose.
        settings: Method, tolerance, seed, block and basis sizes. Krylov: ``delta`` and
            ``level``; but for a chance of ``delta`` over seeds, no value outside those returned
            lies above ``level``, and each value is the i-th largest to within ``errors[i]``.
        reliable: ``(k,)`` bool; False where the value lies below ``floor``.
        floor: Smallest value that the arithmetic tells from zero: ``sqrt(eps) s_1`` through a Gram
            matrix, ``10 eps s_1`` otherwise, with the larger of the two where both were at work.
        errors: ``(k,)`` float64, relative error of each value: dense, ``min(r, r^2/gap)/s``;
            Krylov, its distance to an upper bound of the i-th largest value (docs/engine.md). And
            ``eps s_1/s`` for the rounding of the products; without vectors, where values are roots
            of eigenvalues of ``A^T A``, ``eps (s_1/s)^2`` more.
        moments: Krylov, with vectors and random start vectors: what these have shown of all
            squares of values before any restart, which ``remainder`` reads; else None.
    """

    columns: ClassVar[tuple[str, ...]] = ("values", "errors", "residuals", "reliable")
    values: Tensor
    left: Tensor | None
    right: Tensor | None
    residuals: Tensor
    outcome: Outcome
    n_products: int
    settings: Mapping[str, Any]
    reliable: Tensor
    floor: float
    errors: Tensor
    moments: StartMoments | None = None

    @property
    def method(self) -> str:
        """``"dense"``, ``"gram"`` or ``"krylov"``."""
        return str(self.settings["method"])

    def __repr__(self) -> str:
        return _short(self)


@dataclass(frozen=True, repr=False)
class EighResult(Plotted, Ended):
    """Eigenpairs of a symmetric matrix ``A`` of shape ``(n, n)``.

    Attributes:
        values: ``(k,)`` float64, those asked for first: descending, ascending (``"smallest"``) or
            descending in size (``"magnitude"``).
        vectors: ``(n, k)`` orthonormal columns ``v``.
        residuals: ``(k,)`` float64, absolute: ``|A v - l v|``.
        outcome: How the computation ended; ``converged`` and ``reason`` are read from it.
        n_products: Columns multiplied by ``A``.
        settings: Method, which, tolerance, seed, block and basis sizes; ``delta`` and ``level`` as
            in ``SVDResult`` (by magnitude: of sizes). One value alone: ``margin`` and ``unlikely``,
            the chance that a value beyond ``1 + margin`` times the one returned was missed.
        reliable: ``(k,)`` bool; False where the size lies below ``floor``.
        floor: Smallest size that the arithmetic tells from zero, ``10 eps |l|_max``.
        errors: ``(k,)`` float64, relative error of each value: dense, ``min(r, r^2/gap)/|l|``;
            Krylov, its distance to an upper bound of the i-th; one value alone, ``r/|l|``. And
            ``eps |l|_max/|l|`` for the rounding of the products.
    """

    columns: ClassVar[tuple[str, ...]] = ("values", "errors", "residuals", "reliable")
    values: Tensor
    vectors: Tensor
    residuals: Tensor
    outcome: Outcome
    n_products: int
    settings: Mapping[str, Any]
    reliable: Tensor
    floor: float
    errors: Tensor

    @property
    def method(self) -> str:
        """``"dense"``, ``"krylov"``, or ``"root"``: singular values of a root of the matrix."""
        return str(self.settings["method"])

    def __repr__(self) -> str:
        return _short(self)


def _short(result: SVDResult | EighResult) -> str:
    """One line: what was found, and how it ended."""
    ends = f"{float(result.values[0]):.6g} to {float(result.values[-1]):.6g}"
    return (
        f"{type(result).__name__}({counted(len(result.values), 'value')} {ends}, "
        f"{result.method}, {counted(result.n_products, 'product')}, {result.reason})"
    )


@dataclass(frozen=True)
class Found:
    """What a method found, not judged yet: singular triplets, or eigenpairs."""

    values: Tensor  # (k,) float64
    left: Tensor | None  # (m, k); None for eigenpairs, or where values alone were asked for
    right: Tensor | None  # (n, k); None where values alone were asked for
    residuals: Tensor  # (k,) float64
    shifts: Tensor  # (k,) float64, absolute: how far the true values may lie from these
    n_products: int
    settings: Mapping[str, Any]
    top: float  # largest size known, the yardstick of the floor
    stopped: Outcome | None = None  # why the method ended early, if it did
    rooted: int = 0  # how many, the first, are roots of eigenvalues of A^T A
    gaps: Tensor | None = None  # (k,) float64, to the next value, where all others are known
    moments: StartMoments | None = None  # of the random start vectors, where the run kept them


def judged(
    name: str, op: LinearOperator, found: Found, tol: float, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """What both results hold: values, their doubt and how it ended; warns if not all is settled.

    Args:
        name: The public function that was called.
        op: The matrix.
        found: By one of the methods.
        tol: Relative error asked for.
        settings: To be added to those of the method.
    """
    values = found.values
    floor = arithmetic_floor(op, found.top, found.settings["method"])
    shifts = relative(found.shifts, values, floor)
    errors = with_rounding(op, shifts, values, found.top, floor, found.rooted)
    reliable = values.abs() > floor
    within = reliable & (errors <= tol)
    limited = int((~within & _at_limit(found.residuals, shifts, reliable, floor, tol)).sum())
    outcome = _outcome(len(values), int(within.sum()), limited, tol, found.stopped)
    if not outcome.converged:
        warn(
            NotConvergedWarning(
                f"{name} did not converge: {outcome.reason}; {{way_out}}.",
                way_out=["raise {max_products}", "raise {memory_budget}", "lower {k}"],
            )
        )
    return {
        "values": values,
        "residuals": found.residuals,
        "outcome": outcome,
        "n_products": found.n_products,
        "settings": {**found.settings, "tol": tol, **settings},
        "reliable": reliable,
        "floor": floor,
        "errors": errors,
    }


def _outcome(k: int, within: int, limited: int, tol: float, stopped: Outcome | None) -> Outcome:
    above = k - within - limited
    numbers: dict[str, Any] = {"values": k, "within": within, "limited": limited, "tol": tol}
    if above == 0 and stopped is None:
        return Outcome(SpectrumEnding.LIMITED if limited else SpectrumEnding.WITHIN, numbers)
    kind: Ending = SpectrumEnding.ABOVE if stopped is None else stopped.kind
    if above:
        kind = WITH_COUNT.get(kind, kind)
    return Outcome(kind, {**numbers, "above": above, **(stopped.numbers if stopped else {})})


def _at_limit(
    residuals: Tensor, shifts: Tensor, reliable: Tensor, floor: float, tol: float
) -> Tensor:
    """Where a value is as good as the arithmetic allows, whatever its error is.

    A value below the floor is marked, not resolved: its residual only has to be as small as that.
    Above it the method must have done its part, or the residual be down at the floor.
    """
    return torch.where(reliable, (shifts <= tol) | (residuals <= floor), residuals <= 10 * floor)


def residuals_of(op: LinearOperator, s: Tensor, left: Tensor | None, right: Tensor) -> Tensor:
    """``|A v - l v|``, or ``max(|A v - s u|, |A^T u - s v|)`` with left vectors, ``(k,)``."""
    parts = []
    for here in torch.arange(len(s), device=s.device).split(32):
        v = right if len(here) == len(s) else right[:, here]  # a vector may be long
        u = v if left is None else left[:, here]
        part = _distances(op @ v, u, s[here])
        if left is not None:
            part = part.maximum(_distances(op.T @ u, v, s[here]))
        parts.append(part)
    return torch.cat(parts)


def _distances(images: Tensor, units: Tensor, s: Tensor) -> Tensor:
    """``|image - s unit|`` of each column in float64, ``(k,)``; some rows at a time."""
    pairs = zip(images.split(ROWS), units.split(ROWS), strict=True)
    each = [(image.double() - unit.double() * s).norm(dim=0) for image, unit in pairs]
    return torch.stack(each).norm(dim=0)


def nearest_shifts(residuals: Tensor, gaps: Tensor) -> Tensor:
    """``min(r, r^2 / gap)``, ``(k,)``: how far values lie from those found, all others known.

    Source: Parlett, The Symmetric Eigenvalue Problem, section 11.7 (both bounds).
    """
    return residuals.minimum(residuals * (residuals / gaps.clamp_min(1e-300)))  # r^2 may overflow


def relative(shifts: Tensor, values: Tensor, floor: float) -> Tensor:
    """Shifts over the size of the values, at least the floor, ``(k,)``."""
    return shifts / values.abs().clamp_min(max(floor, 1e-300))


def with_rounding(
    op: LinearOperator, shifts: Tensor, values: Tensor, top: float, floor: float, rooted: int = 0
) -> Tensor:
    """Relative errors with the rounding of the products, ``eps top / |value|``, added, ``(k,)``.

    For the first ``rooted`` values that of squares too.
    """
    scale = values.abs().clamp_min(max(floor, 1e-300))
    errors = shifts + torch.finfo(op.dtype).eps * top / scale
    errors[:rooted] += root_errors(op, values[:rooted], top)
    return errors


def root_errors(op: LinearOperator, values: Tensor, top: float) -> Tensor:
    """Relative error of values that are roots of eigenvalues of ``A^T A``, ``eps (top/value)^2``.

    With products right to ``eps top``, ``A^T (A v)`` is right to ``2 eps top^2``, and so is an
    eigenvalue; half of it relative to the eigenvalue is the relative error of the root.
    """
    return torch.finfo(op.dtype).eps * (top / values.clamp_min(1e-300)).square()


def arithmetic_floor(op: LinearOperator, top: float, method: str = "krylov") -> float:
    """Smallest value told from zero beside the largest, ``top``: ``10 eps top``, Gram its own."""
    floor = 10 * torch.finfo(op.dtype).eps * top
    if method == "gram":
        floor = max(floor, torch.finfo(torch.float64).eps ** 0.5 * top)
    return floor


def nearest_gaps(values: Tensor, k: int) -> Tensor:
    """Distance of each of the first ``k`` descending values to its nearest neighbour, ``(k,)``."""
    steps = (values[:-1] - values[1:]).abs()
    inf = values.new_full((1,), float("inf"))
    return torch.cat([inf, steps]).minimum(torch.cat([steps, inf]))[:k]
