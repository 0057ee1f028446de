"""Means of matrices as they come, and the jackknife over groups of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Statistic = Callable[[Array, float], Array]


@dataclass
class Running:
    """Mean and variance of matrices in one pass, and their sums in a few groups.

    Each matrix is a group until there are more than ``most``; then neighbours are put together.
    With each matrix comes one number, averaged in the same way.

    Attributes:
        count: Matrices so far. mean: of them, float64. squares: sum of squared deviations, by
            Welford's update.
        sums, numbers, sizes: Of each group.
    """

    most: int
    count: int = 0
    mean: Array = field(default_factory=lambda: np.zeros(0))
    squares: Array = field(default_factory=lambda: np.zeros(0))
    sums: list[Array] = field(default_factory=list)
    numbers: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    _full: int = 1

    def add(self, matrix: Array, number: float) -> None:
        """Take one more."""
        if self.count == 0:
            self.mean, self.squares = np.zeros_like(matrix), np.zeros_like(matrix)
        self.count += 1
        gap = matrix - self.mean
        self.mean += gap / self.count
        self.squares += gap * (matrix - self.mean)
        if not self.sizes or self.sizes[-1] >= self._full:
            self.sums.append(np.zeros_like(matrix))
            self.numbers.append(0.0)
            self.sizes.append(0)
        self.sums[-1] += matrix
        self.numbers[-1] += number
        self.sizes[-1] += 1
        if len(self.sizes) > self.most:
            self._halve()

    def join(self, mean: Array, squares: Array, count: int, number: float) -> None:
        """Take the mean of ``count`` matrices, which stays a group of its own.

        Args:
            mean: Of these matrices.
            squares: Sum of their squared deviations from it.
            count: How many.
            number: The sum of the numbers that came with them.

        Source: Chan, Golub & LeVeque, Updating formulae and a pairwise algorithm for computing
        sample variances, 1979.
        """
        if self.count == 0:
            self.mean, self.squares = np.zeros_like(mean), np.zeros_like(mean)
        before, self.count = self.count, self.count + count
        gap = mean - self.mean
        self.mean += gap * (count / self.count)
        self.squares += squares + gap * gap * (before * count / self.count)
        self.sums.append(mean * count)
        self.numbers.append(number)
        self.sizes.append(count)

    def _halve(self) -> None:
        self._full *= 2
        starts = range(0, len(self.sizes), 2)
        self.sums = [sum(self.sums[i + 1 : i + 2], self.sums[i]) for i in starts]
        self.numbers = [sum(self.numbers[i : i + 2]) for i in starts]
        self.sizes = [sum(self.sizes[i : i + 2]) for i in starts]

    @property
    def variance(self) -> Array:
        """Of each entry, divisor n - 1; NaN for one matrix."""
        if self.count < 2:
            return np.full_like(self.mean, np.nan)
        return self.squares / (self.count - 1)

    @property
    def error(self) -> float:
        """Relative standard error of the mean in the Frobenius norm."""
        norm = float(np.linalg.norm(self.mean))
        return float(np.sqrt(self.variance.sum() / self.count)) / norm if norm else float("nan")

    @property
    def half_difference(self) -> Array:
        """Half the difference of the means of every other group and of the rest; NaN for one."""
        if len(self.sizes) < 2:
            return np.full_like(self.mean, np.nan)
        halves = [sum(self.sums[i::2]) / sum(self.sizes[i::2]) for i in (0, 1)]
        return np.asarray((halves[0] - halves[1]) / 2)

    def jackknife(self, statistic: Statistic) -> tuple[Array, Array, Array]:
        """A vector of numbers of the mean, their standard errors and biases.

        Groups may differ in size: Busing, Meijer & van der Leeden, Delete-m jackknife for unequal
        m, 1999. Of one prompt errors and biases are NaN.
        """
        whole = statistic(self.mean, sum(self.numbers) / self.count)
        if len(self.sizes) < 2:
            return whole, np.full_like(whole, np.nan), np.full_like(whole, np.nan)
        total, number, n = self.mean * self.count, sum(self.numbers), self.count
        left = np.stack(
            [
                statistic((total - s) / (n - m), (number - x) / (n - m))
                for s, x, m in zip(self.sums, self.numbers, self.sizes, strict=True)
            ]
        )
        ratio = n / np.array(self.sizes, dtype=np.float64)[:, None]
        centre = len(left) * whole - ((1 - 1 / ratio) * left).sum(0)
        pseudo = ratio * whole - (ratio - 1) * left
        spread = ((pseudo - centre) ** 2 / (ratio - 1)).mean(0)
        return whole, np.sqrt(spread), whole - centre
