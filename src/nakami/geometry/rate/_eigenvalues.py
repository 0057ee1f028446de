"""How all eigenvalues of a loss's Gauss-Newton matrix lie, within a bound on the work."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch.utils.flop_counter import FlopCounterMode

from ...operators import CurvatureOperator
from ...results import PYTHON, NakamiWarning, warn
from ...spectra import LinearOperator, density
from ._kinds import real
from ._search import Search
from ._trials import PRODUCT

DENSE = 1024  # rows of the shorter side up to which all eigenvalues are computed
STEPS, PROBES = 64, 5  # beyond
PER_DECADE, WIDTH = 20, 0.2  # points of the curve, and its smoothing in decades
DEPTH = {True: 6.0, False: 3.5}  # decades below the largest: all there is, or 1 / STEPS^2
FEW, FEWEST = (32, 2), (16, 2)  # steps and probes where these are too many
WORK = 1e12  # floating-point operations, about a minute of one core
MOST = 3  # times that, beyond which the eigenvalues are left out


@dataclass(frozen=True)
class Eigenvalues:
    """How the eigenvalues of the loss's Gauss-Newton matrix lie, at the present weights.

    Attributes:
        points: Eigenvalues at which the curve is given, equally far apart on a log axis.
        count: Eigenvalues per factor of ten. error: its standard error over the probes.
        largest: ``lambda_max``. largest_error: its estimated absolute error.
        above: About how many eigenvalues lie above the first point. parameters: ``P``, how many in
            all; the rest is smaller, or zero.
        exact: Whether all were computed. n_probes: random vectors behind the curve. steps: Lanczos
            steps of each.
        width: Standard deviation of the smoothing, in decades.
        n_samples: Samples of the first batches, which were read alone since all would have cost
            too much; None for all.
    """

    points: tuple[float, ...]
    count: tuple[float, ...]
    error: tuple[float, ...]
    largest: float
    largest_error: float
    above: float
    parameters: int
    exact: bool
    n_probes: int
    steps: int
    width: float
    n_samples: int | None = None


def eigenvalues_of(whole: CurvatureOperator, search: Search) -> Eigenvalues | None:
    """How the eigenvalues lie; None without a root, where all are zero, or take too long."""
    if whole.root is None:
        return None
    way = _affordable(whole)
    if way is None:
        return None
    op, exact, steps, probes = way
    kernel = op.kernel
    assert kernel is not None
    side: LinearOperator = kernel if kernel.shape[0] < op.shape[0] else op
    n = side.shape[0]
    top = search.top("largest", op, op, 1)
    largest = top.value
    if not largest > 0:
        return None
    depth = DEPTH[exact] if steps != FEWEST[0] else DEPTH[False] - 1
    decades = torch.arange(-depth * PER_DECADE, 0.5 * PER_DECADE + 1).double() / PER_DECADE
    points, method = 10**decades * largest, "dense" if exact else "lanczos"
    with op.held():
        found = density(
            side, points, steps=steps, probes=probes, method=method, memory_budget=search.budget,
            seed=search.seed,
        )  # fmt: skip
    count, error = (n * curve for curve in found.per_decade(points, WIDTH))
    above = n * float((found.weights * (found.nodes > points[0])).sum())
    return Eigenvalues(
        tuple(points.tolist()), tuple(count.tolist()), tuple(error.tolist()), largest,
        top.error * largest, above, op.shape[0], found.exact, found.n_probes,
        found.steps, WIDTH, None if op is whole else op.n_samples,
    )  # fmt: skip


class Way(NamedTuple):
    """A matrix to read, whether all its eigenvalues are computed, else Lanczos steps and probes."""

    op: CurvatureOperator
    exact: bool
    steps: int
    probes: int

    @property
    def passes(self) -> float:
        """Its cost, in gradients of one example."""
        kernel, rows = self.op.kernel, _rows(self.op)
        if self.exact and kernel is not None and kernel.stored:
            return rows
        products = rows if self.exact else self.steps * self.probes  # where examples mix: of all
        return products * PRODUCT * self.op.n_examples


def _affordable(whole: CurvatureOperator) -> Way | None:
    """What ``WORK`` allows; None, with a warning, where nothing is near that.

    All data; else as many first batches as have few enough rows for all eigenvalues; else the first
    batch by fewer steps. What is counted is the work of a gradient on the first batch.
    """
    first = whole.by_batch()[0]
    point = torch.cat([real(weight).reshape(-1) for weight in whole.weights.values()])
    with FlopCounterMode(display=False) as counter:
        first.loss_and_gradient(point)
    each = counter.get_total_flops() / first.n_examples
    for way in _ways(whole):
        if way.passes * each <= WORK:
            return way
    if way.passes * each <= MOST * WORK:
        return way
    minutes = way.passes * each / WORK
    warn(
        NakamiWarning(
            "how all eigenvalues lie is left out, for on the first batch alone it would take about "
            f"{minutes:.0f} minutes; {{way_out}}.",
            way_out=["pass smaller batches", PYTHON + "pass spectrum=False to leave it out unsaid"],
        )
    )
    return None


def _ways(whole: CurvatureOperator) -> Iterator[Way]:
    """The best first."""
    count = len(whole.by_batch())
    few = (whole.first(some) for some in range(count - 1, 0, -1))
    one = whole if count == 1 else whole.first(1)
    if _rows(whole) <= DENSE:
        yield Way(whole, True, STEPS, PROBES)
    yield Way(whole, False, STEPS, PROBES)
    for part in few:
        if _rows(part) <= DENSE:
            yield Way(part, True, STEPS, PROBES)
            break
    yield Way(one, False, STEPS, PROBES)
    for least in (FEW, FEWEST):
        yield min(
            Way(one, _rows(one) <= DENSE, *least),
            Way(one, False, *least),
            key=lambda way: way.passes,
        )


def _rows(op: CurvatureOperator) -> int:
    """Of the shorter side."""
    assert op.kernel is not None
    return min(op.kernel.shape[0], op.shape[0])
