"""The equations of the order parameters, integrated twice, at two tolerances."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike
from scipy.integrate import DOP853, DenseOutput, OdeSolution

from ...results import (
    RunError,
    Shown,
    check_at_least,
    check_fraction,
    is_number,
    said,
    told,
    wrong,
)
from ._integrals import Array, real
from ._order import OrderParameters, check_order, joint, unchecked
from ._velocity import check_rates, moved, slope

LOOSER = 10  # tolerances of the second run over those of the first
PER_STEP, AT_ONCE = 4, 1 << 15  # times in a step of the solver; rows of one evaluation
CLOSE = 1e-4  # difference of the two runs, over the initial error, that counts as agreement
SAME = 1e-12  # asymmetry below which a symmetry is exact
SYMMETRIC = (
    "two students begin equal in all averages, or one is zero, so the equations never part them; a "
    "network of finite size does: start with differences of 1 / sqrt(N), as random_start and "
    "order_parameters of drawn weights have them"
)


@dataclass(frozen=True, repr=False)
class Trajectory(Shown):
    """Order parameters over time; leading axes of the start, then times.

    Attributes:
        times: ``(n,)``, steps over N. error: Generalisation error, ``(..., n)``. slope: Its time
            derivative.
        order: ``OrderParameters`` with axes ``(..., n)``.
        rate, readout_rate: As in ``velocity``.
        check_error, check_slope: Error and slope of a second run at 10 times the tolerances, at
            the same times. difference: The largest change of the error between the two, over the
            initial error, ``(...,)``: what the integration may be wrong by.
        asymmetry: Of the start, see ``OrderParameters``.
        converged: ``difference`` is at most 1e-4, the end was reached, and the start had no exact
            symmetry, ``(...,)``. steps: Of the solver.
        reason: What did not, in words; empty where all is well.
    """

    times: Array
    error: Array
    slope: Array
    order: OrderParameters
    rate: float
    readout_rate: float
    check_error: Array
    check_slope: Array
    difference: Array
    asymmetry: Array
    converged: npt.NDArray[np.bool_]
    steps: int
    reason: str = ""

    @property
    def log_rate(self) -> Array:
        """``-d log(error) / dt``, ``(..., n)``: small on a plateau."""
        return -self.slope / self.error

    def __repr__(self) -> str:
        done = f"{self.converged.sum()} of {self.converged.size} converged"
        return f"Trajectory(t to {self.times[-1]:g} in {self.steps} steps, {done})"


@told
def trajectory(
    start: OrderParameters,
    rate: float = 0.2,
    readout_rate: float | None = None,
    *,
    t_end: float = 3000.0,
    stop_at: float | None = None,
    times: ArrayLike | None = None,
    rtol: float = 1e-10,
    atol: float = 1e-14,
    max_steps: int = 20_000,
) -> Trajectory:
    """Integrate from a start, all its rows at once, by DOP853 at two tolerances.

    The solver sees the mean of the students' rows and differences of successive ones, so that its
    tolerance holds for what escapes from a plateau: a solver of the rows themselves lets
    differences far below ``rtol`` die or grow by chance.

    Args:
        start: Where; any leading axes.
        rate: As in ``velocity``.
        readout_rate: As in ``velocity``.
        t_end: Steps over N, above 0.
        stop_at: End earlier, once every row's error has fallen to this share of its initial value.
        times: When to report, increasing, from 0 to ``t_end``; None is four times in each step of
            the solver, which follows what happens.
        rtol: Of the tighter run, 1e-13 to 0.001.
        atol: Of the tighter run, 1e-16 to 0.001; should stay below the differences between
            students that begin near each other.
        max_steps: After which the run ends early, ``converged`` False.

    Returns:
        See ``Trajectory``.

    Raises:
        UsageError: Arguments out of range.

    Cost: 0.12 ms an evaluation for one row, 0.2 ms for 20, 0.4 ms for 100; 12 to a step, a few
    hundred steps. 20 starts to 1 % of the first error: 1 to 5 s.
    Not converged where two runs part: near a saddle small errors grow exponentially, and only the
    sequence of error and plateau, not the time of escape, can then be trusted.
    """
    check_order("start", start)
    rates = check_rates(rate, readout_rate)
    t_end, given = _times(t_end, times)
    for name, value, least in (("rtol", rtol, 1e-13), ("atol", atol, 1e-16)):
        if not is_number(value) or not least <= value <= 1e-3:
            rule = f"be a number from {least:g} to 0.001"
            raise wrong(name, rule, repr(value), "leave it out for the default")
    check_at_least("max_steps", max_steps, 1, "20000 is the default")
    if stop_at is not None:
        check_fraction("stop_at", stop_at, "0.01 ends at 1 % of the initial error")
    flow = _Flow(start, *rates, stop_at)
    tight, steps, done = flow.solve(t_end, rtol, atol, max_steps)
    end = tight.t_max if given is None else min(tight.t_max, given[-1])
    at = _between(tight.ts) if given is None else given[given <= tight.t_max]
    loose, _, also = flow.solve(end, LOOSER * rtol, LOOSER * atol, max_steps, early=False)
    order = flow.unpacked(tight(at))
    error, found = flow.errors(order)
    check = flow.errors(flow.unpacked(loose(np.minimum(at, loose.t_max))))
    difference = np.abs(error - check[0]).max(-1) / error[..., 0]
    asymmetry = start.asymmetry
    broke = "" if done and also else _broke(steps, max_steps)
    reason = _reason(broke, difference, asymmetry)
    converged = (difference <= CLOSE) & (asymmetry > SAME) & done & also
    return Trajectory(
        at, error, found, order, *rates, *check, difference, asymmetry, np.asarray(converged),
        steps, reason,
    )  # fmt: skip


class _Flow:
    """The equations as a solver takes them: one flat vector for all rows.

    Its entries are ``S [Q S^T, R, D S^T, E]``; the rows of S are the mean and the differences.
    """

    def __init__(self, start: OrderParameters, rate: float, second: float, stop_at: float | None):
        self.k, self.m = start.units
        self.shape, self.rates, self.stop_at = start.shape, (rate, second), stop_at
        self.mix = np.eye(self.k) - np.eye(self.k, k=1)
        self.mix = np.vstack([np.full(self.k, 1 / self.k), self.mix[:-1]])
        self.back = np.linalg.inv(self.mix)
        rows = start if start.shape else start[None]
        self.t, self.f = (x.reshape(-1, self.m, self.m) for x in (rows.T, rows.F))
        moving = (rows.Q, rows.R, rows.D, rows.E)
        self.first = self.packed(*(x.reshape(len(self.t), self.k, -1) for x in moving))
        self.target = (stop_at or 0.0) * start.generalisation_error.reshape(-1)

    def packed(self, q: Array, r: Array, d: Array, e: Array) -> Array:
        """Rows ``(B, ...)`` as one vector."""
        mix = self.mix
        return (mix @ np.concatenate([q @ mix.T, r, d @ mix.T, e], axis=-1)).ravel()

    def parts(self, y: Array) -> tuple[Array, ...]:
        """Q, R, D, E of vectors ``(..., size)``, each ``(..., B, K, K or M)``."""
        k, m = self.k, self.m
        found = self.back @ y.reshape(*y.shape[:-1], len(self.t), k, 2 * (k + m))
        q, r = found[..., :k] @ self.back.T, found[..., k : k + m]
        d, e = found[..., k + m : 2 * k + m] @ self.back.T, found[..., 2 * k + m :]
        return (q + q.swapaxes(-1, -2)) / 2, r, (d + d.swapaxes(-1, -2)) / 2, e

    def order(self, y: Array) -> OrderParameters:
        """The same, with axes ``(..., B)``."""
        q, r, d, e = self.parts(y)
        t, f = (np.broadcast_to(x, (*r.shape[:-2], self.m, self.m)) for x in (self.t, self.f))
        return unchecked(q, r, t, d, e, f)

    def __call__(self, time: float, y: Array) -> Array:
        q, r, d, e = self.parts(y)
        return self.packed(*moved(joint(q, r, self.t), d, e, self.f, *self.rates))

    def solve(
        self, t_end: float, rtol: float, atol: float, max_steps: int, early: bool = True
    ) -> tuple[OdeSolution, int, bool]:
        """The solution, its steps, and whether it came to the end."""
        solver = DOP853(self, 0.0, self.first, t_end, rtol=rtol, atol=atol)
        times = [0.0]
        pieces: list[DenseOutput] = []
        while solver.status == "running" and len(pieces) < max_steps:
            solver.step()
            run = "tighter" if early else "looser"
            said(f"trajectory, {run} run, time {solver.t:.4g} of {t_end:.4g}")
            if solver.status == "failed":
                break
            times.append(solver.t)
            pieces.append(solver.dense_output())
            reached = early and self.stop_at is not None
            if reached and (self.order(solver.y).generalisation_error <= self.target).all():
                return OdeSolution(times, pieces), len(pieces), True
        if not pieces:
            raise RunError("The first step of the solver failed; pass smaller rates.")
        return OdeSolution(times, pieces), len(pieces), solver.status == "finished"

    def unpacked(self, y: Array) -> OrderParameters:
        """``(size, times)`` as order parameters ``(..., times)``."""
        order = self.order(y.T)
        return unchecked(
            *(
                np.moveaxis(x, 0, -3).reshape(*self.shape, len(x), *x.shape[-2:])
                for x in (order.Q, order.R, order.T, order.D, order.E, order.F)
            )
        )

    def errors(self, order: OrderParameters) -> tuple[Array, Array]:
        """Error and slope, a block of times at a time."""
        n, rows = order.shape[-1], max(int(np.prod(self.shape)), 1)
        block = max(AT_ONCE // rows, 1)
        found = [slope(order[..., i : i + block, :, :], *self.rates) for i in range(0, n, block)]
        error, change = (np.concatenate(x, axis=-1) for x in zip(*found, strict=True))
        return error, change


def _between(times: Array) -> Array:
    """Each step of the solver cut into equal parts."""
    parts = np.arange(PER_STEP) / PER_STEP
    return np.append((times[:-1, None] + np.diff(times)[:, None] * parts).ravel(), times[-1])


def _times(t_end: float, times: ArrayLike | None) -> tuple[float, Array | None]:
    if not is_number(t_end) or not 0 < t_end <= 1e9:
        raise wrong("t_end", "be a number above 0, at most 1e9", repr(t_end), "3000 is the default")
    if times is None:
        return float(t_end), None
    found = real("times", times, "pass times from 0 to t_end")
    if found.ndim != 1 or (np.diff(found) <= 0).any() or found[0] < 0 or found[-1] > t_end:
        rule = f"be increasing, in one row, from 0 to t_end = {t_end:g}"
        raise wrong("times", rule, repr(times), "np.linspace(0, t_end, 200) is such")
    return float(found[-1]), found


def _broke(steps: int, max_steps: int) -> str:
    if steps < max_steps:
        return "the solver's steps became too small to go on; pass smaller rates"
    return f"{max_steps} steps did not lead to the end; pass a larger max_steps"


def _reason(broke: str, difference: Array, asymmetry: Array) -> str:
    if (asymmetry <= SAME).any():
        return SYMMETRIC
    if broke:
        return broke
    if (difference > CLOSE).any():
        return (
            f"runs at two tolerances differ by up to {difference.max():.2g} of the initial error; "
            "pass smaller rtol and atol"
        )
    return ""
