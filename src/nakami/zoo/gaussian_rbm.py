"""Restricted Boltzmann machine with Gaussian visible and binary hidden units.

Origin: Welling, Rosen-Zvi & Hinton, NIPS 2004; Hinton & Salakhutdinov, Science 313 (2006); settings
in Krizhevsky, "Learning multiple layers of features from tiny images", 2009, and Hinton, "A
practical guide to training restricted Boltzmann machines", 2012.

Energy ``E(v, h) = sum_i (v_i - a_i)^2 / (2 s_i^2) - b.h - h.W (v / s)``. Some reports print the
square with a minus sign: that has no normalisation. ``training.ContrastiveDivergence`` trains it,
at a tenth of a binary machine's rate or less, on data of mean 0 and variance 1 in each component.

Standard deviations ``s`` stay as they are given unless ``ContrastiveDivergence`` is told a rate for
``log_variance``: after the rest has converged, and smaller than that of the weights.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from nakami.results import wrong
from nakami.sampling import GaussianUnits

from ._entry import Entry
from .rbm import RBM


class GaussianRBM(RBM):
    """``v | h`` normal around ``a + s (W^T h)``; calling it gives ``p(h = 1 | v)``.

    Args:
        visible: Number of visible units. hidden: number of hidden units.
        deviation: ``s``: one number above 0, or one for each visible unit.
        generator: Source of the first weights, ``N(0, 0.01^2)``; None: a fresh one with seed 0.
        dtype: Floating type of the parameters.

    Attributes:
        weight: ``W``, ``(hidden, visible)``. visible_bias: ``a``. hidden_bias: ``b``.
            log_variance: ``log s^2``, ``(visible,)``. deviation: ``s``.
    """

    def __init__(
        self,
        visible: int,
        hidden: int,
        *,
        deviation: float | Tensor = 1.0,
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float32,
    ):
        super().__init__(visible, hidden, generator=generator, dtype=dtype)
        given = torch.as_tensor(deviation, dtype=dtype)
        if given.shape not in ((), (visible,)) or not bool(((given > 0) & given.isfinite()).all()):
            got = deviation if given.numel() < 10 else f"shape {tuple(given.shape)}"
            rule = f"be a finite number above 0, or {visible} of them"
            raise wrong("deviation", rule, got, "pass 1.0 for whitened data")
        self.log_variance = nn.Parameter(2 * given.expand(visible).log())

    @property
    def deviation(self) -> Tensor:
        """``s``, ``(visible,)``."""
        return self.units.deviation

    @property
    def units(self) -> GaussianUnits:
        """Normal units: hidden ones see ``v / s``, their mean given h is ``a + s (W^T h)``."""
        return GaussianUnits(self.log_variance)

    def slopes(self, v: Tensor, hidden: Tensor) -> dict[str, Tensor]:
        """``-dE / d log s^2 = ((v - a)^2 / s^2 - (v / s) (W^T h)) / 2``, ``(N, visible)``."""
        units, u = self.units, self.units.signal(v)
        pull = u - units.natural(self.visible_bias)
        return {"log_variance": (pull.square() - u * (hidden @ self.weight)) / 2}


def make(*, generator: torch.Generator | None = None) -> nn.Sequential:
    """Modules ``flatten`` and ``hidden``, a machine of 784 visible and 500 hidden units.

    Args:
        generator: Source of the first weights ``N(0, 0.01^2)``; None: a fresh one with seed 0.
    """
    machine = GaussianRBM(784, 500, generator=generator)
    return nn.Sequential(OrderedDict[str, nn.Module](flatten=nn.Flatten(), hidden=machine))


ENTRY = Entry(
    make=make,
    input=(1, 28, 28),
    output=(500,),
    parameters=394_068,
    task="features",
    origin="Welling, Rosen-Zvi, Hinton 2004",
    preprocessing="unit",
    data="digits",
)
