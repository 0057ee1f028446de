"""Inputs and outputs of a model's weighted layers, caught while it runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

Positions = Callable[[nn.Module, Tensor], Tensor]


class Call(NamedTuple):
    """One use of a layer: its input, detached, and its output, within the graph."""

    input: Tensor
    output: Tensor


class Taps:
    """The layers of a model whose weight acts as one matrix at some positions.

    A weight that several modules hold, or that another module makes, is left out: what a layer does
    with it is then not all of its gradient.

    Args:
        model: Hooks stay on its layers until ``remove``.

    Attributes:
        layers: By name, in the model's order.
        calls: What was caught since ``clear``, by the same names.
        on: Whether anything is caught.
    """

    def __init__(self, model: nn.Module):
        held = Counter(
            id(p) for m in model.modules() for p in m._parameters.values() if p is not None
        )
        self.layers = {
            name: m
            for name, m in model.named_modules()
            if _fits(m) and all(held[id(p)] == 1 for p in m._parameters.values() if p is not None)
        }
        self.calls: dict[str, list[Call]] = {}
        self.on = True
        hooks = [m.register_forward_hook(self._caught(name)) for name, m in self.layers.items()]
        self._hooks = [model.register_forward_pre_hook(lambda *_: self.clear()), *hooks]

    def _caught(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_: nn.Module, inputs: Any, output: Any) -> None:
            if self.on and isinstance(output, Tensor) and output.requires_grad:
                self.calls.setdefault(name, []).append(Call(inputs[0].detach(), output))

        return hook

    def clear(self) -> None:
        """Let go of what was caught, and of its graph."""
        self.calls = {}

    def remove(self) -> None:
        """Take the hooks off the model."""
        for hook in self._hooks:
            hook.remove()


def _fits(module: nn.Module) -> bool:
    weight = module._parameters.get("weight")
    if type(module).forward not in POSITIONS or weight is None:
        return False
    return getattr(module, "groups", 1) == 1 and weight.requires_grad


def weight_of(module: nn.Module) -> nn.Parameter:
    """The weight of one of the layers."""
    weight = module._parameters["weight"]
    assert weight is not None
    return weight


def inputs_of(module: nn.Module, x: Tensor) -> Tensor:
    """What the weight is multiplied by, ``(rows, positions, numbers)``, 1 for the bias last."""
    made = POSITIONS[type(module).forward](module, x)
    if module._parameters.get("bias") is None:
        return made
    return torch.cat([made, made.new_ones(*made.shape[:2], 1)], dim=2)


def slopes_of(module: nn.Module, slope: Tensor) -> Tensor:
    """A gradient by the layer's output as ``(rows, positions, outputs)``."""
    if isinstance(module, nn.Linear):
        return slope.reshape(len(slope) if slope.ndim > 1 else 1, -1, slope.shape[-1])
    assert isinstance(module, nn.modules.conv._ConvNd)
    dims = len(module.kernel_size)
    whole = slope if slope.ndim == dims + 2 else slope[None]
    return whole.flatten(2).transpose(1, 2)


def _of_linear(module: nn.Module, x: Tensor) -> Tensor:
    return x.reshape(len(x) if x.ndim > 1 else 1, -1, x.shape[-1])


def _of_convolution(module: nn.Module, x: Tensor) -> Tensor:
    """Patches, a row for each place of the output, in the order of the weight's numbers."""
    assert isinstance(module, nn.modules.conv._ConvNd)
    dims = len(module.kernel_size)
    x = x if x.ndim == dims + 2 else x[None]
    mode = "constant" if module.padding_mode == "zeros" else module.padding_mode
    x = functional.pad(x, module._reversed_padding_repeated_twice, mode=mode)
    for axis, (size, stride, apart) in enumerate(
        zip(module.kernel_size, module.stride, module.dilation, strict=True), start=2
    ):
        # (n, channels, places..., kernel...): each axis is cut into its places, kernels go last
        x = x.unfold(axis, apart * (size - 1) + 1, stride)[..., ::apart]
    places = x.shape[2 : 2 + dims].numel()
    x = x.movedim(1, 1 + dims)  # (n, places..., channels, kernel...)
    return x.reshape(len(x), places, -1)


POSITIONS: dict[Any, Positions] = {
    nn.Linear.forward: _of_linear,
    nn.Conv1d.forward: _of_convolution,
    nn.Conv2d.forward: _of_convolution,
    nn.Conv3d.forward: _of_convolution,
}
