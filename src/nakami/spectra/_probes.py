"""A trace from random probes of a root that cost less than products with the matrix."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor

LEAST = 32  # probes behind a standard error
FEW = 10  # degrees of freedom without which it says nothing


class Probes(ABC):
    """Unbiased samples of a trace, in groups whose errors are independent.

    Of ``A = R^T R`` with rows of ``R`` in groups g, a sample is ``sum_g |R_g^T s_g|^2`` with signs
    ``s``: its variance is ``2 sum_g sum_(i != j) (R_g R_g^T)[i, j]^2``. That leaves out the squares
    on the diagonal and all between groups, which Gaussian probes of ``A`` have as well.

    Args:
        most: So many probes are there; the mean of all of them is the trace.
        exact_at: Probes from which on the exact trace costs no more.
        seed: Of the signs.

    Attributes:
        n_deflated: Directions whose share was taken out: none.
        samples: ``(groups, probes)``, float64.
    """

    n_deflated = 0

    def __init__(self, most: int, exact_at: int, seed: int):
        self.most, self.exact_at, self.seed = most, exact_at, seed
        self.samples = torch.empty(0, 0, dtype=torch.float64)

    @abstractmethod
    def _more(self, count: int) -> Tensor:
        """The next samples, ``(groups, count)``, float64."""

    def total(self, *numbers: float) -> list[float]:
        """Sums over processes that each have some of the groups."""
        return list(numbers)

    def add(self, count: int) -> None:
        """``count`` more probes."""
        more = self._more(count).cpu()
        self.samples = torch.cat([self.samples, more], 1) if self.count else more

    @property
    def count(self) -> int:
        """How many there are so far."""
        return self.samples.shape[1]

    @property
    def n_products(self) -> int:
        """What they cost: a product goes through the root and back."""
        return (self.count + 1) // 2

    @property
    def value(self) -> float:
        """The trace."""
        return self._read()[0]

    @property
    def se(self) -> float:
        """Standard error of ``value``; probes are drawn without replacement."""
        return math.sqrt(self._read()[1] / self.count * (1 - self.count / self.most))

    def needed(self, rtol: float) -> float:
        """How many make the standard error small enough, as far as they let it be known.

        With fewer than 31 degrees of freedom the 95 % bound of it has to be.

        Source: the degrees of freedom of a sum, Satterthwaite, Biometrics Bulletin 2 (1946).
        """
        value, variance, squares = self._read()
        if variance == 0:  # of few probes it says nothing
            return min(self.most, FEW + 1)
        wanted = (math.sqrt(variance) / max(rtol * abs(value), 1e-300)) ** 2
        count = max(2, math.ceil(wanted / (1 + wanted / self.most)))
        while count < self.most:
            margin = _margin((count - 1) * (variance**2 / squares if squares else math.inf))
            if margin**2 * wanted * (1 / count - 1 / self.most) <= 1:
                break
            count += 1
        return count

    def _read(self) -> tuple[float, float, float]:
        """Sums over groups of means, of variances between probes, and of these squared."""
        spread = self.samples.var(1, correction=int(self.count > 1))  # one of one is exact
        sums = (self.samples.mean(1), spread, spread.square())
        value, variance, squares = self.total(*(float(each.sum()) for each in sums))
        return value, variance, squares


def _margin(degrees: float) -> float:
    """What the standard deviation is at most, in units of one that was found; in 95 of 100 cases.

    Source: Wilson & Hilferty, PNAS 17 (1931): the cube root of chi-square over its degrees is
    nearly normal.
    """
    if degrees >= LEAST - 1:
        return 1.0
    if degrees < FEW:
        return math.inf
    return (1 - 2 / (9 * degrees) - 1.645 * (2 / (9 * degrees)) ** 0.5) ** -1.5
