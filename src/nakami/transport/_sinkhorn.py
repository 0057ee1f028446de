"""Entropic optimal transport of batches: checks, the iteration, and the result."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

import torch
from torch import Tensor

from ..results import (
    NotConvergedWarning,
    check_budget,
    is_number,
    told,
    warn,
    wrong,
)
from ._annealing import annealed, stages
from ._check import check_ends, check_masses, check_reg, check_start
from ._costs import Cost, as_cost, kernel_of
from ._coupling import Coupling
from ._kernels import Kernel

TOLERANCE, MAX_STEPS = 1e-6, 10_000


@told
def sinkhorn(
    p: Tensor,
    q: Tensor,
    cost: Cost | Tensor,
    reg: float,
    *,
    tolerance: float = TOLERANCE,
    max_steps: int = MAX_STEPS,
    start: Coupling | None = None,
    memory_budget: int | None = None,
) -> Coupling:
    """Entropic optimal transport between two histograms, or between those of a batch.

    Minimises ``<c, P> - reg H(P)``, ``H(P) = - sum P log P``, over the plans ``P >= 0`` with
    marginals ``p`` and ``q``: Sinkhorn's iteration on potentials in the log domain, over-relaxed at
    a rate that is measured (Sinkhorn and Knopp 1967; Cuturi 2013; Thibault et al. 2017). Sums are
    matrix products of numbers that cannot under- or overflow, so that a small ``reg`` is safe. Up
    to 3e-4 of the largest cost the iteration begins at larger regs, each ten times the next
    (epsilon scaling, Schmitzer 2019).

    Args:
        p: Masses, at least 0: ``(*shape,)`` or ``(B, *shape)``, where ``shape`` is that of the
            cost's first side (``(n,)`` for points and matrices). Float32 or float64.
        q: Likewise on the second side, of the same total mass; it is scaled to it where it is
            within 1e-4 of it in float32, 1e-5 in float64. One of them may have no batch.
        cost: ``Grid``, ``Points``, or a matrix ``(n, m)``.
        reg: Factor of the entropy, in units of the cost, at least 1e-10 of the largest cost.
        tolerance: On the L1 distance of the plan's marginals from ``p`` and ``q``. In float32 about
            1e-6 can be reached.
        max_steps: Where it stops at the latest, the steps at larger regs included.
        start: A coupling of the same shapes whose potentials are a first guess, taken at ``reg``.
        memory_budget: Bytes for the cost and kernels; default 1 GiB. Where a matrix would need
            more, points are taken tile by tile, which is slower.

    Returns:
        Cost, value, potentials and marginal error, detached from autograd.

    Raises:
        UsageError: A mass below 0 or not finite, no mass, unequal masses, shapes that do not fit.

    Cost: a step is two sums over all pairs; ``2 d N^(1 + 1/d)`` products on a grid of ``d`` axes.
    """
    geometry = as_cost(cost)
    first, second, alone = check_masses(p, q, geometry)
    ends = check_ends(tolerance, max_steps)
    how = _How(check_reg(reg), None, *ends, check_start(start), memory_budget)
    return _solved(first, second, alone, geometry, how)


@told
def unbalanced(
    p: Tensor,
    q: Tensor,
    cost: Cost | Tensor,
    reg: float,
    penalty: float,
    *,
    tolerance: float = TOLERANCE,
    max_steps: int = MAX_STEPS,
    start: Coupling | None = None,
    memory_budget: int | None = None,
) -> Coupling:
    """Entropic transport that may make and lose mass, at a price.

    Minimises ``<c, P> + reg KL(P | p q) + penalty (KL(P 1 | p) + KL(P^T 1 | q))`` with
    ``KL(a | b) = sum a log(a / b) - a + b`` (Chizat et al. 2018). At the optimum the marginals are
    ``p exp(-f / penalty)`` and ``q exp(-g / penalty)``. Total masses may differ.

    Args:
        p: Masses, at least 0, as for ``sinkhorn``.
        q: Likewise on the second side; of any total mass.
        cost: ``Grid``, ``Points``, or a matrix ``(n, m)``.
        reg: Factor of the entropy, in units of the cost, above 0.
        penalty: Price of mass, in units of the cost; large: balanced transport. Mass moves where
            that costs less than about ``2 penalty``.
        tolerance: On the L1 distance of the plan's marginals from those of the optimum.
        max_steps: Where it stops at the latest.
        start: A coupling of the same shapes to begin from.
        memory_budget: Bytes for the cost and kernels; default 1 GiB.

    Returns:
        ``value`` and ``relative`` are both what is minimised; ``marginal_error`` is the distance of
        the first marginal from ``p exp(-f / penalty)``.

    Raises:
        UsageError: As ``sinkhorn``, but for unequal masses; a penalty that is not positive.
    """
    geometry = as_cost(cost)
    first, second, alone = check_masses(p, q, geometry, same=False)
    if not is_number(penalty) or not 0 < float(penalty) < inf:
        way_out = ["pass penalty=1.0, in units of the cost", "use sinkhorn, which keeps all mass"]
        raise wrong("penalty", "be a positive number", repr(penalty), way_out)
    price = float(penalty)
    ends = check_ends(tolerance, max_steps)
    how = _How(check_reg(reg), price, *ends, check_start(start), memory_budget)
    return _solved(first, second, alone, geometry, how)


@dataclass(frozen=True)
class _How:
    """What a solver was asked for, checked."""

    reg: float
    penalty: float | None
    tolerance: float
    most: int
    start: Coupling | None
    memory_budget: int | None


def _solved(first: Tensor, second: Tensor, alone: bool, geometry: Cost, how: _How) -> Coupling:
    reg, penalty = how.reg, how.penalty
    budget = check_budget(how.memory_budget)
    wide = torch.float32 if first.device.type == "mps" else torch.float64
    log_p, log_q = first.to(wide).log(), second.to(wide).log()
    regs = stages(reg, geometry) if how.start is None else [reg]
    state, kernel = annealed(
        lambda at: kernel_of(geometry, at, first, budget), regs, penalty, (log_p, log_q),
        _begin(how.start, log_p, log_q, reg), how.tolerance, how.most,
    )  # fmt: skip
    f, g = state.f, state.g
    if penalty is None:
        f, g = _balanced(f, g, log_p, log_q)
        relative = reg * (_dot(log_p, f) + _dot(log_q, g))
        value = relative + reg * (_dot(log_p, log_p) + _dot(log_q, log_q))
    else:
        value = relative = _with_penalty(kernel, log_p, log_q, f, g, reg, penalty)
    converged = state.error <= how.tolerance
    if not bool(converged.all()):
        _warn(state.error, how.tolerance, how.most, first.dtype)

    def as_given(part: Tensor) -> Tensor:
        kind = torch.bool if part.dtype == torch.bool else first.dtype
        return part[0].to(kind) if alone else part.to(kind)

    return Coupling(
        value=as_given(value),
        relative=as_given(relative),
        f=as_given(f * reg),
        g=as_given(g * reg),
        marginal_error=as_given(state.error),
        converged=as_given(converged),
        reason="converged" if bool(converged.all()) else f"stopped after {how.most} steps",
        steps=state.steps,
        reg=reg,
        convention=geometry.convention,
        _masses=(log_p.exp(), log_q.exp()),
        _potentials=(f, g),
        _geometry=geometry,
        _kernel=kernel,
    )


def _with_penalty(
    kernel: Kernel, log_p: Tensor, log_q: Tensor, f: Tensor, g: Tensor, reg: float, penalty: float
) -> Tensor:
    """The optimum from the dual: all in units of the cost."""
    parts = [
        -penalty * (mass.exp() * (potential * (-reg / penalty)).expm1()).flatten(1).sum(1)
        for mass, potential in ((log_p, f), (log_q, g))
    ]
    moved = (log_p + f + kernel.sum(log_q + g)).exp().flatten(1).sum(1)
    product = log_p.exp().flatten(1).sum(1) * log_q.exp().flatten(1).sum(1)
    return parts[0] + parts[1] + reg * (product - moved)


def _dot(log_mass: Tensor, values: Tensor) -> Tensor:
    """``sum mass values`` with 0 where there is no mass, ``(B,)``."""
    mass = log_mass.exp()
    return torch.where(mass > 0, mass * values, 0.0).flatten(1).sum(1)


def _balanced(f: Tensor, g: Tensor, log_p: Tensor, log_q: Tensor) -> tuple[Tensor, Tensor]:
    """With the constant between them at which ``<f, p> = <g, q>``."""
    shift = (_dot(log_p, f) - _dot(log_q, g)) / (2 * log_p.exp().flatten(1).sum(1))
    places = [shift.view(-1, *[1] * (part.ndim - 1)) for part in (f, g)]
    return f - places[0], g + places[1]


def _begin(
    start: Coupling | None, log_p: Tensor, log_q: Tensor, reg: float
) -> tuple[Tensor, Tensor]:
    if start is None:
        return torch.zeros_like(log_p), torch.zeros_like(log_q)
    f, g = (part * (start.reg / reg) for part in start._potentials)
    for name, part, wanted in (("f", f, log_p), ("g", g, log_q)):
        if part.shape != wanted.shape:
            got = f"{tuple(part.shape)} for {name} where {tuple(wanted.shape)} is wanted"
            raise wrong("start", "have the shapes of {p} and {q}", got, "leave it out")
    return f.to(log_p), g.to(log_q)


def _warn(error: Tensor, tolerance: float, most: int, kind: torch.dtype) -> None:
    left = int((error > tolerance).sum())
    way_out = ["raise {max_steps}", "raise {reg}", "raise {tolerance}"]
    if kind == torch.float32:
        way_out.append("pass float64")
    warn(
        NotConvergedWarning(
            "{argument} was not reached in {got} (marginal error {rule}); {way_out}.",
            argument="tolerance",
            got=f"{most} steps for {left} of {len(error)}",
            rule=f"{float(error.max()):.2e}, asked {tolerance:.0e}",
            way_out=way_out,
        )
    )
