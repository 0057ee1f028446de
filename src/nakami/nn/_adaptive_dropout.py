"""Dropout whose rates follow from the input (standout)."""

from __future__ import annotations

from math import isfinite

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from ..results import is_number, wrong


class AdaptiveDropout(nn.Linear):
    """``m * f(W x + b)``, a unit kept with probability ``sigmoid(alpha W x + beta)``.

    In training ``m`` is drawn for each unit of each example and is a constant for the gradient; in
    evaluation mode it is its probability. Nothing is divided by it. With ``alpha = 0`` this is
    dropout that keeps with ``sigmoid(beta)``. The weights of the probabilities are those of the
    units (the paper's tied form).

    Args:
        in_features: Inputs. out_features: Outputs. bias, device, dtype: as of ``nn.Linear``.
        activation: A module that acts entry by entry; None: ``nn.ReLU()``.
        alpha: Slope of the probability's logit.
        beta: The logit at 0, usually from -1 to 1.

    Shape: ``(..., in_features)`` to ``(..., out_features)``.

    Source: Ba & Frey, NIPS 2013, section 2.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        activation: nn.Module | None = None,
        *,
        alpha: float = 1.0,
        beta: float = 0.0,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ):
        for name, value in (("alpha", alpha), ("beta", beta)):
            if not (is_number(value) and isfinite(value)):
                raise wrong(name, "be a finite number", value, "leave it out for the default")
        super().__init__(in_features, out_features, bias, device, dtype)
        self.activation = nn.ReLU() if activation is None else activation
        self.alpha, self.beta = float(alpha), float(beta)

    def forward(self, x: Tensor) -> Tensor:
        """The activations, some of them 0."""
        sums = linear(x, self.weight)
        keep = torch.sigmoid(self.alpha * sums + self.beta)
        h: Tensor = self.activation(sums if self.bias is None else sums + self.bias)
        return h * torch.bernoulli(keep.detach()) if self.training else h * keep

    def extra_repr(self) -> str:
        """Settings, as torch prints them."""
        return f"{super().extra_repr()}, alpha={self.alpha}, beta={self.beta}"
