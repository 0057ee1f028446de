"""Local contrast normalisation."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from ..results import check_at_least, is_number, wrong
from ._autocast import uncast, widened
from ._gaussian import weighed, window


class LocalContrastNorm2d(nn.Module):
    """Subtracts the mean around each place, then divides by the spread there.

    ``v = x - sum w x``, ``s = sqrt(sum w v^2)``, ``y = v / max(c, s)``. Sums go over a Gaussian
    window and all maps, with weights of sum 1; ``c`` is the mean of ``s`` over the picture. So
    ``y`` is the same for ``a x + b`` with any ``a > 0``. Rounding is not raised: ``s`` counts as at
    least 100 times that of the largest value, so that an even picture stays near 0. A picture of
    zeros gives zeros, and gradients as if ``max(c, s)`` were 1, or ``floor`` where it is above 0.
    Numbers of 16 bits are worked on in float32, also under autocast, and the result is rounded to
    them; their own rounding in a picture that is even but for it is raised like any contrast.

    Args:
        kernel_size: Side of the window, odd. sigma: in pixels; default a quarter of it.
        root: Whether ``s`` is the root, as in the paper; else the sum itself, as some print it, and
            ``y`` changes with the scale of ``x``.
        floor: ``c``; None: the mean.

    Shape: ``(N, C, H, W)`` or ``(C, H, W)`` to the same. Borders are reflected: sides longer than
    half the window.

    Raises:
        UsageError: An even window, a floor below 0, or pictures smaller than half the window.

    Source: Jarrett, Kavukcuoglu, Ranzato & LeCun, ICCV 2009, section 2.
    """

    window: Tensor

    def __init__(
        self,
        kernel_size: int = 9,
        *,
        sigma: float | None = None,
        root: bool = True,
        floor: float | None = None,
    ):
        super().__init__()
        side = check_at_least("kernel_size", kernel_size, 1, "use 9")
        if side % 2 == 0:
            raise wrong("kernel_size", "be odd", side, f"use {side + 1}")
        if floor is not None and not (is_number(floor) and floor >= 0):
            raise wrong("floor", "be a number, at least 0", floor, "leave it out for the mean")
        self.kernel_size, self.root, self.floor = side, bool(root), floor
        self.register_buffer("window", window((side, side), sigma), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """The normalised maps."""
        half = self.kernel_size // 2
        if min(x.shape[-2:]) <= half:
            rule = f"have sides longer than {half}, half the window"
            raise wrong("x", rule, f"shape {tuple(x.shape)}", "lower kernel_size")
        with uncast(x):
            return self._normalised(widened(x)).to(x.dtype)

    def _normalised(self, x: Tensor) -> Tensor:
        v = x - self._mean(x)
        limits = torch.finfo(v.dtype)
        top = x.detach().abs().amax((-3, -2, -1), keepdim=True)
        noise = (top * (100 * limits.eps)).square().clamp_min(limits.tiny)
        if not self.floor:
            noise = torch.where(top == 0, 1.0, noise)
        spread = torch.maximum(self._mean(v.square()), noise)
        if self.root:
            spread = spread.sqrt()
        if self.floor is not None:
            return v / spread.clamp_min(self.floor)
        return v / torch.maximum(spread.mean((-3, -2, -1), keepdim=True), spread)

    def _mean(self, x: Tensor) -> Tensor:
        """Weighted by the window, over all maps, ``(..., 1, H, W)``."""
        half = self.kernel_size // 2
        return weighed(pad(x.mean(-3, keepdim=True), [half] * 4, "reflect"), self.window)

    def extra_repr(self) -> str:
        """Settings, as torch prints them."""
        return f"{self.kernel_size}, root={self.root}, floor={self.floor}"
