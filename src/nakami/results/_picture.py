"""Pictures that a training leaves: filters, samples, reconstructions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ._errors import wrong

CHANNELS = (1, 3)


@dataclass(frozen=True)
class Picture:
    """A grid of small images on one scale of values.

    Attributes:
        title: What it shows: ``"Filters of the first layer"``. caption: A sentence below it.
        images: ``(N, H, W)``, laid out in rows; or ``(rows, columns, H, W)``; or with grey or
            colour channels ``(rows, columns, C, H, W)``, C 1 or 3. Arrays and tensors; kept as
            float32 of five axes, ``rows`` being 1 for the first form.
        range: Values drawn black and white; None: from ``-m`` to ``m``, so that zero is in
            the middle; 99.8 % of the magnitudes lie below ``m``.
        rows: Names of the rows, for example ``("input", "output")``; none: without.
    """

    title: str
    caption: str
    images: Any
    range: tuple[float, float] | None = None
    rows: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        images = np.asarray(self.images, dtype=np.float32)
        if images.ndim == 3:
            images = images[None]
        if images.ndim == 4:
            images = images[:, :, None]
        good = images.ndim == 5 and images.shape[2] in CHANNELS and 0 not in images.shape
        if not good or not np.isfinite(images).all():
            rule = "be finite, (N, H, W), (rows, columns, H, W) or (rows, columns, C, H, W)"
            raise wrong("images", rule, f"shape {images.shape}", "reshape them, C is 1 or 3")
        if self.rows and len(self.rows) != len(images):
            rule = f"name {len(images)} rows"
            raise wrong("rows", rule, self.rows, "give a name for each row of images")
        object.__setattr__(self, "images", images)
