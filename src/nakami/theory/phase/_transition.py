"""Spinodals and the transition between two stable states, at one margin and alpha."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from ...results import Shown
from ._branches import Branches, gap_of
from ._channel import Array, log_density, log_tail
from ._checks import margin, one_load, one_margin
from ._information import of_gap
from ._point import entropy

NAN = float("nan")
SMOOTH = "beta(q) does not turn back: one stable state at each beta, no jump"


@dataclass(frozen=True)
class Transition(Shown):
    """Where the error jumps as patterns without labels are added.

    Attributes:
        kappa, alpha: The parameters.
        first_order: Whether there is a jump; if not, ``reason`` says so and the rest is NaN.
        beta_appears: Lower spinodal, from which on the low-error state exists. beta_t: Transition,
            where both states have the same free entropy. beta_ends: Upper spinodal, up to which the
            high-error state exists: where learning from scratch jumps.
        q_before, q_after: Overlaps of the two states at ``beta_t``. q_appears, q_ends: Overlaps at
            the spinodals.
        free_entropy: Of both states at ``beta_t``, nats per N. residual: Their difference there.
        weak_recovery: ``beta_c``, from which on q = 0 is left without labels; NaN where alpha > 0.
    """

    kappa: float
    alpha: float
    first_order: bool
    beta_appears: float
    beta_t: float
    beta_ends: float
    q_before: float
    q_after: float
    q_appears: float
    q_ends: float
    free_entropy: float
    residual: float
    weak_recovery: float
    reason: str = ""


def weak_recovery(kappa: ArrayLike) -> Array:
    """``beta_c = (H(kappa) / (kappa phi(kappa)))^2``: above, data without labels alone teach.

    Below it ``q = 0`` is stable at ``alpha = 0``. It need not be where the equilibrium leaves ``q =
    0``: for margins below about 0.338 a jump comes first (``transition``).

    Args:
        kappa: Margins, 0 to 5; inf at 0.

    Returns:
        Unlabelled patterns over N, of the shape of ``kappa``.

    Raises:
        UsageError: Margins out of range.
    """
    k = margin("kappa", kappa)
    with np.errstate(divide="ignore"):
        return np.asarray(np.exp(2 * (log_tail(k) - log_density(k) - np.log(k))))


def transition(kappa: float, alpha: float = 0.0) -> Transition:
    """Spinodals and thermodynamic transition in ``beta``.

    Spinodals are the turning points of ``beta(q)``, where the state evolution's slope is 1; between
    them, ``beta_t`` solves ``Phi(q_after) = Phi(q_before)``.

    Args:
        kappa: Margin, 0.0001 to 5.
        alpha: Labelled patterns over N, 0 to 1e5.

    Returns:
        See ``Transition``. The roots are found to 1e-12 in ``log(q / (1 - q))``; spinodals are
        extrema and have more digits than their overlaps.

    Raises:
        UsageError: Arguments out of range.

    Cost: 0.15 s. Source: as ``curve`` and ``free_entropy``.
    """
    return of_branches(Branches(one_margin("kappa", kappa), one_load("alpha", alpha)))


def of_branches(found: Branches) -> Transition:
    """The same of a curve that is there."""
    k, a = found.kappa, found.alpha
    beta_c = float(weak_recovery(k)) if a == 0 else NAN
    if len(found.ends) < 4:
        lacking = {each.name: NAN for each in fields(Transition)[3:-2]}
        return Transition(k, a, False, weak_recovery=beta_c, reason=SMOOTH, **lacking)
    up, down = found.betas[1], found.betas[2]

    def states(beta: float) -> tuple[Array, Array]:
        """``1 - q`` and free entropy before and after."""
        first = 1.0 if beta <= found.betas[0] else float(gap_of(found.on(0, beta)))
        gap = np.array([first, float(gap_of(found.on(2, beta)))])
        return gap, entropy(1 - gap, gap, a, beta, of_gap(gap, k))

    def rise(beta: float) -> float:
        before, after = states(beta)[1]
        return float(after - before)

    beta_t = float(brentq(rise, down, up, xtol=1e-12, rtol=1e-14))
    gap, phi = states(beta_t)
    q_before, q_after = (1 - gap).tolist()
    q_ends, q_appears = (1 - gap_of(found.ends[1:3])).tolist()
    return Transition(
        k, a, True, down, beta_t, up, q_before, q_after, q_appears, q_ends, float(phi[0]),
        float(abs(phi[1] - phi[0])), beta_c,
    )  # fmt: skip
