"""Order parameters of a student and a teacher, both soft-committee machines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...results import Shown, check_at_least, check_seed, is_number, wrong, wrong_type
from ._integrals import Array, averages, covariance, real

UNITS = {"Q": "KK", "R": "KM", "T": "MM", "D": "KK", "E": "KM", "F": "MM"}


@dataclass(frozen=True, repr=False)
class OrderParameters(Shown):
    """Products of weights that decide the errors of a student before its teacher.

    Student ``sum_i w_i g(J_i . xi / sqrt N)``, teacher ``sum_n v_n g(B_n . xi / sqrt N)``, ``g(x) =
    erf(x / sqrt 2)``, ``xi ~ N(0, 1)`` in N dimensions. Leading axes are starts, times or networks;
    they broadcast. Outputs enter through D, E and F alone: one output is the same as many with
    parallel readouts.

    Attributes:
        Q: ``J J^T / N``, ``(..., K, K)``. R: ``J B^T / N``, ``(..., K, M)``. T: ``B B^T / N``,
            ``(..., M, M)``.
        D: ``w w^T``, ``(..., K, K)``. E: ``w v^T``, ``(..., K, M)``. F: ``v v^T``, ``(..., M, M)``.

    Raises:
        UsageError: Shapes that do not fit, or matrices that no vectors have: ``[[Q, R], [R^T, T]]``
            and ``[[D, E], [E^T, F]]`` are symmetric and positive semidefinite, to 1e-8.
    """

    Q: Array
    R: Array
    T: Array
    D: Array
    E: Array
    F: Array

    def __post_init__(self) -> None:
        found = {n: real(n, getattr(self, n), "see OrderParameters") for n in UNITS}
        for name, x in found.items():
            if x.ndim < 2:
                raise wrong(
                    name, "have two axes or more", f"shape {x.shape}", "see OrderParameters"
                )
        sizes = {"K": found["R"].shape[-2], "M": found["R"].shape[-1]}
        for name, x in found.items():
            shape = tuple(sizes[unit] for unit in UNITS[name])
            if x.shape[-2:] != shape:
                rule = f"have the shape (..., {shape[0]}, {shape[1]}) that belongs to R"
                raise wrong(name, rule, f"shape {x.shape}", "see OrderParameters")
        covariance("[[Q, R], [R^T, T]]", joint(found["Q"], found["R"], found["T"]))
        covariance("[[D, E], [E^T, F]]", joint(found["D"], found["E"], found["F"]))
        batch = np.broadcast_shapes(*(x.shape[:-2] for x in found.values()))
        for name, x in found.items():
            object.__setattr__(self, name, np.broadcast_to(x, batch + x.shape[-2:]))

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the leading axes."""
        return self.Q.shape[:-2]

    @property
    def units(self) -> tuple[int, int]:
        """Of student and teacher, ``(K, M)``."""
        return self.R.shape[-2], self.R.shape[-1]

    @property
    def covariance(self) -> Array:
        """``C = [[Q, R], [R^T, T]]`` of all pre-activations, ``(..., K + M, K + M)``."""
        return joint(self.Q, self.R, self.T)

    @property
    def generalisation_error(self) -> Array:
        """``<|teacher - student|^2> / 2 = sum_ab U_ab I2(a, b) / 2``.

        ``U = [[D, -E], [-E^T, F]]``, indices over students, then teachers.
        """
        return error_of(self.covariance, self.D, self.E, self.F)

    @property
    def asymmetry(self) -> Array:
        """How far the start is from a symmetry that the equations keep, ``(...)``.

        The largest change of Q, R, D or E where two students change places, or change places and
        signs, or where one changes its sign; the least over these. At 0 two students are equal, or
        opposite, in all averages, or one is zero: then nothing in the equations ever parts them.
        """
        found = [np.full(self.shape, np.inf)]
        for flip in _flips(self.units[0]):
            moved = [(x, flip @ x) for x in (self.R, self.E)]
            moved += [(x, flip @ x @ flip.T) for x in (self.Q, self.D)]
            found.append(np.max([np.abs(x - y).max(axis=(-1, -2)) for x, y in moved], axis=0))
        return np.asarray(np.min(found, axis=0))

    def __getitem__(self, index: object) -> OrderParameters:
        """Some of the leading axes."""
        return unchecked(*(getattr(self, name)[index] for name in UNITS))

    def __repr__(self) -> str:
        (k, m), error = self.units, self.generalisation_error
        what = f"error {error:.6g}" if error.ndim == 0 else f"shape {self.shape}"
        return f"OrderParameters({k} students, {m} teachers, {what})"


def order_parameters(J: ArrayLike, B: ArrayLike, w: ArrayLike, v: ArrayLike) -> OrderParameters:
    """Order parameters of given weights.

    Args:
        J: First layer of the student, ``(..., K, N)``.
        B: First layer of the teacher, ``(..., M, N)``.
        w: Readouts of the student, ``(..., K, O)``.
        v: Readouts of the teacher, ``(..., M, O)``.

    Returns:
        See ``OrderParameters``. Leading axes broadcast.

    Raises:
        UsageError: Shapes that do not fit, numbers that are not finite.
    """
    j, b, w, v = weights(J, B, w, v)
    n = j.shape[-1]
    t = b.swapaxes(-1, -2) / n
    of_v = v.swapaxes(-1, -2)
    return OrderParameters(
        j @ j.swapaxes(-1, -2) / n, j @ t, b @ t, w @ w.swapaxes(-1, -2), w @ of_v, v @ of_v
    )


def random_start(
    F: ArrayLike,
    *,
    students: int = 2,
    outputs: int | None = None,
    count: int = 1,
    size: int = 1000,
    first: float = 0.5,
    second: float = 0.3,
    seed: int = 0,
) -> OrderParameters:
    """Random students before a teacher of orthonormal units, ``T = 1``.

    ``J ~ first N(0, 1)`` in ``size`` dimensions, ``w ~ second N(0, 1) / sqrt(outputs)``. They
    differ by ``size^-1/2``, as students of any real network do: equal ones would never part.

    Args:
        F: Products of the teacher's readouts, ``(M, M)``, or a teacher for each start, ``(count, M,
            M)``, as ``random_readouts`` draws them.
        students: K.
        outputs: O, at least the rank of ``F``, which is the default.
        count: Starts, where ``F`` is one matrix.
        size: N, at least M.
        first: Above 0. Where it is small the dynamics begins at another saddle, J about 0.
        second: Above 0.
        seed: Of NumPy's generator.

    Returns:
        ``OrderParameters`` with one leading axis, ``(count,)``.

    Raises:
        UsageError: Arguments out of range.
    """
    v = readouts("F", F, outputs)
    k, m = check_at_least("students", students, 1, "2 is the default"), v.shape[-2]
    count = check_at_least("count", count, 1, "20 is a good number")
    n = check_at_least("size", size, m, "1000 is the default")
    for name, scale in (("first", first), ("second", second)):
        if not is_number(scale) or not 0 < scale < np.inf:
            raise wrong(name, "be a number above 0", repr(scale), "see random_start")
    if v.ndim == 3 and count not in (1, len(v)):
        rule = f"be the number of teachers in F, {len(v)}, or be left out"
        raise wrong("count", rule, count, "leave it out")
    count = len(v) if v.ndim == 3 else count
    rng = np.random.default_rng(check_seed(seed))
    j = first * rng.standard_normal((count, k, n))
    w = second * rng.standard_normal((count, k, v.shape[-1])) / v.shape[-1] ** 0.5
    b = np.sqrt(n) * np.eye(m, n)
    return order_parameters(j, b, w, v)


def random_readouts(outputs: int, *, teachers: int = 2, count: int = 1, seed: int = 0) -> Array:
    """Products ``F = v v^T`` of random unit vectors in ``outputs`` dimensions, ``(count, M, M)``.

    With one output they are 1 or -1; the more outputs, the nearer to 0.

    Args:
        outputs: O, at least 1.
        teachers: M, at least 1.
        count: Matrices, at least 1.
        seed: Of NumPy's generator.

    Raises:
        UsageError: Arguments out of range.
    """
    named = {"count": count, "teachers": teachers, "outputs": outputs}
    shape = [check_at_least(name, x, 1, "2 is one") for name, x in named.items()]
    v = np.random.default_rng(check_seed(seed)).standard_normal(shape)
    v /= np.linalg.norm(v, axis=-1, keepdims=True)
    return np.asarray(v @ v.swapaxes(-1, -2))


def readouts(argument: str, F: ArrayLike, outputs: int | None = None) -> Array:
    """Vectors ``(M, outputs)``, or for each of several matrices, with these products."""
    f = covariance(argument, F)
    if f.ndim > 3:
        way_out = "flatten the leading axes"
        raise wrong(argument, "be (M, M) or (count, M, M)", f"shape {f.shape}", way_out)
    values, vectors = np.linalg.eigh(f)
    values, vectors = values[..., ::-1], vectors[..., ::-1]
    most = np.maximum(values[..., :1], 1e-300)
    rank = max(int((values > 1e-12 * most).sum(-1).max()), 1)
    o = check_at_least("outputs", rank if outputs is None else outputs, rank, f"{rank} is least")
    v = np.zeros((*f.shape[:-1], o))
    v[..., :rank] = (vectors * np.sqrt(np.maximum(values, 0))[..., None, :])[..., :rank]
    return v


def weights(J: ArrayLike, B: ArrayLike, w: ArrayLike, v: ArrayLike) -> tuple[Array, ...]:
    """The four arrays, checked against each other."""
    named = {"J": J, "B": B, "w": w, "v": v}
    j, b, of_j, of_b = (real(n, x, "see order_parameters") for n, x in named.items())
    for name, x in zip(named, (j, b, of_j, of_b), strict=True):
        if x.ndim < 2:
            raise wrong(name, "have two axes or more", f"shape {x.shape}", "see order_parameters")
    for name, x, rows, other, axis in (
        ("B", b, j.shape[-1], "columns of J", -1),
        ("w", of_j, j.shape[-2], "rows of J", -2),
        ("v", of_b, b.shape[-2], "rows of B", -2),
        ("v", of_b, of_j.shape[-1], "columns of w", -1),
    ):
        if x.shape[axis] != rows:
            what = "columns" if axis == -1 else "rows"
            rule = f"have {rows} {what}, as many as {other}"
            raise wrong(name, rule, f"shape {x.shape}", "see order_parameters")
    return j, b, of_j, of_b


def _flips(k: int) -> Iterator[Array]:
    """Exchanges of two of ``k`` units, of two with their signs, and signs of one."""
    one = np.eye(k)
    for i in range(k):
        yield one - 2 * np.outer(one[i], one[i])
        for j in range(i):
            for sign in (1, -1):
                apart = one[i] - sign * one[j]
                yield one - np.outer(apart, apart)


def check_order(argument: str, value: object) -> None:
    """Refuse what are no order parameters."""
    if not isinstance(value, OrderParameters):
        way_out = "make them with order_parameters(J, B, w, v) or random_start(F)"
        raise wrong_type(argument, "be OrderParameters", type(value).__name__, way_out)


def joint(s: Array, cross: Array, t: Array) -> Array:
    """``[[s, cross], [cross^T, t]]``."""
    k, m = cross.shape[-2:]
    batch = cross.shape[:-2]
    if not s.shape[:-2] == batch == t.shape[:-2]:
        batch = np.broadcast_shapes(s.shape[:-2], batch, t.shape[:-2])
    found = np.empty((*batch, k + m, k + m))
    found[..., :k, :k], found[..., :k, k:] = s, cross
    found[..., k:, :k], found[..., k:, k:] = cross.swapaxes(-1, -2), t
    return found


def error_of(c: Array, d: Array, e: Array, f: Array) -> Array:
    """Generalisation error."""
    return np.asarray(0.5 * (joint(d, -e, f) * averages(c)).sum(axis=(-1, -2)))


def unchecked(*arrays: Array) -> OrderParameters:
    """Of arrays that are known to fit."""
    found = object.__new__(OrderParameters)
    for name, x in zip(UNITS, arrays, strict=True):
        object.__setattr__(found, name, x)
    return found
