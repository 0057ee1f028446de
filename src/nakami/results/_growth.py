"""How much small differences of a state grow over many steps, and a GRU's margin at rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ._shown import Shown

Array = npt.NDArray[Any]
EDGE = 2.0  # of sigma_1(W_hn), below which a GRU's state of rest is stable for certain


@dataclass(frozen=True)
class Growth(Shown):
    """Singular values of ``J_(t+length-1) ... J_t`` at some steps; made by ``growth``.

    Attributes:
        at: The steps t, shape (n,).
        length: Steps that each product spans.
        singular_values: Shape (n, k), largest first: the first is the largest factor by which a
            small difference at step t has grown after ``length`` steps, and a gradient backwards.
        errors: Relative error of each, shape (n, k).
        converged: Whether all at this step came within tolerance, shape (n,).
    """

    at: Array
    length: int
    singular_values: Array
    errors: Array
    converged: Array

    @property
    def rates(self) -> Array:
        """``ln(singular values) / length``: nats a step, as Lyapunov exponents over finite time."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.singular_values) / self.length)


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
