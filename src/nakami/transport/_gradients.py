"""Derivatives of the entropic cost, by the envelope theorem, and of the blur.

At the optimum the plan may be held fixed: the derivative by ``p`` is the potential ``f``, by ``q``
it is ``g``, by an entry of the cost the plan. No iteration is recorded.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ..results import UsageError
from ._costs import Cost, Matrix, Points
from ._coupling import Coupling
from ._kernels import Kernel, power_cost
from ._sinkhorn import sinkhorn

CHUNK = 1 << 22  # pairs whose cost is differentiated at a time


def relative_cost(
    p: Tensor, q: Tensor, cost: Cost, reg: float, options: dict[str, Any]
) -> tuple[Tensor, Coupling]:
    """``<c, P> + reg KL(P | p q)`` with gradients, and the coupling it came from."""
    coupling = sinkhorn(p, q, cost, reg, **options)
    parts: tuple[Tensor, ...] = (cost.cost,) if isinstance(cost, Matrix) else ()
    if isinstance(cost, Points):
        parts = (cost.x, cost.y)
    found: Tensor = _Relative.apply(coupling, p, q, *parts)
    return found, coupling


def blurred(kernel: Kernel, log_rows: Tensor, q: Tensor) -> Tensor:
    """``sum_i q_i K_ij / K_i.`` of a batch, with gradients of any order; ``log_rows``: of K_i."""
    found: Tensor = _Blur.apply(kernel, log_rows, q)
    return found


def mean(kernel: Kernel, log_rows: Tensor, v: Tensor) -> Tensor:
    """``K~ v``: means of ``v`` under the blur of each point, without gradients.

    Rows of ``K~`` sum to 1, so that ``v`` may be shifted: to from once to twice its range, where
    logs lose nothing and no point is without weight.
    """
    flat = v.flatten(1)
    least = flat.amin(1)
    whole = flat.masked_fill(flat == torch.inf, -torch.inf).amax(1) - least
    low, wide = (part.view(-1, *[1] * (v.ndim - 1)) for part in (least, whole))
    raised = v - low + wide.clamp_min(torch.finfo(v.dtype).tiny)
    found = (kernel.sum(raised.log()) - log_rows).exp() - wide + low
    return torch.where(wide > 0, found, low)


class _Relative(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, coupling: Coupling, *given: Tensor) -> Tensor:
        ctx.coupling = coupling
        ctx.save_for_backward(*given)
        return coupling.relative.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        given: tuple[Tensor, ...] = ctx.saved_tensors
        wanted = ctx.needs_input_grad[1:]
        made: list[Tensor | None] = [None] * len(given)
        with torch.no_grad():
            potentials = (ctx.coupling.f, ctx.coupling.g)
            for place, potential in enumerate(potentials):
                if wanted[place]:
                    weight = grad.reshape(*grad.shape, *[1] * (potential.ndim - grad.ndim))
                    made[place] = (weight * potential).sum_to_size(given[place].shape)
            if any(wanted[2:]):
                made[2:] = _by_cost(ctx.coupling, grad, given[2:])
        if torch.is_grad_enabled():  # a graph of the gradient is asked for
            made = [None if one is None else _Held.apply(one, grad, *given) for one in made]
        return (None, *made)


class _Held(torch.autograd.Function):
    """The first argument, said to depend on all; its own derivative is refused."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, *of: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        raise UsageError(
            "an entropic cost has first derivatives only: they hold the plan fixed; take one "
            "derivative, or differences of gradients."
        )


def _by_cost(coupling: Coupling, grad: Tensor, parts: tuple[Tensor, ...]) -> list[Tensor | None]:
    """Of the loss, by the entries of the cost matrix, or by both sets of points."""
    geometry, reg = coupling._geometry, coupling.reg
    (p, q), (f, g) = coupling._masses, coupling._potentials
    rows, columns = p.log() + f, q.log() + g
    weight = grad.reshape(-1, 1, 1).to(rows.dtype).expand(len(rows), 1, 1)
    if isinstance(geometry, Matrix):
        sums = rows[:, :, None] + columns[:, None, :] - geometry.cost.to(rows) / reg
        return [(weight * sums.exp()).sum(0).to(geometry.cost.dtype)]
    assert isinstance(geometry, Points)
    y = geometry.y.detach().to(rows).requires_grad_()
    step, by_x = max(1, CHUNK // (len(rows) * len(y))), []
    for part, some in zip(geometry.x.split(step), rows.split(step, 1), strict=True):
        x = part.detach().to(rows).requires_grad_()
        with torch.enable_grad():
            cost = power_cost(x, y, geometry.power)
            plan = (some[:, :, None] + columns[:, None, :] - cost.detach() / reg).exp()
            (cost * (weight * plan).sum(0)).sum().backward()
        assert x.grad is not None
        by_x.append(x.grad)
    assert y.grad is not None
    return [torch.cat(by_x).to(parts[0].dtype), y.grad.to(parts[1].dtype)]


class _Blur(torch.autograd.Function):
    """``q -> K~^T q``; its derivative is ``v -> K~ v``, whose derivative is the blur."""

    @staticmethod
    def forward(ctx: Any, kernel: Kernel, log_rows: Tensor, q: Tensor) -> Tensor:
        ctx.of = kernel, log_rows
        return kernel.back(q.to(log_rows).log() - log_rows).exp().to(q.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, None, Tensor]:
        return None, None, _Mean.apply(*ctx.of, grad)


class _Mean(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, kernel: Kernel, log_rows: Tensor, v: Tensor) -> Tensor:
        ctx.of = kernel, log_rows
        return mean(kernel, log_rows, v.to(log_rows)).to(v.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, None, Tensor]:
        positive, negative = (
            _Blur.apply(*ctx.of, part) for part in (grad.clamp_min(0), -grad.clamp_max(0))
        )
        return None, None, positive - negative
