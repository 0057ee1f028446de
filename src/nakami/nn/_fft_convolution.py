"""Convolution by Fourier transform, for kernels that are large."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..results import check_choice, wrong_type
from ._autocast import casts, result_type, uncast, widened
from ._convolution_rule import Sizes, fast_length, prefers_fft

METHODS = ("auto", "fft", "direct")


class FFTConv2d(nn.Conv2d):
    """``nn.Conv2d`` whose sums are made by Fourier transforms where that is faster.

    ``y = b + F^-1[sum over channels of F[x] conj(F[w])]``, the part where kernel and picture
    overlap fully: the same numbers as ``nn.Conv2d`` up to rounding, with its arguments and its
    state dict.

    Args:
        args, options: As of ``nn.Conv2d``: channels, ``kernel_size``, ``stride``, ``padding``
            (``"same"``, ``"valid"``), ``dilation``, ``groups``, ``bias``, ``padding_mode``,
            ``dtype``.
        device: As of ``nn.Conv2d``.
        method: ``"fft"``, ``"direct"`` (torch's own), or ``"auto"``: by a rule fitted to times of
            a forward and backward pass on a processor, from all sizes. It does not measure anything
            itself, so that a network has the same bits in each run; ``measure_convolutions`` does.

    Shape: ``(N, C, H, W)`` or ``(C, H, W)``, as ``nn.Conv2d``.

    Cost: with ``P`` the number of pixels of the padded picture, transforms of ``N (C + outputs)``
    pictures and ``C outputs / groups`` kernels of ``P log P`` each, and ``N C outputs / groups``
    products of ``P / 2`` complex numbers. Neither kernel size nor ``stride`` and ``dilation`` make
    it cheaper. Memory: the spectra, about the pictures' and ``C outputs P / groups`` numbers of the
    weights.

    Numbers of 16 bits, by themselves or under autocast, are transformed in float32 and the result
    is rounded to them; ``"auto"`` takes torch's own sums there. ``torch.jit.trace`` records torch's
    own sums whatever the method.

    Source: Mathieu, Henaff & LeCun, "Fast training of convolutional networks through FFTs", ICLR
    2014.
    """

    def __init__(
        self,
        *args: Any,
        method: Literal["auto", "fft", "direct"] = "auto",
        device: torch.device | str | None = None,  # named, for torch.nn.utils.skip_init
        **options: Any,
    ):
        check_choice("method", method, METHODS, "leave it out")
        super().__init__(*args, **{**options, "device": device})
        self.method: Literal["auto", "fft", "direct"] = method

    def _conv_forward(  # torch's name for it; so forward stays that of nn.Conv2d
        self,
        input: Tensor,  # noqa: A002
        weight: Tensor,
        bias: Tensor | None,
    ) -> Tensor:
        traced = torch.jit.is_tracing()  # which would keep sizes of this input as constants
        if traced or not self._agree(input, weight) or self.plan(input) == "direct":
            return super()._conv_forward(input, weight, bias)
        dtype = result_type(input)
        if not dtype.is_floating_point:
            way_out = 'pass method="direct"'
            raise wrong_type("x", 'be real for method="fft"', str(dtype), way_out)
        x = widened(input)
        with uncast(x):
            sums = self._transformed(x, weight.to(x))
            if bias is not None:
                sums = sums + bias.to(x)[:, None, None]
        return sums.to(dtype)

    def _agree(self, x: Tensor, weight: Tensor) -> bool:
        """Whether there is something to compute; torch refuses what does not fit."""
        alike = x.dtype == weight.dtype or casts(x.device.type)
        known = x.ndim in (3, 4) and x.shape[-3] == self.in_channels and alike
        return known and x.numel() > 0 and min(self._outputs(x)) > 0

    def _reach(self) -> tuple[int, int]:
        """Rows and columns from the first to the last number of a kernel."""
        (high, wide), (down, across) = self.kernel_size, self.dilation
        return down * (high - 1) + 1, across * (wide - 1) + 1

    def _outputs(self, x: Tensor) -> tuple[int, int]:
        """Height and width of the result before ``stride``."""
        left, right, top, bottom = self._reversed_padding_repeated_twice
        high, wide = self._reach()
        return x.shape[-2] + top + bottom - high + 1, x.shape[-1] + left + right - wide + 1

    def plan(self, x: Tensor) -> Literal["fft", "direct"]:
        """Which way these pictures go, with their type, and autocast where it is on."""
        if self.method != "auto":
            return self.method
        rows, columns = (-(-n // s) for n, s in zip(self._outputs(x), self.stride, strict=True))
        left, right, top, bottom = self._reversed_padding_repeated_twice
        sizes = Sizes(
            batch=x.shape[0] if x.ndim == 4 else 1,
            channels=self.in_channels,
            outputs=self.out_channels,
            groups=self.groups,
            kernel=self.kernel_size,
            around=(x.shape[-2] + max(top, bottom), x.shape[-1] + max(left, right)),
            places=(rows, columns),
        )
        return "fft" if prefers_fft(sizes, result_type(x), x.device.type) else "direct"

    def _transformed(self, x: Tensor, weight: Tensor) -> Tensor:
        left, right, top, bottom = self._reversed_padding_repeated_twice
        rows, columns = self._outputs(x)
        if self.padding_mode != "zeros":
            x = F.pad(x, [left, right, top, bottom], mode=self.padding_mode)
            left = right = top = bottom = 0
        reach = self._reach()  # zeros of one side serve the other: a transform goes round
        high = fast_length(max(x.shape[-2] + max(top, bottom), reach[0], rows))
        wide = fast_length(max(x.shape[-1] + max(left, right), reach[1], columns))
        size = (high, wide)
        filled = F.pad(x, (left, wide - x.shape[-1] - left, top, high - x.shape[-2] - top))
        spectra = torch.fft.rfft2(filled)
        kernels = torch.fft.rfft2(_spread(weight, self.dilation), s=size)
        kernels = torch.complex(kernels.real, -kernels.imag)  # conj() has no batched forward mode
        sums = torch.fft.irfft2(_products(spectra, kernels, self.groups), s=size)
        (down, across) = self.stride
        return sums[..., :rows:down, :columns:across].contiguous()

    def extra_repr(self) -> str:
        """Settings, as torch prints them."""
        return f"{super().extra_repr()}, method={self.method}"


def _spread(weight: Tensor, dilation: tuple[int, ...]) -> Tensor:
    """The kernels with zeros between their numbers."""
    down, across = dilation
    if (down, across) == (1, 1):
        return weight
    *maps, high, wide = weight.shape
    apart = F.pad(weight[..., :, None, :, None], (0, across - 1, 0, 0, 0, down - 1))
    whole = apart.reshape(*maps, high * down, wide * across)
    return whole[..., : high * down - down + 1, : wide * across - across + 1]


def _products(x: Tensor, weight: Tensor, groups: int) -> Tensor:
    """``sum over c of x[n, c] w[o, c]`` at each frequency, within each group of channels.

    Args:
        x: ``(N, C, *F)`` or ``(C, *F)``.
        weight: ``(outputs, C / groups, *F)``.
        groups: Of channels.

    Returns:
        ``(N, outputs, *F)`` or ``(outputs, *F)``.
    """
    batch, places = x.shape[:-3], x.shape[-2:]
    outputs = len(weight)
    x = x.reshape(-1, groups, x.shape[-3] // groups, places.numel())
    weight = weight.reshape(groups, outputs // groups, weight.shape[1], places.numel())
    if x.shape[2] == 1:  # nothing to sum
        sums = x * weight[..., 0, :]
    else:
        sums = torch.matmul(x.permute(1, 3, 0, 2), weight.permute(0, 3, 2, 1)).permute(2, 0, 3, 1)
    return sums.reshape(*batch, outputs, *places)
