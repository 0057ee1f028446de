"""Histograms with known barycenters, drawn shapes, and formulas, for transport_barycenters.py."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from scipy.optimize import brentq
from torch import Tensor

LEVELS = 20_000  # of the quantile functions


def unit(mass: Tensor) -> Tensor:
    """Of sum 1, in float64."""
    return mass.double() / mass.sum()


def gaussian(shape: Sequence[int], middle: Sequence[float], sd: float) -> Tensor:
    """On a grid whose longest axis runs from 0 to 1."""
    made = torch.ones(tuple(shape), dtype=torch.float64)
    for axis, (size, place) in enumerate(zip(shape, middle, strict=True)):
        x = torch.arange(size, dtype=torch.float64) / (max(shape) - 1)
        line = torch.exp(-((x - place) ** 2) / (2 * sd**2))
        made *= line.view(*[-1 if k == axis else 1 for k in range(len(shape))])
    return unit(made)


def spread(mass: Tensor, axis: int = 0) -> float:
    """Standard deviation along one axis, in steps of the grid."""
    line = mass.sum([k for k in range(mass.ndim) if k != axis]) if mass.ndim > 1 else mass
    x = torch.arange(len(line), dtype=torch.float64)
    return float(((line * x**2).sum() - (line * x).sum() ** 2).sqrt())


def entropy(mass: Tensor) -> float:
    """In nats."""
    return float(-torch.xlogy(mass, mass).sum())


def drawn(size: int) -> dict[str, Tensor]:
    """Shapes on a square grid: a ring, the outline of a square, a cross, a disc, two discs."""
    x = torch.linspace(-1, 1, size, dtype=torch.float64)
    rows, columns = torch.meshgrid(x, x, indexing="ij")
    radius, reach = (rows**2 + columns**2).sqrt(), torch.maximum(rows.abs(), columns.abs())
    pen = 1.6 / size + 0.03
    arm = torch.minimum(rows.abs(), columns.abs())
    two = torch.minimum(*(((columns - at) ** 2 + rows**2).sqrt() for at in (-0.45, 0.45)))
    shapes = {
        "ring": (radius - 0.6).abs() < pen,
        "square": (reach - 0.6).abs() < pen,
        "cross": (arm < pen) & (reach < 0.7),
        "disc": radius < 0.4,
        "two discs": two < 0.25,
    }
    return {name: unit(shape) for name, shape in shapes.items()}


def lines(n: int) -> dict[str, tuple[Tensor, Tensor]]:
    """Pairs of histograms on ``n`` points of the unit interval."""
    x = torch.linspace(0, 1, n, dtype=torch.float64)

    def bell(middle: float, sd: float) -> Tensor:
        return gaussian((n,), (middle,), sd)

    def box(low: float, high: float) -> Tensor:
        return unit((x >= low) & (x <= high))

    return {
        "Gaussians, sd 0.03 and 0.06": (bell(0.35, 0.03), bell(0.65, 0.06)),
        "Gaussians, sd 0.02 and 0.08": (bell(0.3, 0.02), bell(0.65, 0.08)),
        "boxes, width 0.2 and 0.4": (box(0.1, 0.3), box(0.5, 0.9)),
        "box and Gaussian": (box(0.1, 0.4), bell(0.7, 0.05)),
        "ramp and box": (unit(box(0.1, 0.4) * (x - 0.1)), box(0.5, 0.9)),
        "two bells and one": (unit(bell(0.2, 0.03) + bell(0.5, 0.03)), bell(0.7, 0.06)),
        "two bells, each": (
            unit(bell(0.15, 0.04) + bell(0.45, 0.04)),
            unit(2 * bell(0.5, 0.04) + 3 * bell(0.85, 0.04)),
        ),
    }


def quantiles(mass: Tensor) -> Tensor:
    """The quantile function at equal levels, with mass spread evenly over each bin; in bins."""
    levels = (torch.arange(LEVELS, dtype=torch.float64) + 0.5) / LEVELS
    ends = mass.cumsum(0)
    at = torch.searchsorted(ends, levels).clamp_max(len(mass) - 1)
    return at + (levels - (ends - mass)[at]) / mass[at]


def exact(pair: Sequence[Tensor]) -> Tensor:
    """Quantile function of the barycenter of equal weights for the squared distance; in bins."""
    return torch.stack([quantiles(mass) for mass in pair]).mean(0)


def binned(quantile: Tensor, n: int) -> Tensor:
    """The histogram of a quantile function."""
    return torch.histc(quantile, n, 0, n) / LEVELS


def wasserstein(mass: Tensor, quantile: Tensor) -> float:
    """``W_2`` on the unit interval."""
    return float((quantiles(mass) - quantile).square().mean().sqrt()) / (len(mass) - 1)


def covariance(v: float, u: float, reg: float) -> float:
    """Of the entropic plan between Gaussians of variances ``v`` and ``u``."""
    return (np.sqrt(4 * v * u + reg**2 / 4) - reg / 2) / 2


def gaussian_widths(sds: Sequence[float], reg: float) -> dict[str, float]:
    """Standard deviations of the barycenters, equal weights, of Gaussians on the whole line.

    With ``chi`` the covariance above, ``u`` the wanted variance and the mean over inputs ``v``:
    entropic ``mean chi(v, u) = u - reg / 2``, debiased ``mean chi(v, u) = chi(u, u)``, lambda
    ``mean chi(v, u + reg / 2) = u``; exact is the mean of the standard deviations.
    """
    rules: dict[str, Callable[[float, float], float]] = {
        "debiased": lambda mean, u: mean - covariance(u, u, reg),
        "lambda": lambda mean, u: mean - u,
    }
    found = {"exact": float(np.mean(sds))}
    for kind, rule in rules.items():
        shift = reg / 2 if kind == "lambda" else 0.0

        def gap(
            u: float, rule: Callable[[float, float], float] = rule, shift: float = shift
        ) -> float:
            return rule(float(np.mean([covariance(s * s, u + shift, reg) for s in sds])), u)

        found[kind] = float(brentq(gap, 1e-10, 1.0, xtol=1e-15)) ** 0.5
    found["entropic"] = (found["lambda"] ** 2 + reg / 2) ** 0.5
    return found
