"""States that a constant input leaves where they are: stable ones, and saddles between them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ..results import (
    FixedPointEnding,
    FixedPoints,
    Outcome,
    check_at_least,
    check_seed,
    is_number,
    tick,
    wrong,
    wrong_type,
)
from ._continuation import Path, continued
from ._state_map import StateMap, Step, as_state_map

NEWTON = 60  # steps
JACOBIANS = 1500  # of a continuation, at most
HALVINGS = 12  # of a Newton step behind which the next one is not shorter
SETTLE = 200  # plain steps that half of the starts make first
LEAVE_OUT = "leave it out for the default"
Array = npt.NDArray[Any]


def fixed_points(
    net: nn.Module | Step | StateMap,
    x: Any = None,
    *,
    states: Any = None,
    random_starts: int = 64,
    scale: float = 1.0,
    tol: float = 1e-9,
    seed: int = 0,
    follow: bool | None = None,
) -> FixedPoints:
    """Fixed points of a recurrent net at a constant input, found from many starts at once.

    From each start Newton's method with halved steps finds ``R(h) = h``, where R is the state that
    the gates and candidates at h would settle to (``StateMap.at_rest``): F itself of a function.
    Half of the random starts first make 200 plain steps, which lead to what is stable. Where no
    start settles, ``h = a R(h)`` is followed from the only solution at a = 0 to a = 1: R sends a
    cube into itself, so a GRU, a tanh RNN and an LSTM have a fixed point (Brouwer). Points nearer
    than ``1e4 tol`` times their size are one. The search stays within ``StateMap.bounds``: beyond
    them update gates are 1 within rounding, and any state would rest.

    Args:
        net: As ``StateMap`` takes it, or one (which sets the arithmetic).
        x: The constant input, shape (I,); default 0.
        states: Starts beside 0 and the random ones, shape (n, S), such as those of real
            trajectories (``StateMap.run``): saddles lie near them.
        random_starts: How many, uniform in a cube.
        scale: Half its side. A GRU's states lie within 1.
        tol: Largest ``|F(h) - h|`` over ``max(1, |h|)`` that counts as fixed; above 1e-14.
        seed: Of the random starts; torch's global state is left alone.
        follow: Whether to follow ``h = a R(h)`` where no start settles. Default: of modules with
            bounded states, not of ReLU RNNs and functions, where it may lead nowhere.

    Raises:
        UsageError: What ``StateMap`` refuses; a shape, count, ``tol`` or ``scale`` out of range.

    Cost: for each start and Newton step a Jacobian (S products) and a solve O(S^3); as much for
    each of at most 1500 Jacobians of the continuation.
    Source: Sussillo and Barak, Neural Computation 25, 2013 (there by minimising the speed).
    """
    step_map = as_state_map(net)
    constant = _constant(step_map, x)
    check_seed(seed)
    for name, value, least in (("tol", tol, 1e-14), ("scale", scale, 0.0)):
        if not is_number(value) or not least < value < float("inf"):
            raise wrong(name, f"be a number above {least:g}", repr(value), LEAVE_OUT)
    if follow not in (True, False, None):
        raise wrong_type("follow", "be True or False", repr(follow), LEAVE_OUT)
    starts = _starts(step_map, constant, states, random_starts, scale, seed)
    rest = step_map.at_rest()
    found, size = _newton(rest, constant, starts[:, : rest.state_size], tol)
    settled = torch.isfinite(size) & (size <= tol)
    points, counts = _distinct(_resting(step_map, constant, found[settled], tol), 1e4 * tol)
    reached = int(counts.sum())
    kind = FixedPointEnding.NONE if not reached else FixedPointEnding.SOME_LOST
    kind = FixedPointEnding.FOUND if reached == len(starts) else kind
    numbers: dict[str, Any] = {
        "distinct": len(points), "reached": reached, "starts": len(starts), "steps": NEWTON,
        "given": states is not None,
    }  # fmt: skip
    if not reached and (bool(rest.bounds.isfinite().all()) if follow is None else follow):
        path = _followed(rest, constant)
        if path.h is not None:
            sharp = _newton(rest, constant, path.h[None], tol)[0]
            points = _resting(step_map, constant, sharp, tol)
            counts = torch.zeros(len(points), dtype=torch.int64)
        kind = FixedPointEnding.CONTINUED if len(points) else FixedPointEnding.NOT_REACHED
        numbers |= {"distinct": len(points), "a": path.a, "jacobians": path.jacobians}
    jacobians = step_map.jacobian(constant.expand(len(points), -1), points)
    residual = _misses(step_map, constant, points)
    errors = _solve(jacobians, residual).norm(dim=1)
    eigenvalues = torch.linalg.eigvals(jacobians)
    order = torch.argsort(eigenvalues.abs(), dim=1, descending=True)
    eigenvalues = eigenvalues.gather(1, order)
    first = torch.argsort(eigenvalues.abs().amax(dim=1))

    def sorted_(array: Tensor) -> Array:
        return np.asarray(array[first.to(array.device)].cpu())

    return FixedPoints(
        sorted_(points),
        sorted_(residual.norm(dim=1)),
        sorted_(errors),
        sorted_(eigenvalues),
        sorted_(counts),
        seed,
        Outcome(kind, numbers),
    )


def _constant(step_map: StateMap, x: Any) -> Tensor:
    """The constant input, shape (1, I)."""
    if x is None:
        return torch.zeros(1, step_map.input_size, dtype=step_map.dtype, device=step_map.device)
    given = step_map.tensor(x, "x")
    sound = bool(given.isfinite().all())
    if given.shape != (step_map.input_size,) or not sound:
        rule = f"be {step_map.input_size} finite numbers, shape ({step_map.input_size},)"
        got = f"{tuple(given.shape)}" + ("" if sound else " with NaN or infinite entries")
        raise wrong("x", rule, got, "leave it out for 0")
    return given[None]


def _starts(
    step_map: StateMap, x: Tensor, states: Any, count: int, scale: float, seed: int
) -> Tensor:
    """0, the random ones, half of them after plain steps, and the given ones."""
    n = check_at_least("random_starts", count, 0, LEAVE_OUT)
    generator = torch.Generator().manual_seed(seed)
    drawn = 2 * torch.rand(n, step_map.state_size, generator=generator, dtype=torch.float64) - 1
    random = (scale * drawn).to(step_map.device, step_map.dtype)
    with torch.no_grad():
        settling = random[: n // 2]
        for _ in range(SETTLE):
            settling = step_map(x.expand(len(settling), -1), settling)
    parts = [step_map.starts(None, 1), settling, random[n // 2 :]]
    if states is not None:
        given = step_map.tensor(states, "states")
        if given.ndim != 2 or given.shape[1] != step_map.state_size:
            rule = f"have shape (starts, {step_map.state_size})"
            raise wrong("states", rule, tuple(given.shape), "pass StateMap(net).run(inputs)[0]")
        parts.append(given)
    starts = torch.cat(parts)
    return starts[starts.isfinite().all(dim=1)]


@torch.no_grad()
def _misses(step_map: StateMap, x: Tensor, h: Tensor) -> Tensor:
    """``F(h) - h``."""
    return step_map(x.expand(len(h), -1), h) - h


@torch.no_grad()
def _resting(step_map: StateMap, x: Tensor, h: Tensor, tol: float) -> Tensor:
    """The states of those of ``at_rest`` that the net leaves where they are."""
    whole = step_map.whole(x.expand(len(h), -1), h)
    size = _misses(step_map, x, whole).norm(dim=1) / whole.norm(dim=1).clamp_min(1)
    return whole[size <= tol]


def _followed(rest: StateMap, x: Tensor) -> Path:
    """The continuation at this input."""

    def at(h: Tensor) -> Tensor:
        return rest(x.expand(len(h), -1), h)

    def jacobian(h: Tensor) -> Tensor:
        return rest.jacobian(x.expand(len(h), -1), h)

    return continued(at, jacobian, torch.zeros_like(rest.starts(None, 1)[0]), JACOBIANS)


def _newton(step_map: StateMap, x: Tensor, h: Tensor, tol: float) -> tuple[Tensor, Tensor]:
    """States after damped Newton steps, and their residuals over ``max(1, |h|)``."""

    def miss(h: Tensor) -> Tensor:
        return _misses(step_map, x, h)

    def size(h: Tensor) -> Tensor:
        return miss(h).norm(dim=1) / h.norm(dim=1).clamp_min(1)

    def within(h: Tensor) -> Tensor:  # beyond, closed gates make states rest within rounding
        return h.clamp(-step_map.bounds, step_map.bounds)

    h = within(h)
    sizes = size(h)
    open_ = torch.arange(len(h), device=h.device)
    for _ in range(NEWTON):
        tick()
        open_ = open_[(sizes[open_] > tol / 100) & sizes[open_].isfinite()]
        if not len(open_):
            break
        at = h[open_]
        jacobians = step_map.jacobian(x.expand(len(at), -1), at)
        step = _solve(jacobians, miss(at))
        before, share = step.norm(dim=1), torch.ones(len(at), 1, dtype=h.dtype, device=h.device)
        for _ in range(HALVINGS):
            after = _solve(jacobians, miss(within(at - share * step))).norm(dim=1)
            worse = ~(after < (1 - share[:, 0] / 4) * before)
            if not bool(worse.any()):
                break
            share[worse] /= 2
        better = after < before
        h[open_[better]] = within(at - share * step)[better]
        sizes[open_[better]] = size(h[open_[better]])
        open_ = open_[better]
    return h, sizes


def _solve(jacobians: Tensor, miss: Tensor) -> Tensor:
    """``(J - I)^-1 (F(h) - h)``; where that is singular, by least squares."""
    eye = torch.eye(jacobians.shape[-1], dtype=jacobians.dtype, device=jacobians.device)
    step, info = torch.linalg.solve_ex(jacobians - eye, miss[..., None])
    if bool((info != 0).any()):
        bad = info != 0
        step[bad] = torch.linalg.pinv(jacobians[bad] - eye) @ miss[bad][..., None]
    return step[..., 0]


def _distinct(points: Tensor, near: float) -> tuple[Tensor, Tensor]:
    """One point of each group within ``near`` times its size, and the sizes of the groups."""
    kept, counts = list[Tensor](), list[int]()
    for point in points:
        close = [float((point - other).norm()) for other in kept]
        reach = near * max(1.0, float(point.norm()))
        if close and min(close) <= reach:
            counts[close.index(min(close))] += 1
        else:
            kept.append(point)
            counts.append(1)
    return (torch.stack(kept) if kept else points[:0]), torch.tensor(counts, dtype=torch.int64)
