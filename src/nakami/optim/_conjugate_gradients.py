"""Conjugate gradients on a quadratic model, stopped as Hessian-free optimization does."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

GROWTH = 1.3  # of the places at which iterates are kept
LEAST = 10  # iterations that progress is judged over, at least


class Path(NamedTuple):
    """Where conjugate gradients went.

    Attributes:
        kept: Iterates, (P,) each; the last one is where it ended.
        iterations: How many were made, a product each. reason: Why it ended.
    """

    kept: list[Tensor]
    iterations: int
    reason: str


def conjugate_gradients(
    product: Callable[[Tensor], Tensor],
    gradient: Tensor,
    start: Tensor,
    scale: Tensor | float,
    most: int,
    tolerance: float,
) -> Path:
    """Descend ``q(d) = g^T d + d^T B d / 2`` from ``start`` until it hardly falls.

    Ends at iteration i when ``q < 0`` and ``q`` fell by less than ``k tolerance |q|`` in the last
    ``k = max(10, i / 10)`` iterations, when the residual is rounding, after ``most``, or at a
    direction without positive curvature; where that is the first one from 0, the end
    is a step along it.

    Args:
        product: ``v -> B v``.
        gradient: ``g``, (P,).
        start: The first ``d``, (P,).
        scale: Diagonal of the inverse preconditioner, (P,), or 1.
        most: Iterations at most.
        tolerance: Relative progress of an iteration.

    Source: Martens, Deep learning via Hessian-free optimization, ICML 2010, sections 4.4 and 4.6.
    """
    d = start.clone()
    r = gradient.clone()  # B d + g
    if bool(d.any()):
        r += product(d)
    z = scale * r
    p, rz = -z, float(r @ z)
    floor = torch.finfo(r.dtype).eps * float(gradient.norm())
    kept, values, save = list[Tensor](), [float(d @ (r + gradient)) / 2], 1.0
    reason, i = "most iterations", 0
    for i in range(1, most + 1):
        if float(r.norm()) <= floor:
            i, reason = i - 1, "solved"
            break
        Bp = product(p)
        curvature = float(p @ Bp)
        if not math.isfinite(curvature):
            i, reason = i - 1, "not finite"
            break
        if curvature <= 0:
            if not bool(d.any()):
                d = p * (rz / abs(curvature) if curvature else 1.0)
            reason = "no positive curvature"
            break
        alpha = rz / curvature
        d, r = d + alpha * p, r + alpha * Bp
        z = scale * r
        rz, old = float(r @ z), rz
        p = (rz / old) * p - z
        values.append(float(d @ (r + gradient)) / 2)
        if i >= save:
            kept.append(d)
            save = max(save * GROWTH, i + 1)
        k = max(LEAST, i // 10)
        if i > k and values[i] < 0 and values[i - k] - values[i] < -k * tolerance * values[i]:
            reason = "little progress"
            break
    if not kept or kept[-1] is not d:
        kept.append(d)
    return Path(kept, i, reason)
