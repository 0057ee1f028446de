"""How far a GRU is from where its state of rest loses its stability."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from ..results import Shown
from ._blocks import candidate_blocks
from ._constraint import EDGE


@dataclass(frozen=True)
class Margin(Shown):
    """Of one layer and direction at zero input, zero biases and zero state; made by ``margins``.

    There the Jacobian of the state is ``I/2 + W_hn/4``. Biases of the net are left out: with them 0
    is no fixed point, and ``fixed_points`` reads the net as it is.

    Attributes:
        name: Of the parameter that holds ``W_hn`` as its last rows.
        sigma: Largest singular value of ``W_hn``.
        radius: Spectral radius of ``I/2 + W_hn/4``; at most ``1/2 + sigma/4``.
        leading: Its eigenvalue of largest modulus.
    """

    name: str
    sigma: float
    radius: float
    leading: complex

    @property
    def margin(self) -> float:
        """``1 - radius``: below 0 the state of rest is unstable."""
        return 1 - self.radius

    @property
    def bound(self) -> float:
        """``2 - sigma``: above 0 the state of rest is stable for certain; what delta bounds."""
        return EDGE - self.sigma


def margins(model: nn.Module) -> list[Margin]:
    """The margin of every GRU layer and direction of a model.

    Args:
        model: As ``candidate_blocks`` takes it.

    Raises:
        UsageError: What ``candidate_blocks`` refuses.

    Cost: a singular value decomposition and eigenvalues, dense in float64, O(H^3) each.
    """
    found = []
    for block in candidate_blocks(model):
        matrix = block.matrix.double().cpu()
        sigma = float(torch.linalg.matrix_norm(matrix, 2))
        values = 0.5 + torch.linalg.eigvals(matrix) / 4
        leading = values[values.abs().argmax()]
        found.append(Margin(block.name, sigma, float(leading.abs()), complex(leading)))
    return found
