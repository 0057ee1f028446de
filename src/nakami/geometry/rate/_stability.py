"""When an optimizer's steps along one direction of constant curvature shrink: pure functions.

Along an eigenvector of curvature ``h`` the gradient is ``h u``, and a step is a linear map of
position ``u`` and momentum ``m``; it shrinks where the map's eigenvalues lie in the unit circle.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rule:
    """An update with at most one average of gradients, ``m <- momentum m + weight g``.

    Then ``u <- u - rate m``, or with ``nesterov`` ``u <- u - rate (g + momentum m)``. torch's
    ``SGD``: ``weight = 1 - dampening`` (1 without momentum). Adam with its denominators frozen:
    ``momentum = beta1``, ``weight = 1 - beta1``, in coordinates that divide by them.

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


def memory(rule: Rule) -> float:
    """How many past gradients an average of the rule holds, ``1 / (1 - momentum)``."""
    return 1 / (1 - rule.momentum)


def limit(rule: Rule, curvature: float) -> float:
    """Largest rate at which steps along a direction of this curvature do not grow."""
    return rule.stability_threshold / curvature if curvature > 0 else float("inf")


def allowed(rule: Rule, rate: float) -> float:
    """Largest curvature that a rate bears; the inverse of ``limit``."""
    return rule.stability_threshold / rate


def companion(rule: Rule, rate: float, curvature: float, decay: float = 0.0) -> Tensor:
    """One step along a direction as a matrix on ``(u, m)``, ``(2, 2)`` float64.

    Args:
        rule: The update.
        rate: Learning rate.
        curvature: Eigenvalue of the matrix; a decay that enters the gradient is part of it.
        decay: Decoupled decay, ``u <- (1 - rate decay) u`` beside the step (AdamW).
    """
    mu, nu = rule.momentum, rule.weight
    now, before = (1 + mu * nu, mu**2) if rule.nesterov else (nu, mu)
    stay = 1 - rate * decay - rate * curvature * now
    rows = [[stay, -rate * before], [nu * curvature, mu]]
    return torch.tensor(rows, dtype=torch.float64)


def spectral_radius(matrix: Tensor) -> float:
    """Largest size of an eigenvalue."""
    return float(torch.linalg.eigvals(matrix).abs().max())


def growth(rule: Rule, rate: float, curvature: float, decay: float = 0.0) -> float:
    """Factor by which the loss along a direction is multiplied at each step, in the long run.

    The squared spectral radius of the companion matrix; ``(rate curvature - 1)^2`` for plain
    gradient descent only.
    """
    return spectral_radius(companion(rule, rate, curvature, decay)) ** 2
