"""The whole curve of fixed points, without iteration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...results import check_at_least, wrong
from ._channel import Array, Flags, Real
from ._checks import load, margin, overlap, together
from ._evolution import SMALL, iterate
from ._grid import Grid
from ._information import gains
from ._point import point

LEAST_ERROR = 0.01  # Bayes error at which a curve ends


@dataclass(frozen=True, repr=False)
class Curve(Grid):
    """Fixed points by overlap. Arrays are ``(..., n)``, ``kappa`` is ``(..., 1)``.

    Attributes:
        kappa: Margins. q: Overlaps, increasing along the last axis. gap: ``1 - q``.
        alpha, beta: Patterns over N, labelled and unlabelled; one of them was given, the other is
            what makes q a fixed point. Below 0 no such data exist.
        bayes_error, gibbs_error, margin_error: See ``StateEvolution``.
        free_entropy: ``Phi(q)``, nats per N. slope: ``dq_next / dq`` of the state evolution.
        stable: ``slope < 1``; where alpha (or beta) is given, the other rises with q exactly there.
    """

    kappa: Array
    alpha: Array
    beta: Array
    q: Array
    gap: Array
    bayes_error: Array
    gibbs_error: Array
    margin_error: Array
    free_entropy: Array
    slope: Array
    stable: Flags

    def __repr__(self) -> str:
        rows, n = self.q.size // self.q.shape[-1], self.q.shape[-1]
        return f"Curve({rows} x {n} points, {self.stable.sum()} stable)"


def curve(
    kappa: ArrayLike,
    alpha: ArrayLike | None = None,
    *,
    beta: ArrayLike | None = None,
    n: int = 200,
    q: ArrayLike | None = None,
) -> Curve:
    """All fixed points at given ``alpha`` (or ``beta``), by overlap.

    ``beta(q) = (q / (1 - q) - alpha B(q)) / A(q)``, or ``alpha(q) = (q / (1 - q) - beta A(q)) /
    B(q)``. An S-shape is a curve that turns back: there the same data allow two stable states.

    Args:
        kappa: Margin, 0.0001 (0 with ``beta=``) to 5.
        alpha: Labelled patterns over N, from 0 to 1e5; 0 where neither is given.
        beta: Unlabelled patterns over N, instead. Margins and these numbers broadcast.
        n: Points, at least 2, evenly spaced in the Bayes error, from where the other number is 0
            (at ``beta=``, from the state that an uninformed start reaches without labels) down to
            0.01, or half of the first where that is less.
        q: Overlaps instead, ``(..., n)``, 0 to below 1; nothing is cut off below 0.

    Returns:
        See ``Curve``. At ``q = 0`` the limits: ``beta`` is the weak-recovery threshold where
        ``alpha = 0``, else -inf.

    Raises:
        UsageError: Both numbers, or arguments out of range.

    Cost: 0.15 ms a point. Source: the saddle-point equation, solved for the number of
    patterns instead of the overlap.
    """
    if alpha is not None and beta is not None:
        way_out = "pass alpha= to get beta(q), or beta= to get alpha(q)"
        raise wrong("alpha and beta", "not both be given", f"{alpha!r} and {beta!r}", way_out)
    by_beta = beta is None
    k = margin("kappa", kappa, positive=by_beta)
    of, loads = ("beta", beta) if beta is not None else ("alpha", 0.0 if alpha is None else alpha)
    given = load(of, loads)
    k, given = (x[..., None] for x in together(**{"kappa": k, of: given}))
    if q is None:
        gap = _even(k, given, by_beta, check_at_least("n", n, 2, "200 is the default"))
    else:
        found = overlap("q", q)
        gap = np.array(together(q=1 - found, parameters=k)[0])
    other = _other(gap, k, given, by_beta)
    a, b = (given, other) if by_beta else (other, given)
    a, b = (np.array(np.broadcast_to(x, gap.shape)) for x in (a, b))
    at = point(gap, k, a, b)
    return Curve(
        k, a, b, 1 - gap, gap, at.bayes_error, at.gibbs_error, at.margin_error, at.free_entropy,
        at.slope, at.slope < 1,
    )  # fmt: skip


def other_load(gap: Array, kappa: Real, alpha: Real) -> tuple[Array, Array]:
    """``beta(q)``, and the slope of the state evolution there."""
    of_u, of_l, slope_u, slope_l = gains(gap, kappa)
    beta = ((1 - gap) / gap - alpha * of_l) / of_u
    return beta, gap**2 * (alpha * slope_l + beta * slope_u)


def _other(gap: Array, k: Array, given: Array, by_beta: bool) -> Array:
    of_u, of_l, slope_u, slope_l = gains(gap, k)
    known, wanted = (of_l, of_u) if by_beta else (of_u, of_l)
    rest = (1 - gap) / gap - given * known
    with np.errstate(divide="ignore", invalid="ignore"):
        found = rest / wanted
    limit = 1 / (slope_u if by_beta else slope_l)  # of 0 / 0, where q = 0 and nothing else is given
    return np.where((rest == 0) & (wanted == 0), limit, found)


def _even(k: Array, given: Array, by_beta: bool, n: int) -> Array:
    """``1 - q`` at even steps of the error, from the state that the given patterns alone reach."""
    zero = np.zeros_like(given)
    loads = (given, zero) if by_beta else (zero, given)
    first, _, _ = iterate(np.full(given.shape, 1 - SMALL), k, *loads, 1e-13, 2000)
    first = np.where(first >= 1 - 2 * SMALL, 1.0, first)
    ends = np.arcsin(np.sqrt(first)) / np.pi
    last = np.minimum(LEAST_ERROR, ends / 2)
    return np.sin(np.pi * (ends + (last - ends) * np.linspace(0, 1, n))) ** 2
