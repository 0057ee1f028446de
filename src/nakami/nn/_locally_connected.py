"""Local receptive fields without shared weights."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from ..results import check_at_least, wrong
from ._autocast import casts, result_type
from ._local_products import Fields, outputs, transposed
from ._padding import check_pads, padded, pair


class LocallyConnected2d(nn.Module):
    """A convolution whose filters are other ones at each place: fields are local, nothing shared.

    ``y[n, o, i, j] = bias[i, j, o] + sum over c, p, q of weight[i, j, o, c, p, q] x[n, c, i s + p,
    j s + q]``. With the same filters at all places it is ``nn.Conv2d``.

    Args:
        in_channels, out_channels, kernel_size, stride: As those of ``nn.Conv2d``; one number or
            two, height before width.
        padding, dilation, groups, bias, padding_mode: As those of ``nn.Conv2d``.
        input_size: Height and width of the pictures, which decide the number of places.
        factory: ``device`` and ``dtype`` of the weights.

    Attributes:
        weight: ``(places * out_channels, in_channels / groups, *kernel_size)``; a unit's field is
            one entry, place by place along rows, with all units of a place side by side:
            ``weight.unflatten(0, (*output_size, out_channels))``.
        bias: ``(places * out_channels,)``, or None.
        output_size: Height and width of what is given, as of the convolution.

    First weights: uniform within ``1 / sqrt(entries of a field)``, as a convolution's.

    Shape: ``(N, C, H, W)`` or ``(C, H, W)`` to the same axes.

    Cost: as many products as the convolution, and that many times more weights as there are places.
    Kept for the way back are inputs and weights alone, not the fields.

    Raises:
        UsageError: Arguments that ``nn.Conv2d`` refuses too, fields larger than the pictures, or
            pictures of another size or number of channels.

    Source: Le et al., ICML 2012 (arXiv 1112.6209), section 3.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        input_size: int | tuple[int, int],
        **factory: Any,
    ):
        super().__init__()
        self.groups = check_at_least("groups", groups, 1, "use 1")
        self.in_channels = self._divided("in_channels", in_channels)
        self.out_channels = self._divided("out_channels", out_channels)
        self.kernel_size, self.stride = pair("kernel_size", kernel_size), pair("stride", stride)
        self.dilation, self.input_size = pair("dilation", dilation), pair("input_size", input_size)
        self.padding, self.padding_mode = padding, padding_mode
        self._pads, self._fields = self._laid()
        self.output_size = self._fields.places
        units = self.output_size[0] * self.output_size[1] * self.out_channels
        shape = (units, self.in_channels // self.groups, *self.kernel_size)
        self.weight = nn.Parameter(torch.empty(shape, **factory))
        self.bias = nn.Parameter(torch.empty(units, **factory)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw first weights from torch's generator."""
        bound = self.weight[0].numel() ** -0.5
        for values in self.parameters():
            nn.init.uniform_(values, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """The sums over all fields."""
        wanted = (self.in_channels, *self.input_size)
        if x.shape[-3:] != wanted or x.ndim not in (3, 4):
            rule = f"have shape (N, {', '.join(map(str, wanted))})"
            way_out = "make the layer with input_size of the pictures"
            raise wrong("x", rule, f"shape {tuple(x.shape)}", way_out)
        x, weight, bias = _as_autocast(x, self.weight, self.bias)
        if any(self._pads):
            mode = "constant" if self.padding_mode == "zeros" else self.padding_mode
            x = pad(x, self._pads, mode)
        y = outputs(x.reshape(-1, *x.shape[-3:]), weight, self._fields)
        if bias is not None:
            y = y + bias.reshape(*self.output_size, -1).permute(2, 0, 1)
        return y.reshape(*x.shape[:-3], *y.shape[1:])

    def transpose(self, y: Tensor) -> Tensor:
        """The transposed map without biases, ``(N, maps, h, w) -> (N, C, H, W)``: a tied decoder.

        Raises:
            UsageError: Outputs of another shape, or padding by other values than zeros.
        """
        wanted = (self.out_channels, *self.output_size)
        if y.ndim != 4 or y.shape[1:] != wanted:
            rule, got = f"have shape (N, {', '.join(map(str, wanted))})", f"shape {tuple(y.shape)}"
            raise wrong("y", rule, got, "pass what the layer gives")
        left, right, up, down = self._pads
        if any(self._pads) and self.padding_mode != "zeros":
            got, way_out = repr(self.padding_mode), "make the layer with padding_mode='zeros'"
            raise wrong("padding_mode", "be 'zeros' for the transposed map", got, way_out)
        y, weight = _as_autocast(y, self.weight)
        x = transposed(y, weight, self._fields)
        return x[..., up : x.shape[2] - down, left : x.shape[3] - right]

    def _divided(self, argument: str, value: int) -> int:
        """Channels that the groups divide."""
        value = check_at_least(argument, value, 1, "use 3")
        if value % self.groups:
            way_out = f"use {-(-value // self.groups) * self.groups}"
            raise wrong(argument, f"be divisible by groups={self.groups}", value, way_out)
        return value

    def _laid(self) -> tuple[tuple[int, int, int, int], Fields]:
        """What is put around the pictures, and the fields on them."""
        k, m = (d * (k - 1) for d, k in zip(self.dilation, self.kernel_size, strict=True))
        pads = padded(self.padding, self.stride, (k, m))
        check_pads(pads, self.input_size, self.padding_mode)
        left, right, up, down = pads
        size = (self.input_size[0] + up + down, self.input_size[1] + left + right)
        fields = Fields(size, self.kernel_size, self.stride, self.dilation, self.groups)
        if size[0] <= k or size[1] <= m:
            rule = f"reach over at most {size[0]} x {size[1]} pixels, the padded pictures"
            raise wrong("kernel_size", rule, fields.span, "lower kernel_size or dilation")
        return pads, fields

    def extra_repr(self) -> str:
        """Settings, as torch prints them."""
        sizes = f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding!r}"
        more = f"input_size={self.input_size}, bias={self.bias is not None}"
        return f"{self.in_channels}, {self.out_channels}, {sizes}, {more}"


def _as_autocast(*tensors: Tensor | None) -> tuple[Any, ...]:
    """The tensors in the type that autocast gives to products of matrices, if it is on."""
    first = tensors[0]
    assert first is not None
    if not casts(first.device.type):
        return tensors
    dtype = result_type(first)
    return tuple(None if t is None else t.to(dtype) for t in tensors)
