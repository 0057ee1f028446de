"""Backward passes through a deconvolutional network: signals are rectified, gated or not."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode


class _Rectified(torch.autograd.Function):
    """ReLU whose backward pass is the ReLU of the signal, gated by the forward signal or not."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gated: bool) -> Tensor:
        ctx.on = x > 0 if gated else None
        return x.clamp_min(0)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        signal = grads[0].clamp_min(0)
        return signal if ctx.on is None else signal * ctx.on, None


class Deconvolution(TorchFunctionMode):
    """Within it gradients through a ReLU are rectified themselves, whatever the forward signal.

    Max pooling keeps its switches, linear layers and convolutions are transposed, as always in a
    backward pass: together the deconvolutional network of Zeiler and Fergus (ECCV 2014). Other
    activations keep their derivative.

    Args:
        guided: Whether ReLUs that are off stop the signal too (guided backpropagation,
            Springenberg and others 2015, arXiv 1412.6806).

    Attributes:
        count: How many ReLUs were met.
    """

    def __init__(self, guided: bool = False) -> None:
        super().__init__()
        self.guided, self.count = guided, 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """The function; of a ReLU the one with the other backward pass."""
        if func in _RELUS:
            self.count += 1
            x = args[0] if args else (kwargs or {})["input"]
            return _Rectified.apply(x, self.guided)
        return func(*args, **(kwargs or {}))


_RELUS = {
    torch.relu,
    torch.relu_,
    torch.Tensor.relu,
    torch.Tensor.relu_,
    functional.relu,
    functional.relu_,
}
