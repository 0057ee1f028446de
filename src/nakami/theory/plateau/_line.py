"""The overlap singularity: two students on one unit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numpy.typing import ArrayLike

from ...results import Shown, check_at_least, check_seed, is_number, told, wrong, wrong_type
from ._integrals import Array, real
from ._loss import gradient, population_hessian
from ._one_unit import OneUnit
from ._order import OrderParameters, order_parameters, readouts
from ._trajectory import Trajectory, trajectory

AROUND = 1e-10  # an eigenvalue nearer to 0 has no sign


@dataclass(frozen=True, repr=False)
class LineHessian(Shown):
    """Second derivatives of the loss on the line of two equal students.

    Attributes:
        z: Shares of the first student, ``(n,)``. eigenvalues: Increasing, ``(n, P)``, by ``(J /
            sqrt(N), w)``. least: The first of them, ``(n,)``.
        gradient: Norm of the first derivatives, ``(n,)``: 0 up to rounding, as every point of the
            line is critical.
        kind: ``"saddle"`` with a negative eigenvalue, else ``"attracting"``: nowhere curved
            downwards. An eigenvalue within 1e-10 of 0 has no sign.
    """

    columns = ("z", "least", "gradient")
    z: Array
    eigenvalues: Array
    least: Array
    gradient: Array
    kind: tuple[str, ...]

    def __repr__(self) -> str:
        return f"LineHessian({self.kind.count('saddle')} of {len(self.z)} points are saddles)"


def line_hessian(
    one: OneUnit, z: ArrayLike, *, outputs: int | None = None, extra: int = 1
) -> LineHessian:
    """Hessian at ``J_1 = J_2 = J*``, ``w_1 = z w*``, ``w_2 = (1 - z) w*``.

    With one output (or parallel teachers) it is semidefinite for z outside of 0 to 1: that part of
    the line attracts. With ``F`` of rank 2 it is indefinite for every z: along ``w_1 - w_2`` across
    ``w*`` the second derivative is 0, but its product with ``J_1 - J_2`` is not.

    Args:
        one: The best one-unit student, from ``best_one_unit``.
        z: Numbers, ``(n,)`` or one.
        outputs: O; None is the rank of ``F``. Each more adds the same directions again.
        extra: Input dimensions besides the teacher's, from 0 on; all behave alike.

    Returns:
        See ``LineHessian``.

    Raises:
        UsageError: Arguments out of range.

    Cost: 2 ms a number.
    """
    _check_one(one)
    shares = np.atleast_1d(real("z", z, "0.5 is the middle of the line"))
    if shares.ndim != 1:
        raise wrong("z", "be one number or a row", f"shape {shares.shape}", "pass z.ravel()")
    check_at_least("extra", extra, 0, "1 is the default")
    b, j, w, v = _embedded(one, len(one.first) + extra, outputs)
    values, slopes = [], []
    for share in shares:
        at = np.stack([j, j]), np.stack([share * w, (1 - share) * w])
        n = b.shape[1] ** 0.5
        values.append(np.linalg.eigvalsh(population_hessian(at[0] * n, b * n, at[1], v)))
        slopes.append(np.linalg.norm(np.append(*gradient(at[0], b, at[1], v))))
    found = np.array(values)
    kind = tuple("saddle" if x < -AROUND else "attracting" for x in found[:, 0])
    return LineHessian(shares, found, found[:, 0], np.array(slopes), kind)


def line_start(
    one: OneUnit,
    z: float,
    *,
    noise: float = 1e-3,
    outputs: int | None = None,
    size: int = 1000,
    count: int = 1,
    seed: int = 0,
) -> OrderParameters:
    """Order parameters beside the line: J and w of ``line_hessian`` plus ``noise N(0, 1)``.

    Args:
        one: From ``best_one_unit``.
        z: Share of the first student.
        noise: 0 to 1, on every weight of both layers, where J has entries of about 1.
        outputs: O; None is the rank of ``F``.
        size: N, at least M. Of the noise ``noise / sqrt(size)`` lies along a teacher's unit.
        count: Starts.
        seed: Of NumPy's generator.

    Returns:
        ``OrderParameters`` with axis ``(count,)``.

    Raises:
        UsageError: Arguments out of range.
    """
    _check_one(one)
    if not is_number(z) or not np.isfinite(z):
        raise wrong("z", "be a finite number", repr(z), "0.5 is the middle of the line")
    if not is_number(noise) or not 0 <= noise <= 1:
        raise wrong("noise", "be a number from 0 to 1", repr(noise), "0.001 is the default")
    n = check_at_least("size", size, len(one.first), "1000 is the default")
    count = check_at_least("count", count, 1, "5 is one")
    b, j, w, v = _embedded(one, n, outputs)
    rng = np.random.default_rng(check_seed(seed))
    first, second = (rng.standard_normal((count, 2, len(x))) for x in (j, w))
    b, j = b * n**0.5, j * n**0.5
    at = np.array([[z], [1 - z]]) * w
    return order_parameters(j + noise * first, b, at + noise * second, v)


@dataclass(frozen=True, repr=False)
class Escape(Shown):
    """When students leave the line.

    Attributes:
        z: Share of the first student.
        time: ``rate`` times the time at which the error is half that of the best one-unit student,
            ``(count,)``; inf where it did not come to that.
        doubt: Change of ``time`` in the run at looser tolerances, ``(count,)``.
        escaped: Whether it did. converged: Both runs agree, to 1 or 1 %.
        limit: Largest time, in the same unit.
        trajectory: The integration.
    """

    z: float
    time: Array
    doubt: Array
    escaped: npt.NDArray[np.bool_]
    converged: npt.NDArray[np.bool_]
    limit: float
    trajectory: Trajectory

    def __repr__(self) -> str:
        gone = f"{self.escaped.sum()} of {self.escaped.size} within {self.limit:g}"
        return f"Escape(z {self.z:g}, median {np.median(self.time):.4g}, {gone})"


@told
def escape(
    one: OneUnit,
    z: float,
    *,
    rate: float = 0.05,
    limit: float = 1000.0,
    noise: float = 1e-3,
    outputs: int | None = None,
    size: int = 1000,
    count: int = 5,
    seed: int = 0,
) -> Escape:
    """Start beside the line of two equal students and wait until the error has halved.

    Args:
        one: From ``best_one_unit``.
        z: Share of the first student.
        rate: Of both layers.
        limit: Largest ``rate`` times time.
        noise: As in ``line_start``.
        outputs: As in ``line_start``.
        size: As in ``line_start``. The time grows with its logarithm.
        count: Starts.
        seed: Of NumPy's generator.

    Returns:
        See ``Escape``.

    Raises:
        UsageError: Arguments out of range.

    Cost: 0.2 to 1 s.
    """
    _check_one(one)
    if not is_number(rate) or not 0 < rate <= 100:
        raise wrong("rate", "be a number above 0, at most 100", repr(rate), "0.05 is the default")
    if not is_number(limit) or not 0 < limit <= 1e6:
        raise wrong("limit", "be a number above 0, at most 1e6", repr(limit), "1000 is the default")
    start = line_start(one, z, noise=noise, outputs=outputs, size=size, count=count, seed=seed)
    goal = one.error / 2
    most = float(start.generalisation_error.max())
    stop = goal / most if goal < most else None
    found = trajectory(start, rate, t_end=limit / rate, stop_at=stop, atol=1e-15)
    time, check = (rate * _first(found.times, x, goal) for x in (found.error, found.check_error))
    with np.errstate(invalid="ignore"):
        doubt = np.where(time == check, 0.0, np.abs(time - check))
    gone = np.isfinite(time)
    known = (doubt <= np.maximum(1, 0.01 * time)) & (gone | found.converged)
    return Escape(float(z), time, doubt, gone, known, float(limit), found)


def _check_one(one: object) -> None:
    if not isinstance(one, OneUnit):
        got, way_out = type(one).__name__, "pass the result of best_one_unit(F)"
        raise wrong_type("one", "be a OneUnit", got, way_out)


def _first(t: Array, error: Array, goal: float) -> Array:
    """First time with at most this error; straight lines of its logarithm."""
    log = np.log(error / goal)
    below = log <= 0
    last = np.maximum(below.argmax(-1), 1)[..., None]
    before, after = (np.take_along_axis(log, last - i, -1)[..., 0] for i in (1, 0))
    left, right = t[last - 1][..., 0], t[last][..., 0]
    with np.errstate(divide="ignore", invalid="ignore"):
        at = np.clip(left + (right - left) * before / (before - after), left, right)
    return np.where(below.any(-1), at, np.inf)


def _embedded(one: OneUnit, size: int, outputs: int | None) -> tuple[Array, ...]:
    """``B / sqrt(N)``, ``J* / sqrt(N)``, ``w*`` and v as vectors."""
    m = len(one.first)
    b = np.zeros((m, size))
    b[:, :m] = np.linalg.cholesky(one.T)
    v = readouts("F", one.F, outputs)
    return b, one.first @ b, one.second @ v, v
