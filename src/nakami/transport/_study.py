"""What the losses of transport do, on histograms and pictures drawn here."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence, Sized
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np
import torch
from torch import Tensor

from ..results import (
    COMMAND_LINE,
    PYTHON,
    NotConvergedWarning,
    Plotted,
    Progress,
    Shown,
    Work,
    check_at_least,
    is_number,
    wrong,
    wrong_type,
)
from ._costs import Grid
from ._divergences import blur, entropic_cost, lambda_divergence, sinkhorn_divergence
from ._sinkhorn import sinkhorn
from .barycenters._barycenter import barycenter

Array: TypeAlias = np.ndarray
REGS = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0)
KINDS = ("entropic", "debiased", "lambda")
SHAPES = ("ring", "square", "cross", "disc")
POINTS = 200
STEPS = 1000  # of a barycenter
LEAST, MOST = 1e-5, 1e3  # of reg


@dataclass(frozen=True, repr=False)
class LossCurve(Shown):
    """Losses of one pair of histograms by blur; arrays are ``(n,)``, in units of the cost.

    Attributes:
        reg: Factor of the entropy. entropic: ``C(p, q)``. lambda_divergence: ``D[p : q]``.
            sinkhorn_divergence: ``S(p, q)``. own: ``C(p, p)``, which is not 0.
        marginal_error: L1, of the plan of p and q. steps: Of its iteration. converged: Whether
            the error is at most 1e-9.
        exact: The transport cost without entropy.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "reg", "entropic", "lambda_divergence", "sinkhorn_divergence", "own", "marginal_error",
        "steps", "converged",
    )  # fmt: skip
    reg: Array
    entropic: Array
    lambda_divergence: Array
    sinkhorn_divergence: Array
    own: Array
    marginal_error: Array
    steps: Array
    converged: Array
    exact: float


@dataclass(frozen=True, repr=False)
class BarycenterRow(Shown):
    """One barycenter: how it ended, and how spread it is.

    Attributes:
        of: ``"histograms"`` or ``"pictures"``. kind: See ``barycenter``.
        entropy: In nats. input_entropy: Mean of the inputs'.
        residual, steps, converged: Of the iteration. reason: Why it stopped.
        distance: L1, from the exact barycenter without entropy; NaN for pictures.
        mass: The barycenter.
    """

    of: str
    kind: str
    entropy: float
    input_entropy: float
    residual: float
    steps: int
    converged: bool
    distance: float
    mass: Array
    reason: str


@dataclass(frozen=True, repr=False)
class TransportStudy(Plotted):
    """Losses by blur, what each loss takes for nearest, and barycenters.

    Attributes:
        reg: Blur of the barycenters. x: Places of the histograms, ``(200,)``.
        p, q: The histograms. blurred: ``blur(p)``, where the entropic cost from p is least.
        between: The exact barycenter of p and q for ``|x - y|^2`` without entropy, with each
            mass even over its cell of the grid.
        losses: By blur. pictures: The inputs, ``(2, n, n)``. shapes: Their names.
        barycenters: Of p and q, and of the pictures, by each kind.
    """

    reg: float
    x: Array
    p: Array
    q: Array
    blurred: Array
    between: Array
    losses: LossCurve
    pictures: Array
    shapes: tuple[str, ...]
    barycenters: tuple[BarycenterRow, ...]

    def __repr__(self) -> str:
        return f"TransportStudy(reg {self.reg:g}, {' and '.join(self.shapes)})"

    def rows(self) -> list[dict[str, object]]:
        """The losses by blur."""
        return self.losses.rows()


def study(
    reg: float = 0.005,
    regs: Sequence[float] = REGS,
    shapes: Sequence[str] = ("ring", "square"),
    *,
    size: int = 32,
    progress: Progress | None = None,
) -> TransportStudy:
    """Losses of two histograms by blur, and barycenters of them and of two pictures.

    Args:
        reg: Factor of the entropy for the barycenters, in units of ``|x - y|^2`` on the unit
            interval; 1e-5 to 1000.
        regs: Factors for the losses, 2 different ones at least; likewise.
        shapes: Two of ring, square, cross, disc.
        size: Side of the pictures, 8 to 256.
        progress: Called after each piece.

    Returns:
        See ``TransportStudy``.

    Raises:
        UsageError: Arguments out of range, an unknown shape.

    Cost: 5 s at the defaults.
    """
    _check_range("reg", [reg], "pass {reg}=0.005")
    factors = sorted(_check_range("regs", regs, *_written("regs", (0.01, 0.1))))
    if len(factors) < 2 or len({*factors}) < len(factors):
        rule, got = "hold two different numbers at least", _listed(regs)
        raise wrong("regs", rule, got, _written("regs", (0.01, 0.1)))
    if (
        not isinstance(shapes, Sized)
        or len(shapes) != 2
        or any(one not in SHAPES for one in shapes)
    ):
        rule, ways = f"be two of {', '.join(SHAPES)}", _written("shapes", SHAPES[:2])
        raise wrong("shapes", rule, repr(shapes), ways)
    if not 8 <= check_at_least("size", size, 8, "32 is the default") <= 256:
        raise wrong("size", "be at most 256", size, "pass {size}=64")
    work = Work(["loss"] * len(factors) + ["barycenter"] * 2 * len(KINDS), progress)
    line, plane = Grid(POINTS), Grid((size, size))
    p, q = histograms()
    losses = _losses(p, q, line, factors, work)
    pictures = torch.stack([picture(one, size) for one in shapes])
    rows = [
        _barycenter(of, masses, grid, reg, kind, work)
        for of, masses, grid in (("histograms", torch.stack([p, q]), line),
                                 ("pictures", pictures, plane))
        for kind in KINDS
    ]  # fmt: skip
    x = np.linspace(0, 1, POINTS)
    near = blur(p, line, reg).numpy()
    between = _between(p, q)
    return TransportStudy(reg, x, p.numpy(), q.numpy(), near, between, losses,
                          pictures.numpy(), tuple(shapes), tuple(rows))  # fmt: skip


def _check_range(name: str, regs: Sequence[float], *ways: str) -> list[float]:
    """The range of a study, in which its iterations end in seconds."""
    given: object = regs
    if not isinstance(given, Iterable):
        raise wrong_type(name, "hold numbers", given, ways)
    for one in regs:
        if not is_number(one) or not LEAST <= one <= MOST:
            raise wrong(name, f"lie from {LEAST:g} to {MOST:g}", repr(one), ways)
    return [float(one) for one in regs]


def _written(name: str, values: Sequence[object]) -> tuple[str, str]:
    """How to give several values, in Python and on the command line."""
    return (
        f"{PYTHON}pass {name}=({', '.join(map(repr, values))})",
        f"{COMMAND_LINE}write --{name} {','.join(map(str, values))}",
    )


def _listed(values: Sequence[float]) -> str:
    return ", ".join(f"{one:g}" for one in values) or "none"


def histograms() -> tuple[Tensor, Tensor]:
    """Two of 200 points on the unit interval: two bumps, and one that is wider."""
    x = torch.linspace(0, 1, POINTS, dtype=torch.float64)

    def bump(place: float, width: float) -> Tensor:
        made = torch.exp(-0.5 * ((x - place) / width) ** 2)
        return made / made.sum()

    return 0.6 * bump(0.25, 0.03) + 0.4 * bump(0.42, 0.03), bump(0.7, 0.05)


def picture(shape: str, size: int) -> Tensor:
    """A shape as masses of sum 1, ``(size, size)``, float64."""
    axis = torch.linspace(-1, 1, size, dtype=torch.float64)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    radius = (x**2 + y**2).sqrt()
    inside = {
        "ring": (radius - 0.6).abs() < 0.15,
        "square": (x.abs() < 0.5) & (y.abs() < 0.5),
        "cross": ((x.abs() < 0.15) | (y.abs() < 0.15)) & (radius < 0.8),
        "disc": radius < 0.5,
    }[shape].double()
    return inside / inside.sum()


def _losses(p: Tensor, q: Tensor, line: Grid, regs: Sequence[float], work: Work) -> LossCurve:
    rows: list[list[float]] = []
    for reg in regs:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", NotConvergedWarning)  # it stands in the row
            found = sinkhorn(p, q, line, reg, tolerance=1e-9)
            own = entropic_cost(p, p, line, reg)
            rows.append([
                reg, float(found.value), float(lambda_divergence(p, q, line, reg)),
                float(sinkhorn_divergence(p, q, line, reg)), float(own),
                float(found.marginal_error), found.steps, float(found.converged),
            ])  # fmt: skip
        work.done(f"losses at reg {reg:g}", "loss")
    c = np.array(rows).T
    steps, converged = c[6].astype(int), c[7] > 0
    return LossCurve(c[0], c[1], c[2], c[3], c[4], c[5], steps, converged, _exact(p, q))


def _paired(p: Tensor, q: Tensor) -> tuple[Array, Array, Array]:
    """Masses and both ends of the exact plan on a line: quantiles with quantiles."""
    ends = [np.concatenate([[0.0], np.cumsum(mass.numpy())]) for mass in (p, q)]
    ends = [end / end[-1] for end in ends]
    levels = np.unique(np.concatenate(ends))
    middle = (levels[1:] + levels[:-1]) / 2
    x = np.linspace(0, 1, len(p))
    at = [x[np.clip(np.searchsorted(end, middle) - 1, 0, len(x) - 1)] for end in ends]
    return np.diff(levels), at[0], at[1]


def _exact(p: Tensor, q: Tensor) -> float:
    """The transport cost without entropy."""
    mass, first, second = _paired(p, q)
    return float(mass @ (first - second) ** 2)


def _between(p: Tensor, q: Tensor) -> Array:
    """The barycenter at equal weights without entropy, on the grid: means of quantiles.

    Each mass is taken as even over its cell, so that quantiles are continuous and what lies between
    two points of the grid makes no steps.
    """
    n = len(p)
    edges = (np.arange(n + 1) - 0.5) / (n - 1)
    ends = [np.concatenate([[0.0], np.cumsum(mass.numpy())]) for mass in (p, q)]
    ends = [end / end[-1] for end in ends]
    levels = np.unique(np.concatenate(ends))
    places = [np.interp(levels, end, edges) for end in ends]
    return np.diff(np.interp(edges, (places[0] + places[1]) / 2, levels))


def _barycenter(
    of: str, masses: Tensor, grid: Grid, reg: float, kind: str, work: Work
) -> BarycenterRow:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)  # it stands in the row
        found = barycenter(masses, grid, reg, kind=kind, max_steps=STEPS)
    work.done(f"{kind} barycenter of {of}", "barycenter")
    exact = _between(masses[0], masses[1]) if of == "histograms" else np.nan
    away = float(np.abs(found.mass.numpy() - exact).sum())
    return BarycenterRow(
        of, kind, float(found.entropy), float(found.input_entropy.mean()), float(found.residual),
        int(found.steps), bool(found.converged), away, found.mass.numpy(), found.reason,
    )  # fmt: skip
