"""An optimizer's steps along one direction of constant curvature, as a matrix."""

import torch


def companion(rule, rate, curvature, decay=0.0):
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


def spectral_radius(matrix):
    """Largest size of an eigenvalue."""
    return float(torch.linalg.eigvals(matrix).abs().max())


def growth(rule, rate, curvature, decay=0.0):
    """Factor by which the loss along a direction is multiplied at each step, in the long run.

    The squared spectral radius of the companion matrix; ``(rate curvature - 1)^2`` for plain
    gradient descent only.
    """
    return spectral_radius(companion(rule, rate, curvature, decay)) ** 2
