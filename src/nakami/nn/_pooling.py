"""Pooling by the root of mean squares, and by Gaussian weights."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d

from ..results import wrong
from ._autocast import uncast, widened
from ._gaussian import weighed, window
from ._padding import pair

EPS = 1e-8  # below the root


class L2Pool2d(nn.Module):
    """``sqrt(mean of x^2 over the window + 1e-8)``.

    Between average and maximum where nothing is negative. ``nn.LPPool2d(2)`` is the same but for a
    sum in place of the mean. Numbers of 16 bits are squared in float32, also under autocast, and
    the result is rounded to them.

    Args:
        kernel_size: Of the window. stride: default the window. padding: zeros around, which count.

    Shape: ``(N, C, H, W)`` or ``(C, H, W)`` to the same axes, as ``nn.AvgPool2d``.

    Source: Sermanet, Chintala & LeCun, ICPR 2012; Le et al., ICML 2012.
    """

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
    ):
        super().__init__()
        self.kernel_size = pair("kernel_size", kernel_size)
        self.stride = self.kernel_size if stride is None else pair("stride", stride)
        self.padding = pair("padding", padding, least=0)
        most = tuple(side // 2 for side in self.kernel_size)  # as torch's pools: no window is empty
        if self.padding[0] > most[0] or self.padding[1] > most[1]:
            rule = f"be at most half of the window, {most}"
            raise wrong("padding", rule, padding, f"use {most}")

    def forward(self, x: Tensor) -> Tensor:
        """The pooled maps."""
        with uncast(x):
            return self._pooled(widened(x)).to(x.dtype)

    def _pooled(self, x: Tensor) -> Tensor:
        squares = avg_pool2d(x.square(), self.kernel_size, self.stride, self.padding)
        return (squares + EPS).sqrt()

    def extra_repr(self) -> str:
        """Settings, as torch prints them."""
        sizes = f"kernel_size={self.kernel_size}, stride={self.stride}"
        return f"{sizes}, padding={self.padding}"


class GaussianPool2d(L2Pool2d):
    """Pooling with weights ``exp(-r^2 / (2 sigma^2))`` around the window's middle, of sum 1.

    Args:
        kernel_size: Of the window. stride: default the window. padding: zeros around, which count.
        sigma: In pixels; default a quarter of the window's longer side.
        power: 2: the root of weighted squares (plus 1e-8); 1: the weighted mean.

    Shape: ``(N, C, H, W)`` or ``(C, H, W)`` to the same axes, as ``nn.AvgPool2d``.

    Source: Sermanet, Chintala & LeCun, ICPR 2012.
    """

    window: Tensor

    def __init__(
        self,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] | None = None,
        padding: int | tuple[int, int] = 0,
        *,
        sigma: float | None = None,
        power: int = 2,
    ):
        super().__init__(kernel_size, stride, padding)
        if power not in (1, 2):
            raise wrong("power", "be 1 or 2", power, "use 2 for the root of squares")
        self.power = power
        self.register_buffer("window", window(self.kernel_size, sigma), persistent=False)

    def _pooled(self, x: Tensor) -> Tensor:
        if self.power == 1:
            return weighed(x, self.window, self.stride, self.padding)
        return (weighed(x.square(), self.window, self.stride, self.padding) + EPS).sqrt()

    def extra_repr(self) -> str:
        """Settings, as torch prints them."""
        return f"{super().extra_repr()}, power={self.power}"
