"""Losses between histograms: the entropic cost, the lambda-divergence, the Sinkhorn divergence.

The entropic cost is no divergence: over ``q`` it is smallest at the blurred ``K~ p``, not at ``p``.
Both others mend that: the lambda-divergence (Amari, Karakida, Oizumi, Cuturi, Neural Computation
31, 2019) by comparing with the blurred, the Sinkhorn divergence (Genevay et al. 2018; Feydy et al.
2019) by taking the costs of each with itself away.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..results import check_budget, wrong
from ._check import check_mass, check_masses, check_reg
from ._costs import Cost, Matrix, Points, as_cost, kernel_of
from ._coupling import Coupling
from ._gradients import blurred, relative_cost
from ._kernels import Kernel
from ._sinkhorn import MAX_STEPS, TOLERANCE


def entropic_cost(
    p: Tensor,
    q: Tensor,
    cost: Cost | Tensor,
    reg: float,
    *,
    tolerance: float = TOLERANCE,
    max_steps: int = MAX_STEPS,
    start: Coupling | None = None,
    memory_budget: int | None = None,
) -> Tensor:
    """``C(p, q) = min <c, P> - reg H(P)``, with gradients.

    Differentiable once, by ``p``, ``q``, the points or the cost matrix: the plan is held fixed
    (envelope theorem), so that the gradient is as exact as the iteration is converged. By ``p`` it
    is ``f + reg (1 + log p)``, up to a constant: without a softmax before it take its mean away.

    Args:
        p: Masses of the first side, as for ``sinkhorn``.
        q: Likewise on the second side.
        cost: ``Grid``, ``Points`` or a matrix.
        reg: Factor of the entropy, in units of the cost.
        tolerance: On the marginals of the plan, L1.
        max_steps: Of the iteration.
        start: A coupling to begin from.
        memory_budget: Bytes for kernels; default 1 GiB.

    Returns:
        A number, or one for each of a batch ``(B,)``; in units of the cost, and negative where
        the entropy outweighs the cost.
    """
    geometry, reg = as_cost(cost), check_reg(reg)
    options: dict[str, Any] = {
        "tolerance": tolerance, "max_steps": max_steps, "start": start,
        "memory_budget": memory_budget,
    }  # fmt: skip
    relative, _ = relative_cost(p, q, geometry, reg, options)
    q = _of_mass(p, q, geometry)
    return relative - reg * (entropy(p, len(geometry.shape)) + entropy(q, len(geometry.target)))


def blur(q: Tensor, cost: Cost | Tensor, reg: float, *, memory_budget: int | None = None) -> Tensor:
    """``(K~ q)_j = sum_i q_i K_ij / K_i.`` with ``K = exp(-c / reg)``.

    It is the ``r`` at which ``C(q, r)`` is least. On a grid, away from its ends, it is a
    convolution with a Gaussian of variance ``reg / 2`` along each axis. Differentiable any number
    of times.

    Args:
        q: ``(*shape,)`` or ``(B, *shape)``.
        cost: A ``Grid``, ``Points(x)``, or a square matrix.
        reg: Factor of the entropy, in units of the cost.
        memory_budget: Bytes for kernels; default 1 GiB.
    """
    geometry, reg, budget = as_cost(cost), check_reg(reg), check_budget(memory_budget)
    check_own(geometry)
    checked, alone = check_mass("q", q, geometry.shape), q.ndim == len(geometry.shape)
    first, given = (part[None] if alone else part for part in (checked, q))
    found = blurred(*_kernel(geometry, reg, first, budget), given)
    return found[0] if alone else found


def lambda_divergence(
    p: Tensor,
    q: Tensor,
    cost: Cost | Tensor,
    reg: float,
    *,
    tolerance: float = TOLERANCE,
    max_steps: int = MAX_STEPS,
    start: Coupling | None = None,
    memory_budget: int | None = None,
) -> Tensor:
    """``D[p : q] = C(p, K~ q) - C(p, K~ p) = reg KL(P(p, K~ q) | P(p, K~ p)) >= 0``.

    It is 0 where ``K~ q = K~ p``, hence only at ``q = p`` where ``K~`` is invertible, as on a grid.
    Not symmetric; convex in ``q``. In training the data are ``p``, the model ``q``. As ``reg`` goes
    to 0 it becomes the transport cost. Differentiable once.

    Args:
        p: Masses as for ``sinkhorn``.
        q: Likewise, on the same points.
        cost: A ``Grid``, ``Points(x)``, or a square matrix.
        reg: Factor of the entropy, in units of the cost.
        tolerance: On the marginals of the plan, L1.
        max_steps: Of the iteration.
        start: A coupling to begin from.
        memory_budget: Bytes for kernels; default 1 GiB.

    Returns:
        A number, or one for each of a batch; rounding and the tolerance leave about
        ``reg * tolerance`` of noise around 0.
    """
    geometry, reg, budget = as_cost(cost), check_reg(reg), check_budget(memory_budget)
    _, second, alone = check_masses(p, q, geometry)
    q = _of_mass(p, q, geometry)
    given_p, given_q = (part[None] if part.ndim == len(geometry.shape) else part for part in (p, q))
    kernel, log_rows = _kernel(geometry, reg, second, budget)
    target = blurred(kernel, log_rows, given_q)
    options: dict[str, Any] = {
        "tolerance": tolerance, "max_steps": max_steps, "start": start,
        "memory_budget": memory_budget,
    }  # fmt: skip
    relative, _ = relative_cost(given_p, target, geometry, reg, options)
    rows = (given_p * log_rows.to(given_p.dtype)).flatten(1).sum(1)
    found = relative - reg * entropy(target, len(geometry.target)) + reg * rows
    return found[0] if alone else found


def sinkhorn_divergence(
    p: Tensor,
    q: Tensor,
    cost: Cost | Tensor,
    reg: float,
    *,
    tolerance: float = TOLERANCE,
    max_steps: int = MAX_STEPS,
    memory_budget: int | None = None,
) -> Tensor:
    """``S(p, q) = R(p, q) - R(p, p) / 2 - R(q, q) / 2`` with ``R = <c, P> + reg KL(P | p q)``.

    At least 0 and 0 only at ``p = q`` for a cost ``|x - y|^2`` or ``|x - y|``; symmetric.
    Differentiable once.

    Args:
        p: Masses of the first side, as for ``sinkhorn``.
        q: Likewise on the second side.
        cost: ``Grid``, ``Points`` or a matrix.
        reg: Factor of the entropy, in units of the cost.
        tolerance: On the marginals of the plan, L1.
        max_steps: Of the iteration.
        memory_budget: Bytes for kernels; default 1 GiB.
    """
    geometry, reg = as_cost(cost), check_reg(reg)
    options: dict[str, Any] = {
        "tolerance": tolerance, "max_steps": max_steps, "memory_budget": memory_budget,
    }  # fmt: skip
    own = _own(geometry)
    between = relative_cost(p, q, geometry, reg, options)[0]
    q = _of_mass(p, q, geometry)
    halves = [
        relative_cost(mass, mass, side, reg, options)[0] / 2
        for mass, side in zip((p, q), own, strict=True)
    ]
    return between - halves[0] - halves[1]


def _of_mass(p: Tensor, q: Tensor, geometry: Cost) -> Tensor:
    """``q`` scaled to the mass of ``p``, which it is near; the factor is held as a number."""
    with torch.no_grad():
        sums = [
            mass.flatten(-axes).sum(-1)
            for mass, axes in ((p, len(geometry.shape)), (q, len(geometry.target)))
        ]
        scale = sums[0] / sums[1]
    return q * scale.reshape(*scale.shape, *[1] * len(geometry.target))


def entropy(mass: Tensor, axes: int) -> Tensor:
    """``- sum m log m`` over the last ``axes``, in nats; its derivative at 0 is large, not inf."""
    floor = torch.finfo(mass.dtype).tiny
    return -(mass * mass.clamp_min(floor).log()).flatten(-axes).sum(-1)


def _kernel(geometry: Cost, reg: float, like: Tensor, budget: int) -> tuple[Kernel, Tensor]:
    """The kernel and ``log K_i.``, with a batch axis."""
    check_own(geometry)
    kernel = kernel_of(geometry, reg, like, budget)
    wide = torch.float32 if like.device.type == "mps" else torch.float64
    return kernel, kernel.sum(torch.zeros_like(like, dtype=wide))


def is_two_sided(geometry: Cost) -> bool:
    """Whether the two sides are different points."""
    if isinstance(geometry, Points):
        return geometry.x is not geometry.y and not torch.equal(geometry.x, geometry.y)
    return isinstance(geometry, Matrix) and geometry.cost.shape[0] != geometry.cost.shape[1]


def check_own(geometry: Cost) -> None:
    """Both sides must be the same points."""
    if is_two_sided(geometry) and isinstance(geometry, Points):
        rule = "have the same points on both sides"
        raise wrong("cost", rule, "Points(x, y)", "pass Points(x)")
    if is_two_sided(geometry) and isinstance(geometry, Matrix):
        got = tuple(geometry.cost.shape)
        raise wrong("cost", "be square: both sides are the same points", got, "pass (n, n)")


def _own(geometry: Cost) -> tuple[Cost, Cost]:
    """Costs of each side with itself."""
    if isinstance(geometry, Points):
        return Points(geometry.x, power=geometry.power), Points(geometry.y, power=geometry.power)
    check_own(geometry)
    return geometry, geometry
