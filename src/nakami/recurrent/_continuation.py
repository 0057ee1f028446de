"""A fixed point by continuation: from the state 0 of ``h = 0 R(h)`` to one of ``h = 1 R(h)``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..results import tick

Map = Callable[[Tensor], Tensor]  # states (B, n) to states (B, n)
FIRST, LONGEST, SHORTEST = 0.05, 0.5, 1e-8  # steps along the path, in units of h and a together
CORRECTIONS = 8  # steps back to the path
TURN = 0.9  # least cosine between the directions before and after a step
NEAR = 1e-10  # of the path, as the residual over max(1, |h|)


@dataclass(frozen=True)
class Path:
    """How a continuation ended.

    Attributes:
        h: The state at a = 1, (n,); None where it was not reached. a: the largest on the way.
        jacobians: That were taken.
    """

    h: Tensor | None
    a: float
    jacobians: int


class _Path:
    """The curve ``h - a R(h) = 0`` of points ``y = (h, a)``."""

    def __init__(self, rest: Map, jacobian: Map):
        self.rest, self._jacobian, self.jacobians = rest, jacobian, 0

    def miss(self, y: Tensor) -> Tensor:
        with torch.no_grad():
            return y[:-1] - y[-1] * self.rest(y[None, :-1])[0]

    def slope(self, y: Tensor) -> Tensor:
        """The derivative of ``miss``, (n, n + 1)."""
        tick()
        self.jacobians += 1
        with torch.no_grad():
            value = self.rest(y[None, :-1])[0]
        by_h = torch.eye(len(value), dtype=y.dtype, device=y.device)
        by_h = by_h - y[-1] * self._jacobian(y[None, :-1])[0]
        return torch.cat([by_h, -value[:, None]], dim=1)

    def corrected(self, y: Tensor, across: Tensor) -> tuple[Tensor, Tensor, int] | None:
        """The path's point in the plane through ``y`` across a direction; its slope; the steps.

        A slope serves several corrections as long as they shorten what is missing to a quarter.
        """
        start, slope, last = y, self.slope(y), float("inf")
        for steps in range(CORRECTIONS):
            left = self.miss(y)
            size = float(left.norm() / y[:-1].norm().clamp_min(1))
            if size <= NEAR:
                return y, (self.slope(y) if steps else slope), steps
            if not size < last / 4:
                slope = self.slope(y)
            last = size
            left = torch.cat([left, (across @ (y - start))[None]])
            y = y - _solve(torch.cat([slope, across[None]]), left)
            if not bool(y.isfinite().all()):
                return None
        return None


def continued(rest: Map, jacobian: Map, like: Tensor, most: int) -> Path:
    """Follow ``h = a R(h)`` from a = 0, where h = 0 is the only solution, to a = 1.

    Where R sends a ball into itself the path from 0 reaches a = 1 but for degenerate R, for no
    solution lies on the ball's surface while a < 1 (Leray and Schauder). It may turn back in a on
    the way: steps go along the path (pseudo-arclength), not in a.

    Args:
        rest: R, states (B, n) to states (B, n).
        jacobian: Its derivative, (B, n) to (B, n, n).
        like: Zeros of the state's length, (n,), in the arithmetic of choice.
        most: Jacobians to take, at most.

    Source: Allgower and Georg, Numerical Continuation Methods, 1990, chapters 3 and 6.
    """
    path = _Path(rest, jacobian)
    y = torch.cat([like, like.new_zeros(1)])
    slope = path.slope(y)
    ahead = torch.cat([-slope[:, -1], like.new_ones(1)])  # at 0: dh = R(0) da
    ahead, length, furthest = ahead / ahead.norm(), FIRST, 0.0
    while path.jacobians < most and length > SHORTEST:
        step = path.corrected(y + length * ahead, ahead)
        if step is None:
            length /= 2
            continue
        found, slope, corrections = step
        turned = _solve(torch.cat([slope, ahead[None]]), _last(ahead))
        turned = turned / turned.norm()
        if not bool(turned @ ahead > TURN) or not bool(turned.isfinite().all()):
            length /= 2
            continue
        if found[-1] >= 1:
            at_one = _at_one(path, y, found)
            if at_one is not None:
                return Path(at_one, 1.0, path.jacobians)
            length /= 2
            continue
        y, ahead, furthest = found, turned, max(furthest, float(found[-1]))
        length = min(LONGEST, length * (1.5 if corrections <= 4 else 1.0))
    return Path(None, furthest, path.jacobians)


def _at_one(path: _Path, before: Tensor, after: Tensor) -> Tensor | None:
    """The path's point with a = 1 between two others."""
    share = (1 - before[-1]) / (after[-1] - before[-1])
    y = before + share * (after - before)
    y[-1] = 1.0
    found = path.corrected(y, _last(y))
    if found is None or bool((found[0] - y).norm() > (after - before).norm()):
        return None
    return found[0][:-1]


def _last(like: Tensor) -> Tensor:
    """0, ..., 0, 1."""
    out = torch.zeros_like(like)
    out[-1] = 1.0
    return out


def _solve(matrix: Tensor, right: Tensor) -> Tensor:
    """The solution; NaN where there is none."""
    found, info = torch.linalg.solve_ex(matrix, right)
    return found if not bool(info) else torch.full_like(found, float("nan"))
