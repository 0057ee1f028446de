"""Sinkhorn's iteration on potentials, over-relaxed at a measured rate.

A half-step sets ``F <- (1 - w) F - w log sum_y q exp(G - c/reg)`` and the other side likewise. With
``w = 1`` it is Sinkhorn's, which shrinks the error by ``r`` a step in the end. Near the solution a
step is linear, alternately on ``F`` and on ``G``, so that Young's theory of successive
over-relaxation holds: the best ``w`` is ``2 / (1 + sqrt(1 - r))``, and the error then shrinks by
``w - 1`` (Thibault et al. 2017, arXiv 1711.01851; Lehmann et al. 2020, arXiv 2012.12562). ``r`` is
measured as it goes, and a step that made things worse is followed by plain ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ._kernels import Kernel

EVERY = 8  # steps between two looks at the error
MOST_RELAXED = 1.98
PATIENCE = 4  # looks without a smaller error before plain steps come back
TOO_MUCH = 100.0  # times the smallest error, likewise


@dataclass
class State:
    """Where the iteration stands: potentials over ``reg`` for a batch, and the last error."""

    f: Tensor
    g: Tensor
    error: Tensor
    steps: int
    relaxed: Tensor


def iterate(
    kernel: Kernel, log_p: Tensor, log_q: Tensor, start: tuple[Tensor, Tensor], tolerance: float,
    most: int, damping: float = 1.0, relax: bool = True,
) -> State:  # fmt: skip
    """Until the L1 error of both marginals, together, is at most ``tolerance`` for the batch.

    With ``damping`` below 1, the potentials are shrunk by it in each half-step, which is
    unbalanced transport; the marginals are then compared with ``p exp(-(1 / damping - 1) F)``.
    """
    f, g = start
    p, q = log_p.exp(), log_q.exp()
    pace, give = Pace(f, relax, damping), 1 / damping - 1
    error, step = torch.full(f.shape[:1], torch.inf, dtype=f.dtype, device=f.device), 0
    while step < most:
        step += 1
        if give:
            f, g = _shifted(f, g, p, q, give)
        looks = step % EVERY == 0 or step == most
        total = kernel.sum(log_q + g)
        rows = _error(p, f, total, give) if looks else None
        f = pace.moved(f, total)
        total = kernel.back(log_p + f)
        columns = _error(q, g, total, give) if looks else None
        g = pace.moved(g, total)
        if rows is None or columns is None:
            continue
        error = rows + columns
        if bool((error <= tolerance).all()):
            f, g, error = _settled(kernel, log_p, log_q, g, damping)
            if bool((error <= tolerance).all()):
                break
        pace.look(error)
    else:
        f, g, error = _settled(kernel, log_p, log_q, g, damping)
    return State(f, g, error, step, pace.omega)


def _shifted(f: Tensor, g: Tensor, p: Tensor, q: Tensor, give: float) -> tuple[Tensor, Tensor]:
    """With the best constant between them (Sejourne et al. 2022): damped steps find it slowly."""
    logs = [(mass.log() - give * part).flatten(1).logsumexp(1) for mass, part in ((p, f), (q, g))]
    constant = (logs[0] - logs[1]) / (2 * give)
    shift = [constant.view(-1, *[1] * (part.ndim - 1)) for part in (f, g)]
    return f + shift[0], g - shift[1]


def _settled(
    kernel: Kernel, log_p: Tensor, log_q: Tensor, g: Tensor, damping: float
) -> tuple[Tensor, Tensor, Tensor]:
    """One plain step, after which columns are exact and the error is that of the rows."""
    f = kernel.sum(log_q + g) * -damping
    g = kernel.back(log_p + f) * -damping
    return f, g, _error(log_p.exp(), f, kernel.sum(log_q + g), 1 / damping - 1)


def _error(mass: Tensor, potential: Tensor, total: Tensor, give: float) -> Tensor:
    """L1 distance of a marginal from what it should be, for each of the batch."""
    found = (potential + total).expm1_()
    if give:
        found -= (potential * -give).expm1_()
    return found.mul_(mass).abs_().flatten(1).sum(1)


class Pace:
    """The factor of over-relaxation of each of the batch."""

    def __init__(self, like: Tensor, relax: bool, damping: float = 1.0):
        self.damping = damping
        self.relax, self.omega = relax, torch.ones_like(like.flatten(1)[:, 0])
        self.shape = (-1, *[1] * (like.ndim - 1))
        self.last = self.best = torch.full_like(self.omega, torch.inf)
        self.stale = torch.zeros_like(self.omega)  # looks since the error was smallest
        self.changed = torch.zeros_like(self.omega, dtype=torch.bool)
        self.plain = True

    def moved(self, potential: Tensor, total: Tensor) -> Tensor:
        total = total * self.damping if self.damping < 1 else total
        if self.plain:
            return total.neg()
        return potential - (potential + total).mul_(self.omega.view(self.shape))

    def look(self, error: Tensor) -> None:
        """Set the factors from how much the error shrank since the last look."""
        if not self.relax:
            return
        w, last, self.last = self.omega, self.last, error
        better = error < self.best
        self.best = torch.minimum(error.nan_to_num(torch.inf), self.best)
        self.stale = torch.where(better, torch.zeros_like(w), self.stale + 1)
        failed = (self.stale > PATIENCE) | ~(error <= TOO_MUCH * self.best)
        rate = (error / last).pow(1 / EVERY)
        # Young: with factor w the error shrinks by r where mu^2 = (r + w - 1)^2 / (w^2 r)
        square = ((rate + w - 1).square() / (w.square() * rate)).clamp(0, 1 - 1e-6)
        best = (2 / (1 + (1 - square).sqrt())).clamp(1, MOST_RELAXED)
        told = (rate < 1) & (rate > w - 1) & ~self.changed & last.isfinite()
        new = torch.where(told, torch.maximum(best, w), w)
        self.omega = torch.where(failed, torch.ones_like(w), new)
        self.stale = torch.where(failed, torch.zeros_like(w), self.stale)
        self.best = torch.where(failed, torch.full_like(w, torch.inf), self.best)
        self.changed = self.omega != w
        self.plain = bool((self.omega == 1).all())
