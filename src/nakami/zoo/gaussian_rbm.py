"""Restricted Boltzmann machine with Gaussian visible and binary hidden units.

Origin: Welling, Rosen-Zvi & Hinton, NIPS 2004; Hinton & Salakhutdinov, Science 313 (2006); settings
in Krizhevsky, "Learning multiple layers of features from tiny images", 2009, and Hinton, "A
practical guide to training restricted Boltzmann machines", 2012.

Energy ``E(v, h) = sum_i (v_i - a_i)^2 / (2 s_i^2) - b.h - h.W (v / s)``. Some reports print the
square with a minus sign: that has no normalisation. ``training.ContrastiveDivergence`` trains it,
at a tenth of a binary machine's rate or less, on data of mean 0 and variance 1 in each component.

Deliberate differences: standard deviations ``s`` are given, not learned.
"""

from __future__ import annotations

import math
from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nakami.results import wrong

from ._entry import Entry
from ._layers import normal
from .rbm import RBM


class GaussianRBM(RBM):
    """``v | h`` normal around ``a + s (W^T h)``; calling it gives ``p(h = 1 | v)``.

    Args:
        visible: Number of visible units. hidden: number of hidden units.
        deviation: ``s``: one number above 0, or one for each visible unit.
        generator: Source of the first weights, ``N(0, 0.01^2)``; None: a fresh one with seed 0.
        dtype: Floating type of the parameters.

    Attributes:
        weight: ``W``, ``(hidden, visible)``. visible_bias: ``a``. hidden_bias: ``b``. deviation:
            ``s``, ``(visible,)``, a buffer.
    """

    binary = False

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
        self.register_buffer("deviation", given.expand(visible).clone())

    deviation: Tensor

    def forward(self, v: Tensor) -> Tensor:
        """``p(h = 1 | v) = sigmoid(b + W (v / s))``, ``(N, visible) -> (N, hidden)``."""
        return super().forward(self.signal(v))

    def visible(self, h: Tensor) -> Tensor:
        """The mean of v given h, ``a + s (W^T h)``, ``(N, hidden) -> (N, visible)``."""
        return self.visible_bias + self.deviation * (h @ self.weight)

    def free_energy(self, v: Tensor) -> Tensor:
        """``sum_i (v_i - a_i)^2 / (2 s_i^2) - sum_j softplus(b + W (v / s))_j``, ``(N,)``, nats."""
        square = ((v - self.visible_bias) / self.deviation).square().sum(1) / 2
        logit = F.linear(self.signal(v), self.weight, self.hidden_bias)
        return square - F.softplus(logit).sum(1)

    def drawn(self, mean: Tensor, generator: torch.Generator) -> Tensor:
        """Normal units around their means."""
        return mean + self.deviation * normal(mean, generator)

    def signal(self, v: Tensor) -> Tensor:
        """``v / s``."""
        return v / self.deviation

    def slope(self, difference: Tensor) -> Tensor:
        """``difference / s^2``."""
        return difference / self.deviation.square()

    def check(self, data: Tensor) -> None:
        """Refuse data that are not finite."""
        if not torch.isfinite(data).all():
            bad = int((~torch.isfinite(data)).sum())
            raise wrong("data", "be finite", f"{bad} values that are not", "leave these rows out")

    @torch.no_grad()
    def start_biases(self, data: Tensor) -> None:
        """Set the visible biases to the mean of ``data``, ``(N, visible)``."""
        self.visible_bias.copy_(data.mean(0))

    @torch.no_grad()
    def log_partition(self) -> float:
        """``log Z`` in nats, by all states of the hidden units: 20 of them at most.

        ``logsumexp_h [b.h + (a / s).W^T h + |W^T h|^2 / 2] + sum_i log(sqrt(2 pi) s_i)``.
        """
        n = len(self.hidden_bias)
        if n > 20:
            raise wrong("hidden", "be 20 at most, to list all states", n, "compare free energies")
        index = torch.arange(1 << n, device=self.weight.device)[:, None]
        h = ((index >> torch.arange(n, device=index.device)) & 1).double()
        pull = h @ self.weight.double()
        each = h @ self.hidden_bias.double() + pull.square().sum(1) / 2
        each = each + pull @ (self.visible_bias / self.deviation).double()
        scale = (
            self.deviation.double().log().sum() + len(self.deviation) * math.log(2 * math.pi) / 2
        )
        return float(each.logsumexp(0) + scale)


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
    parameters=393_284,
    task="features",
    origin="Welling, Rosen-Zvi, Hinton 2004",
    preprocessing="unit",
    data="digits",
)
