"""Reconstruction ICA and topographic ICA: filters that are sparse, alone or in neighbourhoods.

Origin: Le, Karpenko, Ngiam & Ng, "ICA with reconstruction cost for efficient overcomplete feature
learning", NIPS 2011; Hyvarinen, Hoyer & Inki, "Topographic independent component analysis", Neural
Computation 13 (2001); Le et al., "Building high-level features using large scale unsupervised
learning", ICML 2012 (the objective with a second matrix and its fixed pooling).

Reconstruction ICA replaces the constraint of ICA, orthonormal rows of ``W``, by a cost:
``lambda |W^T W x - x|^2 + sum over j of log cosh(w_j x)`` for whitened ``x``. With a square
orthonormal ``W`` the first term is 0 and it is ICA. Topographic ICA puts the units on a sheet and
asks for sparse neighbourhoods in place of sparse units, ``|V W x - x|^2 + lambda sum over j of
sqrt(eps + sum over i of H_ji (w_i x)^2)`` with ``H`` fixed: 1 in the square around ``j``. So
neighbours become alike.

Deliberate differences: objectives are means over examples; first weights are orthonormal as far as
they can be. With ``V`` and ``W`` both free, as printed, the second objective has no minimum, for
``c V`` and ``W / c`` give back the same with less energy. So either ``V = W^T`` (``tied``), as in
the paper of 2011, or rows of ``W`` have length 1. Published: pictures of filters; no figures.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from nakami.results import check_at_least, check_sizes, is_number, wrong

from ._entry import Entry
from ._layers import normal, seeded


class ReconstructionICA(nn.Module):
    """Units ``w_j x`` of whitened inputs. Calling it gives them, ``(N, d) -> (N, units)``.

    Args:
        inputs: ``d``. units: number of filters, more than ``d`` if wished.
        cost: ``lambda``, weight of the reconstruction against sparsity, from 0 on.
        generator: Source of the first weights; None: a fresh one with seed 0.

    Attributes:
        weight: ``W``, ``(units, d)``: with at most ``d`` units orthonormal rows at first, with more
            orthonormal columns.
    """

    def __init__(
        self,
        inputs: int,
        units: int,
        *,
        cost: float = 0.1,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        inputs = check_at_least("inputs", inputs, 1, "use 100")
        units = check_at_least("units", units, 1, "use 144")
        if not (is_number(cost) and cost >= 0):
            raise wrong("cost", "be a number from 0 on", cost, "use 0.1")
        self.cost = float(cost)
        first = normal(torch.empty(units, inputs), seeded(generator))
        self.weight = nn.Parameter(_orthonormal(first))

    def forward(self, x: Tensor) -> Tensor:
        """The units."""
        return x @ self.weight.T

    def reconstruct(self, x: Tensor) -> Tensor:
        """``W^T W x``, of the shape of ``x``."""
        return self(x) @ self.weight

    def objective(self, x: Tensor) -> Tensor:
        """What is lowered, of each example, ``(N,)``."""
        y = self(x)
        misfit = (y @ self.weight - x).square().sum(1)
        magnitude = y.abs()  # log cosh y = |y| + log1p(exp(-2 |y|)) - log 2 without overflow
        log_cosh = magnitude + torch.nn.functional.softplus(-2 * magnitude) - LOG_2
        return self.cost * misfit + log_cosh.sum(1)


LOG_2 = 0.6931471805599453


class TopographicICA(nn.Module):
    """Units on a sheet, pooled over squares. Calling it gives the pooled energies.

    Args:
        inputs: Values of a whitened example, ``d``.
        sheet: Rows and columns of units, on a torus.
        side: Of the square that is pooled over, odd, at most the shorter side of the sheet.
        cost: ``lambda``, weight of sparsity against the reconstruction, from 0 on. Tied and with
            too large a cost all weights become 0.
        eps: Below the root.
        tied: Whether ``V`` is the transpose of ``W``; else rows of ``W`` have length 1.
        generator: Source of the first weights; None: a fresh one with seed 0.

    Attributes:
        weight: ``W``, ``(units, d)``, row by row of the sheet; ``filters`` has them at length 1
            where not tied. back: ``V^T``, of the same shape, or None.
        pool: ``H``, ``(units, units)`` of zeros and ones; fixed.

    Shape: ``(N, d) -> (N, units)``, ``sqrt(eps + H (W x)^2)``.
    """

    pool: Tensor

    def __init__(
        self,
        inputs: int,
        sheet: tuple[int, int],
        *,
        side: int = 3,
        cost: float = 0.1,
        eps: float = 1e-4,
        tied: bool = True,
        generator: torch.Generator | None = None,
    ):
        super().__init__()
        inputs = check_at_least("inputs", inputs, 1, "use 100")
        self.sheet = _checked(sheet)
        for name, value in (("cost", cost), ("eps", eps)):
            if not (is_number(value) and value >= 0):
                raise wrong(name, "be a number from 0 on", value, "leave it out")
        self.cost, self.eps = float(cost), float(eps)
        first = normal(torch.empty(math.prod(self.sheet), inputs), seeded(generator))
        self.weight = nn.Parameter(_orthonormal(first))
        self.back = None if tied else nn.Parameter(self.weight.detach().clone())
        self.register_buffer("pool", neighbourhoods(self.sheet, side), persistent=False)

    @property
    def filters(self) -> Tensor:
        """``W``, ``(units, d)``."""
        return self.weight if self.back is None else nn.functional.normalize(self.weight)

    def units(self, x: Tensor) -> Tensor:
        """``W x``, before pooling."""
        return x @ self.filters.T

    def given_back(self, y: Tensor) -> Tensor:
        """``V y``, what units give back of the input."""
        return y @ (self.weight if self.back is None else self.back)

    def pooled(self, y: Tensor) -> Tensor:
        """``sqrt(eps + H y^2)`` of units ``y``."""
        return (y.square() @ self.pool.T + self.eps).sqrt()

    def forward(self, x: Tensor) -> Tensor:
        """The pooled energies."""
        return self.pooled(self.units(x))

    def reconstruct(self, x: Tensor) -> Tensor:
        """``V W x``, of the shape of ``x``."""
        return self.given_back(self.units(x))

    def objective(self, x: Tensor) -> Tensor:
        """What is lowered, of each example, ``(N,)``."""
        y = self.units(x)
        misfit = (self.given_back(y) - x).square().sum(1)
        return misfit + self.cost * self.pooled(y).sum(1)


def neighbourhoods(sheet: tuple[int, int], side: int) -> Tensor:
    """Which units lie in the square around each, on a torus: ``(units, units)``, zeros and ones.

    Args:
        sheet: Rows and columns.
        side: Of the square, odd.
    """
    sheet, side = _checked(sheet), check_at_least("side", side, 1, "use 3")
    if side % 2 == 0 or side > min(sheet):
        rule = f"be odd, at most the shorter side of the sheet, {min(sheet)}"
        raise wrong("side", rule, side, f"use {3 if min(sheet) > 2 else 1}")
    near = [(distances(n) <= side // 2).float() for n in sheet]
    return torch.kron(*near)


def _checked(sheet: tuple[int, int]) -> tuple[int, int]:
    """Rows and columns, or a refusal."""
    rows, columns = check_sizes("sheet", sheet, 2, "be rows and columns", "use (10, 10)")
    return rows, columns


def distances(n: int) -> Tensor:
    """Steps between places on a ring, ``(n, n)``."""
    apart = (torch.arange(n)[:, None] - torch.arange(n)).abs()
    return apart.minimum(n - apart)


def _orthonormal(weight: Tensor) -> Tensor:
    """The nearest matrix with orthonormal rows, or columns where these are fewer."""
    u, _, v = torch.linalg.svd(weight, full_matrices=False)
    return u @ v


def make(generator: torch.Generator | None = None) -> TopographicICA:
    """Patches of 12 x 12 pixels, whitened to 72 components, on a sheet of 10 x 10 units."""
    return TopographicICA(72, (10, 10), generator=generator)


ENTRY = Entry(
    make=make,
    input=(72,),
    output=(100,),
    parameters=7_200,
    task="features",
    origin="Hyvarinen et al. 2001; Le et al. 2011, 2012",
    preprocessing="unit",
)
