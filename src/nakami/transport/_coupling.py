"""The entropic plan: what Sinkhorn's iteration found, and how far it is from exact."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

from ..results import wrong
from ._costs import Cost
from ._kernels import Kernel, power_cost

MOST_ENTRIES = 1 << 27  # of a plan that is asked for as a matrix


@dataclass(frozen=True, repr=False)
class Coupling:
    """Solution of entropic optimal transport for a pair, or for each pair of a batch ``(B,)``.

    ``P = p q exp((f + g - c) / reg)``: potentials are relative to the product ``p q``, so that they
    are finite where a mass is 0.

    Attributes:
        value: ``C = <c, P> - reg H(P)`` with ``H(P) = - sum P log P``, from the dual.
        relative: ``<c, P> + reg KL(P | p q)``, what other libraries call the regularised cost; it
            is ``C + reg (H(p) + H(q))``.
        f: Potential of ``p``, in the shape of ``p``. g: of ``q``. A constant may pass from one
            to the other; here ``<f, p> = <g, q>``.
        marginal_error: L1 distance of the plan's first marginal from ``p``; the second is exact.
        converged: Whether it is at most the tolerance asked for.
        reason: Why the iteration stopped.
        steps: Iterations, each a sum over ``x`` and one over ``y``.
        reg: The factor of the entropy.
        convention: The cost in words.
    """

    value: Tensor
    relative: Tensor
    f: Tensor
    g: Tensor
    marginal_error: Tensor
    converged: Tensor
    reason: str
    steps: int
    reg: float
    convention: str
    _masses: tuple[Tensor, Tensor] = field(compare=False)
    _potentials: tuple[Tensor, Tensor] = field(compare=False)  # over reg, in float64
    _geometry: Cost = field(compare=False)
    _kernel: Kernel = field(compare=False)

    def __repr__(self) -> str:
        value, error = (_span(t) for t in (self.value, self.marginal_error))
        return (
            f"Coupling(value {value}, reg {self.reg:g}, cost {self.convention}, marginal error "
            f"{error}, {self.steps} steps, {self.reason})"
        )

    @cached_property
    def cost(self) -> Tensor:
        """``<c, P>``, in units of the cost; made when it is asked for, at the price of a step."""
        (p, q), (f, g) = self._masses, self._potentials
        found = self._kernel.moved(p.log() + f, q.log() + g) * self.reg
        return (found if self.value.ndim else found[0]).to(self.value.dtype)

    @property
    def entropy(self) -> Tensor:
        """``H(P) = - sum P log P``, in nats."""
        (p, q), (f, g) = self._masses, self._potentials
        a, b = p.log() + f, q.log() + g
        rows, columns = (a + self._kernel.sum(b)).exp(), (b + self._kernel.back(a)).exp()
        logs = [
            torch.where(mass > 0, mass * log, 0.0).flatten(1).sum(1)
            for mass, log in ((rows, a), (columns, b))
        ]
        found = self._kernel.moved(a, b) - logs[0] - logs[1]
        return (found if self.value.ndim else found[0]).to(self.value.dtype)

    def plan(self) -> Tensor:
        """``P`` as a matrix ``(n, m)``, or ``(B, n, m)``; grids flattened.

        Raises:
            UsageError: It would have more than 134 million entries.
        """
        p, q = (mass.flatten(1) for mass in self._masses)
        f, g = (part.flatten(1) for part in self._potentials)
        entries = len(p) * p.shape[1] * q.shape[1]
        if entries > MOST_ENTRIES:
            rule = f"have at most {MOST_ENTRIES} entries as a matrix"
            raise wrong("plan", rule, entries, "use .f, .g and .cost, which need no matrix")
        sums = f[:, :, None] + g[:, None, :] - dense_cost(self._geometry, p) / self.reg
        made = (p[:, :, None] * q[:, None, :] * sums.exp()).to(self.value.dtype)
        return made if self.value.ndim else made[0]


def dense_cost(geometry: Cost, like: Tensor) -> Tensor:
    """The cost of each pair ``(n, m)``; grids flattened, last axis fastest."""
    from ._costs import Grid, Points

    if isinstance(geometry, Points):
        return power_cost(
            geometry.x.detach().to(like), geometry.y.detach().to(like), geometry.power
        )
    if not isinstance(geometry, Grid):
        return geometry.cost.detach().to(like)
    made = torch.zeros(1, 1, dtype=like.dtype, device=like.device)
    for axis in geometry.axis_costs(like):
        size = len(made) * len(axis)
        made = (made[:, None, :, None] + axis[None, :, None, :]).reshape(size, size)
    return made


def _span(values: Tensor) -> str:
    low, high = float(values.min()), float(values.max())
    return f"{low:.6g}" if values.ndim == 0 or low == high else f"{low:.4g} to {high:.4g}"
