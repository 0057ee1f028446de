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

import numpy as np
import torch
from torch import Tensor

from ..results import stepped
from ._kernels import Kernel

EVERY = 8  # steps between two looks at the error
FIRST = 4  # steps before the first look
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


def iterate(
    kernel: Kernel, log_p: Tensor, log_q: Tensor, start: tuple[Tensor, Tensor], tolerance: float,
    most: int, damping: float = 1.0,
) -> State:  # fmt: skip
    """Until the L1 error of both marginals, together, is at most ``tolerance`` for the batch.

    With ``damping`` below 1, the potentials are shrunk by it in each half-step, which is
    unbalanced transport; the marginals are then compared with ``p exp(-(1 / damping - 1) F)``.
    """
    f, g = start
    p, q = log_p.exp(), log_q.exp()
    pace, give = Pace(f, damping), 1 / damping - 1
    error, step = torch.full(f.shape[:1], torch.inf, dtype=f.dtype, device=f.device), 0
    while step < most:
        step += 1
        if give:
            f, g = _shifted(f, g, p, q, give)
        looks = step % EVERY == 0 or step in (FIRST, most)
        total = kernel.sum(log_q + g)
        rows = _error(p, f, total, give) if looks else None
        f = pace.moved(f, total)
        total = kernel.back(log_p + f)
        columns = _error(q, g, total, give) if looks else None
        g = pace.moved(g, total)
        if rows is None or columns is None:
            stepped(step)
            continue
        error = rows + columns
        stepped(step, error.max)
        if bool((error <= tolerance).all()):
            f, g, error = _settled(kernel, log_p, log_q, g, damping)
            if bool((error <= tolerance).all()):
                break
        pace.look(error, step)
    else:
        f, g, error = _settled(kernel, log_p, log_q, g, damping)
    return State(f, g, error, step)


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
    """The factor of over-relaxation of each of the batch; small numbers, kept in NumPy."""

    def __init__(self, like: Tensor, damping: float = 1.0):
        self.like, self.damping = like, damping
        self.omega = np.ones(len(like))
        self.factor: Tensor | float = 1.0
        self.last = self.best = np.full(len(like), np.inf)
        self.stale = np.zeros(len(like))  # looks since the error was smallest
        self.changed = np.zeros(len(like), dtype=bool)
        self.step = 0

    def moved(self, potential: Tensor, total: Tensor) -> Tensor:
        """``(1 - w) potential - w damping total``."""
        total = total.mul(-self.damping) if self.damping < 1 else total.neg()
        if isinstance(self.factor, Tensor):
            return torch.lerp(potential, total, self.factor)
        return total if self.factor == 1 else torch.lerp(potential, total, self.factor)

    def look(self, error: Tensor, step: int) -> None:
        """Set the factors from how much the error shrank since the last look."""
        since, self.step = step - self.step, step
        now, w, last = error.double().cpu().numpy(), self.omega, self.last
        self.last = now
        better = now < self.best
        self.best = np.fmin(now, self.best)
        self.stale = np.where(better, 0, self.stale + 1)
        failed = (self.stale > PATIENCE) | ~(now <= TOO_MUCH * self.best)
        with np.errstate(all="ignore"):  # of the first look, and of errors that are 0
            rate = (now / last) ** (1 / since)
            # Young: with factor w the error shrinks by r where mu^2 = (r + w - 1)^2 / (w^2 r)
            square = np.clip((rate + w - 1) ** 2 / (w**2 * rate), 0, 1 - 1e-6)
            best = np.clip(2 / (1 + np.sqrt(1 - square)), 1, MOST_RELAXED)
            told = (rate < 1) & (rate > w - 1) & ~self.changed & np.isfinite(last)
        self.omega = np.where(failed, 1.0, np.where(told, np.fmax(best, w), w))
        self.stale = np.where(failed, 0, self.stale)
        self.best = np.where(failed, np.inf, self.best)
        self.changed = self.omega != w
        if (self.omega == self.omega[0]).all():
            self.factor = float(self.omega[0])
        else:
            factors = torch.from_numpy(self.omega).to(self.like)
            self.factor = factors.view(-1, *[1] * (self.like.ndim - 1))
