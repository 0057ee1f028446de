"""The phase diagram: the strip of two stable states, and the point where it ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq, minimize_scalar

from ...results import Shown, check_at_least, wrong
from ._branches import Branches, gap_of
from ._channel import Array
from ._checks import load, one_margin
from ._information import gains
from ._transition import of_branches, weak_recovery

WITHOUT = "the margin is above critical_margin(): the error never jumps"
FIELDS = ("beta_appears", "beta_t", "beta_ends", "q_before", "q_after")


@dataclass(frozen=True)
class CriticalPoint(Shown):
    """Where the two spinodals meet and the jump ends.

    Attributes:
        kappa: Margin. exists: Whether there is such a point at ``alpha >= 0``; if not, ``reason``
            says so and the rest is NaN.
        alpha, beta: Patterns over N, labelled and unlabelled. q: Overlap there.
    """

    kappa: float
    exists: bool
    alpha: float
    beta: float
    q: float
    reason: str = ""


@dataclass(frozen=True, repr=False)
class PhaseDiagram(Shown):
    """Transitions by the number of labelled patterns; arrays are ``(n,)``.

    Attributes:
        kappa: Margin. alpha: Labelled patterns over N.
        beta_appears, beta_t, beta_ends, q_before, q_after: See ``Transition``; NaN where the error
            does not jump.
        critical: Where the strip between the spinodals ends.
        weak_recovery: ``beta_c`` at ``alpha = 0``.
    """

    columns: ClassVar[tuple[str, ...]] = ("alpha", *FIELDS)
    kappa: float
    alpha: Array
    beta_appears: Array
    beta_t: Array
    beta_ends: Array
    q_before: Array
    q_after: Array
    critical: CriticalPoint
    weak_recovery: float

    @property
    def better_from(self) -> float:
        """``beta_t`` without labels where it lies below ``weak_recovery``, else NaN.

        From there on the better state is the likelier one, though a start that knows nothing stays.
        """
        first = float(self.beta_t[0]) if self.alpha[0] == 0 else float("nan")
        return first if first < self.weak_recovery else float("nan")

    def __repr__(self) -> str:
        jumps = int(np.isfinite(self.beta_t).sum())
        return f"PhaseDiagram(kappa {self.kappa:g}: a jump at {jumps} of {len(self.alpha)} alphas)"


def critical_point(kappa: float) -> CriticalPoint:
    """The critical end point ``(alpha*, beta*)`` of a margin.

    At each q the two equations ``q / (1 - q) = beta A + alpha B`` and ``(1 - q)^-2 = beta dA/dq +
    alpha dB/dq`` give the point of the diagram where q is a spinodal; along that line alpha is
    largest at the end point.

    Args:
        kappa: Margin, 0.0001 to 5.

    Returns:
        See ``CriticalPoint``. At a maximum alpha and beta are good to 1e-9, q to 1e-5.

    Raises:
        UsageError: ``kappa`` out of range.

    Cost: 50 ms. Source: as ``transition``.
    """
    k = one_margin("kappa", kappa)
    alpha, beta, q = _cusp(k)
    if not alpha >= 0:
        nan = float("nan")
        return CriticalPoint(k, False, nan, nan, nan, WITHOUT)
    return CriticalPoint(k, True, alpha, beta, q)


def critical_margin() -> float:
    """``kappa*``, the margin above which the error never jumps, about 0.645.

    The root of ``alpha*(kappa) = 0``. Cost: 0.5 s.
    """
    return float(brentq(lambda k: _cusp(k)[0], 0.6, 0.7, xtol=1e-10))


def phase_diagram(kappa: float, alpha: ArrayLike | None = None, *, n: int = 25) -> PhaseDiagram:
    """Transition and spinodals over ``alpha``, and where they end.

    Args:
        kappa: Margin, 0.0001 to 5.
        alpha: Labelled patterns over N, ``(n,)``; where left out, n values from 0 to just below
            the critical end point (0 alone where there is none), closer together near it.
        n: How many, at least 2.

    Returns:
        See ``PhaseDiagram``.

    Raises:
        UsageError: Arguments out of range.

    Cost: 0.1 s for each alpha. Source: as ``transition``.
    """
    k, n = one_margin("kappa", kappa), check_at_least("n", n, 2, "25 is the default")
    critical = critical_point(k)
    if alpha is None:
        last = critical.alpha if critical.exists else 0.0
        alphas = last * (1 - np.linspace(1, 0.02, n) ** 2) if last else np.zeros(1)
    else:
        alphas = load("alpha", alpha)
        if alphas.ndim != 1:
            raise wrong("alpha", "be of shape (n,)", alphas.shape, "pass [0, 0.1, 0.2]")
    found = [of_branches(Branches(k, float(a))) for a in alphas]
    columns = {name: np.array([getattr(one, name) for one in found]) for name in FIELDS}
    beta_c = float(weak_recovery(k))
    return PhaseDiagram(k, alphas, critical=critical, weak_recovery=beta_c, **columns)


def _spinodal(x: Array, kappa: float) -> tuple[Array, Array]:
    """``(alpha, beta)`` where ``log(q / (1 - q))`` is a turning point."""
    gap = gap_of(x)
    of_u, of_l, slope_u, slope_l = gains(gap, kappa)
    q_hat = (1 - gap) / gap
    alpha = (of_u / gap**2 - slope_u * q_hat) / (of_u * slope_l - slope_u * of_l)
    return alpha, (q_hat - alpha * of_l) / of_u


def _cusp(kappa: float) -> tuple[float, float, float]:
    """``alpha*, beta*, q*``; alpha below 0 or NaN where there is none."""
    least = kappa**2 / 9  # 1 - q; nearer to 1 both kinds of patterns say the same
    if least >= 1:
        return float("nan"), float("nan"), float("nan")
    grid = np.linspace(np.log(0.05), np.log((1 - least) / least), 200)
    best = int(np.argmax(_spinodal(grid, kappa)[0]))
    low, high = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    found = minimize_scalar(
        lambda x: -float(_spinodal(x, kappa)[0]), bounds=(low, high), method="bounded",
        options={"xatol": 1e-9},
    )  # fmt: skip
    alpha, beta = (float(y) for y in _spinodal(found.x, kappa))
    return alpha, beta, float(1 - gap_of(found.x))
