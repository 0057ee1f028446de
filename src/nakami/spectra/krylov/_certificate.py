"""How far values found from a basis can lie below the true ones, with a stated chance of error.

A Krylov space holds at most as many copies of one eigenvalue as its blocks are wide, so nothing
that the run itself computes shows further copies. What shows them is a vector drawn at random after
the basis is fixed. ``docs/engine.md`` has the proofs.

Throughout, ``H`` is ``A^T A`` for singular values and ``A`` or ``-A`` for eigenvalues; a *level* is
a number in the unit of ``H``. ``H V = V diag(theta) + N^T G`` with the waiting block ``N``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import _lapack
from .._threads import one_thread

DELTA = 1e-3  # chance over seeds that a certified level does not hold, at most
SLACK = 0.02  # a level lies this much above what the complement has shown, relative


@dataclass(frozen=True)
class Form:
    """What a run knows of ``H``: its Ritz values and how they are coupled to the waiting block.

    Attributes:
        theta: ``(c,)`` float64, descending. coupling: ``G``, ``(b, c)``.
        outlook: Largest eigenvalue that the last block shows on its own.
        rooted: Whether values asked for are roots of those of ``H``.
    """

    theta: Tensor
    coupling: Tensor
    outlook: float
    rooted: bool

    def eliminated(self, level: float) -> Tensor:
        """``K = G_F (level - Theta_F)^-1 G_F^T``, ``(b, b)``: all Ritz values below the level.

        ``H`` has no eigenvalue from the level on outside the Ritz vectors above it if
        ``B + N^T K N`` has none, where ``B`` is ``H`` on the complement of the basis (Haynsworth).
        """
        below = self.theta < level
        g = self.coupling[:, below]
        return (g / (level - self.theta[below])) @ g.T

    def expected(self, level: float) -> float:
        """About the largest eigenvalue of ``B + N^T K N``, from what the run has shown."""
        with one_thread(self.coupling):
            return float(_lapack.eigvalsh(self.eliminated(level))[-1]) + self.outlook

    def bounds(self, level: float) -> Tensor:
        """Upper bounds of the values above the level, index by index, if it holds.

        In the basis of the Ritz vectors above it, ``H <= [[Theta, G^T], [G, level I]]``. For roots
        the factor of that matrix is taken: small values would drown in the rounding of squares.
        """
        above = self.theta > level
        theta, g = self.theta[above], self.coupling[:, above]
        if not len(theta):
            return theta
        corner = level * torch.eye(len(g), dtype=theta.dtype)
        with one_thread(theta):
            if not self.rooted:
                m = torch.cat([torch.cat([theta.diag(), g.T], 1), torch.cat([g, corner], 1)])
                top = _lapack.eigvalsh(m).flip(0)[: len(theta)]
                return top.maximum(theta)
            s = theta.sqrt()
            g = g / s
            left, turned = _lapack.eigh(corner - g @ g.T)
            root = (turned * left.clamp_min(0).sqrt()) @ turned.T
            zero = torch.zeros(len(g), len(s), dtype=s.dtype)
            m = torch.cat([torch.cat([s.diag(), g.T], 1), torch.cat([zero, root], 1)])
            return _lapack.svdvals(m)[: len(s)].maximum(s)

    def level(self, key: float) -> float:
        """The level of a value."""
        return key * abs(key) if self.rooted else key

    def key(self, level: float) -> float:
        """The value at a level."""
        return math.sqrt(max(level, 0.0)) if self.rooted else level


def upper_bounds(forms: Sequence[Form], level: float, k: int) -> Tensor:
    """Upper bounds of the k largest keys, ``(k,)``, if the level holds for each of the forms."""
    found = torch.cat([form.bounds(level) for form in forms]).sort(descending=True).values[:k]
    rest = found.new_full((k - len(found),), forms[0].key(level))
    return torch.cat([found, rest])


@dataclass(frozen=True)
class Wanted:
    """What the values found must keep: ``allowed`` absolute errors, ``(k,)``."""

    keys: Tensor  # (k,) found so far
    allowed: Tensor
    floor: float

    def distance(self, forms: Sequence[Form], level: float) -> float:
        """The largest error over what is allowed, if the level holds."""
        if not math.isfinite(level):
            return math.inf
        room = upper_bounds(forms, level, len(self.keys)) - self.keys
        return float((room / self.allowed).max())

    def close_level(self, form: Form) -> float:
        """A level so close above the k-th value that it settles copies of it."""
        last = float(self.keys[-1])
        share = 0.5 if abs(last) > self.floor else 0.8
        return form.level(last + share * float(self.allowed[-1]))

    def next_level(self, forms: Sequence[Form], theta: Tensor, least: float) -> float | None:
        """A level at which all values would be settled and which is likely to hold, if any.

        The first candidate lies just above the k-th value and settles copies of it that may be
        outside; the others lie in the widest gaps below it, but not deep: a few more steps of the
        run cost less than a level that few steps can certify.

        Args:
            forms: Of each side that counts.
            theta: Levels of all keys found, descending.
            least: Levels up to this one have failed already.
        """
        form, k = forms[0], len(self.keys)
        last = float(self.keys[-1])
        top = form.level(last)
        resolved, above = abs(last) > self.floor, self.close_level(form)
        more = theta[k - 1 : k + 40]
        gaps = more[:-1] - more[1:]
        widest = gaps.argsort(descending=True)[:4]
        middles = ((more[:-1] + more[1:]) / 2)[widest].sort(descending=True).values.tolist()
        for level in [above, *middles]:
            close = level > top
            if level <= least or (form.rooted and level <= 0) or level < top - 0.06 * abs(top):
                continue
            if close and resolved and not self._quiet(forms, above - top):
                continue
            slack = (level - top) / 2 if close else SLACK * abs(level)
            if any(f.expected(level) > level - slack for f in forms):
                continue
            if self.distance(forms, level) <= 0.8:
                return level
        return None

    def _quiet(self, forms: Sequence[Form], half: float) -> bool:
        """Whether no value is shifted by more than a tenth of this by what it is coupled to."""
        lowest = forms[0].level(float(self.keys[-1]))
        for form in forms:
            here = form.theta >= lowest
            theta, g = form.theta[here], form.coupling[:, here]
            gap = (theta - form.outlook).clamp_min(1e-12 * abs(lowest))
            shift = g.square().sum(0) / gap / theta.abs().clamp_min(1e-300)
            if len(theta) and float(shift.max()) > 0.1 * half / max(abs(lowest), 1e-300):
                return False
        return True


def log_christoffel(alpha: Sequence[float], beta: Sequence[float], x: float) -> float:
    """``log sqrt(sum_i p_i(x)^2)`` over the orthonormal polynomials of a Lanczos run, i = 0..j.

    ``beta_i p_(i+1) = (x - alpha_i) p_i - beta_(i-1) p_(i-1)``; rescaled, so nothing overflows.
    """
    before, now, total, scale = 0.0, 1.0, 1.0, 0.0
    for i, (a, b) in enumerate(zip(alpha, beta, strict=True)):
        coupled = beta[i - 1] * before if i else 0.0
        before, now = now, ((x - a) * now - coupled) / max(b, 1e-300)
        if abs(now) > 1e100:
            before, now, total, scale = (
                before / abs(now),
                math.copysign(1.0, now),
                (total / now / now),
                scale + math.log(abs(now)),
            )
        total += now * now
    return 0.5 * math.log(total) + scale


def certified_level(
    alpha: Sequence[float], beta: Sequence[float], ritz: float, needed: float
) -> float:
    """The least level beyond the largest Ritz value at which ``log_christoffel`` is ``needed``."""
    size = max(abs(ritz), *beta, 1e-200)
    high = 1e-14 * size
    while log_christoffel(alpha, beta, ritz + high) < needed:
        high *= 4
        if high > 1e12 * size:
            return math.inf
    low = high / 4
    while high > 1.01 * low:
        middle = math.sqrt(low * high)
        if log_christoffel(alpha, beta, ritz + middle) < needed:
            low = middle
        else:
            high = middle
    return ritz + high


def log_needed(delta: float, free: int) -> float:
    """``log 1/d`` for the ``d`` below which a random unit vector's share lies by chance ``delta``.

    ``P(|<x, v>| <= d) <= d sqrt(2 free / pi)`` for a unit vector uniform in ``free`` dimensions.
    """
    return -math.log(delta * math.sqrt(math.pi / (2 * max(free, 1))))
