"""A linear layer whose weights are dropped, one by one and anew for each example."""

from __future__ import annotations

from statistics import NormalDist

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from ..results import check_at_least, check_fraction

LEAST = 1e-12  # below the root of a variance, for its slope at 0


class DropConnect(nn.Linear):
    """``f((M * W) x / (1 - p) + b)`` with a fresh mask ``M`` of the weights for each example.

    In training each weight is 0 with probability ``p``, for each example by itself, and the others
    are divided by ``1 - p``, as ``nn.Dropout`` does; so weights are ``1 - p`` times those of the
    paper, which does not divide. Biases are kept. In evaluation mode the sum is taken as normal
    with its own mean ``W x + b`` and variance ``p / (1 - p) (W * W) (x * x)``, and the activation
    is averaged over ``draws`` of it (moment matching). These are the middles of ``draws`` equally
    likely pieces, not random, so that evaluation repeats and has a derivative.

    Args:
        in_features: Inputs. out_features: Outputs. bias, device, dtype: as of ``nn.Linear``.
        p: Probability that a weight is dropped, between 0 and 1.
        activation: A module that acts entry by entry; None: the sum itself.
        draws: Of each sum in evaluation mode, at least 1.

    Shape: ``(N, ..., in_features)`` to ``(N, ..., out_features)``. Axes between count as examples.

    Cost: in training ``in_features`` numbers more for each output of each example; in evaluation
    mode two linear layers and ``draws`` activations.

    Source: Wan, Zeiler, Zhang, LeCun & Fergus, ICML 2013, section 3.
    """

    draws: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        p: float = 0.5,
        activation: nn.Module | None = None,
        *,
        draws: int = 100,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ):
        check_fraction("p", p, "use 0.5")
        draws = check_at_least("draws", draws, 1, "use 100")
        super().__init__(in_features, out_features, bias, device, dtype)
        self.p, self.activation = float(p), activation
        normal = NormalDist()
        middles = torch.tensor([normal.inv_cdf((i + 0.5) / draws) for i in range(draws)])
        size = middles.square().mean().sqrt().clamp_min(1e-6) if draws > 1 else 1.0
        self.register_buffer("draws", (middles / size).to(self.weight), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """The activations."""
        if self.training:
            return self._activated(self._dropped(x))
        mean = linear(x, self.weight, self.bias)
        if self.activation is None:
            return mean
        ratio = self.p / (1 - self.p)
        variance = ratio * linear(x.square(), self.weight.square())
        spread = variance.clamp_min(LEAST).sqrt()
        draws = self.draws.to(mean)
        return self._activated(mean[..., None] + spread[..., None] * draws).mean(-1)

    def _dropped(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, self.in_features)
        kept = torch.rand(len(rows), *self.weight.shape, device=x.device) >= self.p
        own = kept * (self.weight / (1 - self.p))  # of each example
        sums = torch.matmul(own, rows.to(own.dtype)[..., None])[..., 0]
        if self.bias is not None:
            sums = sums + self.bias
        return sums.reshape(*x.shape[:-1], self.out_features)

    def _activated(self, sums: Tensor) -> Tensor:
        return sums if self.activation is None else self.activation(sums)

    def extra_repr(self) -> str:
        """Settings, as torch prints them."""
        return f"{super().extra_repr()}, p={self.p}, draws={len(self.draws)}"
