"""What is moved where: costs between points, given as a grid, as points, or as a matrix.

The cost is ``|x - y|^2`` (not half of it), unless ``power`` says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..results import check_at_least, is_number, wrong, wrong_type
from ._axis import REACH
from ._kernels import Dense, Kernel, Separable, Shifted, Tiled, power_cost

FLOATS = (torch.float32, torch.float64)
MOST_BLURS = 1e10  # of a cost: potentials in units of reg then have six digits left


@dataclass(frozen=True)
class Grid:
    """Points of a regular grid, of 1, 2, 3 or more axes; from and to the same points.

    The cost is a sum over axes of ``|x_k - y_k|^power``, so that sums over pairs of points are made
    axis by axis: ``d N^(1 + 1/d)`` operations for ``N`` points in place of ``N^2``.

    Args:
        shape: Points along each axis.
        spacing: Distance of neighbours along each axis, one number for all axes or one for each;
            None: the longest axis runs from 0 to 1, and all axes have its spacing.
        power: 2 is the squared Euclidean distance; 1 the sum of distances along the axes.
    """

    shape: tuple[int, ...]
    spacing: tuple[float, ...]
    power: float

    def __init__(
        self,
        shape: int | Sequence[int],
        spacing: float | Sequence[float] | None = None,
        power: float = 2.0,
    ):
        sizes = _each("shape", shape, "write Grid((64, 64))")
        if not sizes:
            raise wrong("shape", "name an axis at least", sizes, "write Grid((64, 64))")
        for size in sizes:
            check_at_least("shape", size, 1, "write Grid((64, 64))")
        object.__setattr__(self, "shape", sizes)
        object.__setattr__(self, "spacing", _spacing(sizes, spacing))
        object.__setattr__(self, "power", _power(power))

    @property
    def target(self) -> tuple[int, ...]:
        """Shape of ``q``."""
        return self.shape

    @property
    def convention(self) -> str:
        """The cost in words."""
        return f"sum over axes of |x - y|^{self.power:g}"

    def axis_costs(self, like: Tensor) -> list[Tensor]:
        """The cost along each axis, ``(n, n)``."""
        places = [
            torch.arange(n, dtype=torch.float64) * step
            for n, step in zip(self.shape, self.spacing, strict=True)
        ]
        return [(x[:, None] - x).abs().pow(self.power).to(like) for x in places]


@dataclass(frozen=True)
class Points:
    """Points anywhere; the cost is ``|x - y|^power`` of the Euclidean distance.

    Args:
        x: ``(n, d)``, float32 or float64.
        y: ``(m, d)``; None: the points of ``x``.
        power: Above 0; 2 is the squared distance.
    """

    x: Tensor
    y: Tensor
    power: float

    def __init__(self, x: Tensor, y: Tensor | None = None, power: float = 2.0):
        given: dict[str, object] = {"x": x, "y": x if y is None else y}
        for name, points in given.items():
            if not isinstance(points, Tensor):
                raise wrong_type(
                    name, "be a tensor of points (n, d)", points, "pass torch.rand(50, 2)"
                )
            if points.ndim != 2 or 0 in points.shape or points.dtype not in FLOATS:
                got = f"{points.dtype} of shape {tuple(points.shape)}"
                way_out = "pass x[:, None] for numbers, x.float() for another type"
                raise wrong(name, "hold points (n, d) of float32 or float64", got, way_out)
            if not bool(points.isfinite().all()):
                count = int((~points.isfinite()).sum())
                raise wrong(
                    name, "be finite", f"{count} entries that are not", "take those points out"
                )
            object.__setattr__(self, name, points)
        if self.x.shape[1] != self.y.shape[1]:
            got = f"{self.x.shape[1]} and {self.y.shape[1]}"
            raise wrong("y", "have as many coordinates as {x}", got, "pass points of one space")
        object.__setattr__(self, "power", _power(power))

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of ``p``."""
        return (len(self.x),)

    @property
    def target(self) -> tuple[int, ...]:
        """Shape of ``q``."""
        return (len(self.y),)

    @property
    def convention(self) -> str:
        """The cost in words."""
        return f"|x - y|^{self.power:g}, Euclidean"


@dataclass(frozen=True)
class Matrix:
    """A cost of each pair, ``(n, m)``; ``inf`` forbids a pair."""

    cost: Tensor

    def __post_init__(self) -> None:
        cost: object = self.cost
        if not isinstance(cost, Tensor):
            ways = ["pass transport.Grid((64, 64))", "mind the order: masses, cost, reg"]
            raise wrong_type("cost", "be a matrix, a Grid or Points", cost, ways)
        if cost.ndim != 2 or 0 in cost.shape:
            ways = ["pass a Grid, Points or a matrix", "mind the order: masses, cost, reg"]
            raise wrong("cost", "be a matrix (n, m)", f"shape {tuple(cost.shape)}", ways)
        if cost.dtype not in FLOATS:
            raise wrong("cost", "be float32 or float64", cost.dtype, "pass cost.float()")
        if bool(cost.isnan().any()) or bool((cost == -torch.inf).any()):
            raise wrong("cost", "hold numbers or inf", "NaN or -inf", "take those pairs out")

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of ``p``."""
        return (self.cost.shape[0],)

    @property
    def target(self) -> tuple[int, ...]:
        """Shape of ``q``."""
        return (self.cost.shape[1],)

    @property
    def convention(self) -> str:
        """The cost in words."""
        return "matrix given"


Cost = Grid | Points | Matrix


def as_cost(cost: object) -> Cost:
    """A matrix becomes a ``Matrix``."""
    if isinstance(cost, Grid | Points | Matrix):
        return cost
    return Matrix(cost)  # type: ignore[arg-type]  # which it checks


def kernel_of(cost: Cost, reg: float, like: Tensor, budget: int) -> Kernel:
    """The sums for ``exp(-cost / reg)``, in the type of ``like`` ``(B, ...)`` where it suffices."""
    check_blur(cost, reg)
    if isinstance(cost, Grid):
        costs = cost.axis_costs(like.double() if like.device.type != "mps" else like)
        if len(costs) == 1 and len(like) == 1:  # products with one vector
            return _dense(costs[0] / reg, like, budget)
        made = Separable([(c / reg).to(like.dtype) for c in costs])
        if like.dtype == torch.float32 and not made.is_one_product and costs[0].dtype != like.dtype:
            return Separable([c / reg for c in costs])  # float64 needs fewer products
        return made
    if isinstance(cost, Points):
        return _of_points(cost, reg, like, budget)
    return _dense(cost.cost.detach().to(like) / reg, like, budget)


def spread(cost: Cost) -> float:
    """Largest difference of the costs of two pairs that are not forbidden, or a bound on it."""
    if isinstance(cost, Grid):
        sides = zip(cost.shape, cost.spacing, strict=True)
        return sum(((n - 1) * step) ** cost.power for n, step in sides)
    if isinstance(cost, Points):
        both = torch.cat([cost.x.detach().double(), cost.y.detach().double()])
        return float((both.amax(0) - both.amin(0)).norm()) ** cost.power
    low, high = _range(cost.cost.detach())
    return high - low


def _range(cost: Tensor) -> tuple[float, float]:
    """Of the finite entries."""
    low, high = (float(end) for end in cost.aminmax())
    if high == torch.inf:
        finite = cost[cost.isfinite()]
        return _range(finite) if finite.numel() else (0.0, 0.0)
    return low, high


def check_blur(cost: Cost, reg: float) -> None:
    """Refuse a blur so small that float64 could not tell plans apart."""
    if isinstance(cost, Matrix):
        largest = max(abs(end) for end in _range(cost.cost.detach()))
    else:
        largest = spread(cost)
    if largest > MOST_BLURS * reg:
        rule = f"be at least {1 / MOST_BLURS:g} of the largest cost, {largest:.3g}"
        raise wrong("reg", rule, reg, f"pass reg={1e-4 * largest:.1g}, or more")


def _dense(cost: Tensor, like: Tensor, budget: int) -> Dense:
    """In the type of ``like``; in float64 where float32 would have to take new references often."""
    kind, finite = like.dtype, cost[cost.isfinite()]
    if kind == torch.float32 and like.device.type != "mps" and finite.numel():
        wide = 3 * cost.numel() * 8 <= budget
        if wide and float(finite.max() - finite.min()) > 2 * REACH[kind]:
            kind = torch.float64
    return Dense(cost.to(kind), len(like), budget)


def _of_points(cost: Points, reg: float, like: Tensor, budget: int) -> Kernel:
    wide = like.dtype if like.device.type == "mps" else torch.float64
    scale = reg ** (-1 / cost.power)
    x, y = (points.detach().to(like.device, wide) * scale for points in (cost.x, cost.y))
    pair: Callable[[Tensor, Tensor], Tensor] = partial(power_cost, power=cost.power)
    shift: tuple[Tensor, Tensor] | None = None
    if cost.power == 2:
        between = x.mean(0) - y.mean(0)
        x, y = x - x.mean(0), y - y.mean(0)
        shift = (x + between).square().sum(1), y.square().sum(1) - 2 * (y @ between)
        pair = _minus_twice
    x, y = x.to(like.dtype), y.to(like.dtype)
    size = like.element_size()
    inner: Kernel
    if 3 * len(x) * len(y) * size <= budget:
        inner = _dense(pair(x, y), like, budget)
    else:
        tile = max(64, min(4096, int((budget / (8 * size)) ** 0.5)))
        inner = Tiled(x, y, pair, tile)
    return inner if shift is None else Shifted(inner, *shift)


def _minus_twice(x: Tensor, y: Tensor) -> Tensor:
    return (x @ y.T).mul_(-2)


def _spacing(shape: tuple[int, ...], spacing: float | Sequence[float] | None) -> tuple[float, ...]:
    if spacing is None:
        return (1 / max(1, max(shape) - 1),) * len(shape)
    way_out = "leave it out for the unit interval"
    steps = (spacing,) * len(shape) if is_number(spacing) else _each("spacing", spacing, way_out)
    if len(steps) != len(shape):
        got, fitting = f"{len(steps)} for {shape}", f"pass {len(shape)} numbers, or one"
        raise wrong("spacing", "have a number for each axis", got, fitting)
    for step in steps:
        if not is_number(step) or not 0 < float(step) < float("inf"):
            raise wrong("spacing", "be positive", repr(step), way_out)
    return tuple(float(step) for step in steps)


def _each(name: str, given: object, way_out: str) -> tuple[Any, ...]:
    """One for each axis; a number alone is of one axis."""
    if is_number(given):
        return (given,)
    if not isinstance(given, Iterable):
        raise wrong_type(name, "be a number or one for each axis", given, way_out)
    return tuple(given)


def _power(power: object) -> float:
    if not is_number(power) or not 0 < float(power) < float("inf"):
        raise wrong("power", "be a positive number", repr(power), "2 is the squared distance")
    return float(power)
