"""One step of an optimizer along one direction of curvature, and where it becomes unstable."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """An update with at most one average of gradients, ``m <- momentum m + weight g``.

    Then ``u <- u - rate m``, or with ``nesterov`` ``u <- u - rate (g + momentum m)``. torch's
    ``SGD``: ``weight = 1 - dampening`` (1 without momentum). Adam with its denominators frozen:
    ``momentum = beta1``, ``weight = 1 - beta1``, in coordinates that divide by them.

    Along an eigenvector of curvature ``h`` the gradient is ``h u``, and a step is a linear map of
    ``u`` and ``m``; it shrinks where the map's eigenvalues lie in the unit circle.

    Attributes:
        momentum: In [0, 1). weight: Above 0. nesterov: Whether the step looks ahead.
    """

    momentum: float = 0.0
    weight: float = 1.0
    nesterov: bool = False

    @property
    def stability_threshold(self) -> float:
        """Rate times curvature at the border of stability: 2 for plain gradient descent.

        ``2 (1 + momentum) / weight``; Nesterov ``2 (1 + momentum) / (1 + momentum + momentum
        weight)``. There the map's eigenvalue is -1 (Jury's criterion; the other two of its
        conditions are weaker).
        """
        mu, nu = self.momentum, self.weight
        return 2 * (1 + mu) / (1 + mu + mu * nu if self.nesterov else nu)

    @property
    def noise_threshold(self) -> float:
        """The same for gradients of small batches, which scatter: that of plain descent in effect.

        Steps by gradients without correlation add up: a gradient moves ``u`` by ``rate weight / (1
        - momentum)`` in the end, so ``2 (1 - momentum) / weight``; Nesterov ``2 (1 - momentum) /
        (1 - momentum + momentum weight)``. Adam, plain descent: 2. Source: Andreyev et al.,
        arXiv 2604.14108, for heavy-ball momentum.
        """
        mu, nu = self.momentum, self.weight
        return 2 * (1 - mu) / (1 - mu + mu * nu if self.nesterov else nu)

    @property
    def memory(self) -> float:
        """How many past gradients its average holds, ``1 / (1 - momentum)``."""
        return 1 / (1 - self.momentum)

    def limit(self, curvature: float) -> float:
        """Largest rate at which steps along a direction of this curvature do not grow."""
        return self.stability_threshold / curvature if curvature > 0 else float("inf")
