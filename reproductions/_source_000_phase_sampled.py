"""The posterior of small instances by rejection: no replica, no message passing."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nakami.theory import phase

BATCH, MOST = 50_000, 40_000_000
Array = NDArray[np.float64]


def students(instance: phase.Instance, want: int, seed: int) -> tuple[Array, int]:
    """Uniform students that agree with every pattern, ``(count, N)``, and how many were tried."""
    draw, n = np.random.default_rng([seed, 2]), len(instance.teacher)
    bound = instance.kappa * np.sqrt(n)
    found, tried = np.empty((0, n)), 0
    while len(found) < want and tried < MOST:
        w = draw.standard_normal((BATCH, n))
        tried += BATCH
        w *= (np.sqrt(n) / np.linalg.norm(w, axis=1))[:, None]
        for x, y in zip(instance.patterns[::-1], instance.labels[::-1], strict=True):
            field = w @ x
            w = w[(y * field if y else np.abs(field)) >= bound]
        found = np.concatenate([found, w])
    return found, tried


def sampled(
    kappa: float, alpha: float, beta: float, n: int, want: int, seed: int
) -> tuple[float, float]:
    """Mean overlap with the teacher, and log of the share that agrees over N.

    Students of a whole number of batches, so that the share has no bias but that of the logarithm.
    """
    instance = phase.draw_instance(kappa, alpha, beta, n, seed)
    found, tried = students(instance, want, seed)
    overlap = float((found @ instance.teacher).mean()) / n
    return overlap, float(np.log(len(found) / tried)) / n
