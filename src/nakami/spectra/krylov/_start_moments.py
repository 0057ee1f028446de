"""What a Krylov run tells of its random start vectors, at no product.

The space of a block run holds the Krylov space of each of its start vectors. So the Lanczos run of
one vector alone, as many steps as the block run has made, is that of the small matrix.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

ENDED = 1e-13  # of the small matrix: what is left of a new vector is rounding


@dataclass(frozen=True)
class StartMoments:
    """Lanczos runs from random start vectors, of ``A^T A`` or ``A A^T`` on the smaller side.

    Attributes:
        runs: Of each vector the diagonal and what couples each step to the next, ``(N,)`` float64
            both; the last coupling is 0 where the run has ended.
        known: ``(p,)`` float64, the share of each vector in the singular vectors found.
        power: The squares are of ``2^-power A``.
    """

    runs: tuple[tuple[np.ndarray, np.ndarray], ...]
    known: np.ndarray
    power: int = 0


def lanczos_runs(core: Tensor, tail: Tensor) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """The runs of the first block's vectors, one by one.

    Args:
        core: ``V^T H V`` of a block run without a restart, ``(c, c)``.
        tail: What couples the waiting block to the last one, ``(b, b)``.
    """
    width = tail.shape[1]
    blocks = np.arange(len(core)) // width
    # Beyond the neighbouring blocks stands rounding.
    banded = core.numpy() * (abs(blocks[:, None] - blocks) <= 1)
    return tuple(_run(banded, tail.numpy(), i) for i in range(width))


def _run(core: np.ndarray, tail: np.ndarray, first: int) -> tuple[np.ndarray, np.ndarray]:
    width, least = tail.shape[1], ENDED * float(abs(core).max())
    steps = len(core) // width
    rows = np.zeros((steps + 1, len(core)))
    alpha, beta = np.zeros(steps), np.zeros(steps)
    rows[0, first] = 1
    for j in range(steps):
        image = core @ rows[j]
        alpha[j] = image @ rows[j]
        for _ in range(2):
            image -= (rows[: j + 1] @ image) @ rows[: j + 1]
        beyond = tail @ rows[j, -width:]  # 0 before the last step
        beta[j] = np.hypot(np.linalg.norm(image), np.linalg.norm(beyond))
        if beta[j] <= least:
            beta[j] = 0
            return alpha[: j + 1], beta[: j + 1]
        rows[j + 1] = image / beta[j]
    return alpha, beta
