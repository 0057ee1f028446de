"""Convolutions in another form: faster on a CPU."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from ._known import Steps

FEW_CHANNELS = 4  # up to here the rewritten kernel won in every case measured, by 1.4 to 5 times


class PointwiseConvolutions(TorchFunctionMode):
    """Within it, strided convolutions by a kernel of one pixel take the pixels first, on the CPU.

    As the shortcuts of residual networks. torch's reverse pass by stride took 1.5 to 7 times as
    long; values are the same but for rounding.
    """

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.conv2d:
            x, weight, bias, stride, padding, _, groups = _named(*args, **(kwargs or {}))
            down, across = _pair(stride)
            if x.ndim == 4 and _is_pointwise(x, weight, padding) and max(down, across) > 1:
                return func(x[..., ::down, ::across], weight, bias, groups=groups)
        return func(*args, **(kwargs or {}))


class StridedConvolutions(PointwiseConvolutions):
    """Within it, strided convolutions of few channels have a faster reverse pass on the CPU.

    Such as the first layer of a network that reads pictures. The forward pass is untouched, so the
    values, and the side of each kink they fall on, are the network's own. Those by one pixel are
    rewritten, too.

    Args:
        steps: What watches the function, if anything does.
    """

    def __init__(self, steps: Steps | None = None):
        super().__init__()
        self.steps = steps

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.conv2d:
            call = _named(*args, **(kwargs or {}))
            if _slow(*call):
                with self.steps.trusted() if self.steps else nullcontext():
                    return _StridedConvolution.apply(*call)
        return super().__torch_function__(func, types, args, kwargs)


def _is_pointwise(x: Tensor, weight: Tensor, padding: Any) -> bool:
    plain = padding == "valid" if isinstance(padding, str) else not any(_pair(padding))
    return plain and x.device.type == "cpu" and weight.shape[2:] == (1, 1)


def _named(
    input: Tensor,  # noqa: A002
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
) -> tuple[Any, ...]:
    return input, weight, bias, stride, padding, dilation, groups


def _slow(
    x: Tensor, weight: Tensor, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> bool:
    """Whether torch's reverse pass is the slower one: measured, see ``FEW_CHANNELS``."""
    if isinstance(padding, str) or groups != 1 or set(_pair(dilation)) != {1} or x.ndim != 4:
        return False
    if weight.requires_grad or x.device.type != "cpu" or weight.shape[1] > FEW_CHANNELS:
        return False
    (s, across), kernel = _pair(stride), weight.shape[-2:]
    return s == across and 1 < s <= min(kernel)


class _StridedConvolution(torch.autograd.Function):
    """``conv2d`` of stride s whose reverse pass has stride 1 and s^2 times the channels.

    The kernel, padded to whole strides, falls into s^2 kernels of stride 1, one for each place
    within a stride; what they give back lies interleaved (Shi et al., CVPR 2016, section 2.2).
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        stride: Any,
        padding: Any,
        dilation: Any,
        groups: int,
    ) -> Tensor:
        return functional.conv2d(x, weight, bias, stride, padding)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        x, weight, _, stride, padding, *_ = inputs
        s = _pair(stride)[0]
        (high, wide), (down, across) = weight.shape[-2:], _pair(padding)
        phases = functional.pixel_unshuffle(functional.pad(weight, (0, -wide % s, 0, -high % s)), s)
        ctx.save_for_backward(phases)
        ctx.stride, ctx.corner, ctx.size = s, (down, across), x.shape[-2:]

    @staticmethod
    def backward(ctx: Any, u: Tensor) -> tuple[Tensor | None, ...]:
        (phases,) = ctx.saved_tensors
        (high, wide), (down, across) = ctx.size, ctx.corner
        whole = functional.pixel_shuffle(functional.conv_transpose2d(u, phases), ctx.stride)
        part = whole[..., down : down + high, across : across + wide]
        back = functional.pad(part, (0, wide - part.shape[-1], 0, high - part.shape[-2]))
        return back, None, None, None, None, None, None


def _pair(value: Any) -> tuple[int, int]:
    if isinstance(value, int):
        return value, value
    return (value[0], value[0]) if len(value) == 1 else (value[0], value[1])
