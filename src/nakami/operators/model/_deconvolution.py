"""Backward passes through a deconvolutional network: signals are rectified, not gated."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode


class _Rectified(torch.autograd.Function):
    """ReLU whose backward pass is the ReLU of the signal."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clamp_min(0)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        return grads[0].clamp_min(0)


class Deconvolution(TorchFunctionMode):
    """Within it gradients through a ReLU are rectified themselves, whatever the forward signal.

    Max pooling keeps its switches, linear layers and convolutions are transposed, as always in a
    backward pass: together the deconvolutional network of Zeiler and Fergus (ECCV 2014). Other
    activations keep their derivative.

    Attributes:
        count: How many ReLUs were met.
    """

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """The function; of a ReLU the one with the other backward pass."""
        if func in _RELUS:
            self.count += 1
            x = args[0] if args else (kwargs or {})["input"]
            return _Rectified.apply(x)
        return func(*args, **(kwargs or {}))


_RELUS = {
    torch.relu,
    torch.relu_,
    torch.Tensor.relu,
    torch.Tensor.relu_,
    functional.relu,
    functional.relu_,
}
