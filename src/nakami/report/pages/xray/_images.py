"""From flat vectors to images: shape, sign, area."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nakami.results import Xray

from ...page._encoded import is_small

VECTOR = 46  # WebP quality


@dataclass(frozen=True)
class Frame:
    """How a flat input becomes a picture: channels, height, width, and how it was normalised."""

    channels: int
    height: int
    width: int
    mean: np.ndarray
    std: np.ndarray

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return self.height * self.width

    @property
    def small(self) -> bool:
        """Whether single pixels can be seen: PNG, and areas in pixels."""
        return is_small(self.height, self.width)

    def planes(self, flat: np.ndarray) -> np.ndarray:
        """``(..., n)`` as ``(..., channels, height, width)``."""
        return flat.reshape(*flat.shape[:-1], self.channels, self.height, self.width)


def frame(run: Xray) -> Frame | None:
    """How the inputs of a run are pictures, or None if they are not."""
    if run.source != "input":  # the directions lie in an embedding
        return None
    picture = run.settings.get("picture")
    shape = tuple(run.inputs.shape[1:])
    if len(shape) == 3 and shape[0] in (1, 3):
        channels, height, width = shape
    elif picture is None:
        return None
    elif len(shape) == 2:
        channels, height, width = 1, *shape
    elif len(shape) == 1 and (found := _square(shape[0])):
        channels, height, width = found
    else:
        return None
    if min(height, width) < 4 or not len(run.inputs):
        return None
    mean, std = (
        np.resize(np.asarray((picture or {}).get(key) or [default], dtype=np.float64), channels)
        for key, default in (("mean", 0.0), ("std", 1.0))
    )
    return Frame(channels, height, width, mean, std)


def signed_plane(planes: np.ndarray) -> np.ndarray:
    """One signed plane of a vector: itself, or the root of channel energy signed by their sum."""
    if planes.shape[-3] == 1:
        return planes[..., 0, :, :]
    return np.sign(planes.sum(-3)) * np.sqrt((planes.astype(np.float64) ** 2).sum(-3))


def area(planes: np.ndarray) -> np.ndarray:
    """Participation ratio of pixel energy, ``(sum e)^2 / sum e^2``, in pixels."""
    energy = (planes.astype(np.float64) ** 2).sum(-3)
    total = (energy**2).sum((-1, -2))
    return np.divide(energy.sum((-1, -2)) ** 2, total, out=np.zeros_like(total), where=total > 0)


def grey(plane: np.ndarray, top: float) -> np.ndarray:
    """Signed values as grey, 128 = zero, on a root scale that ends at ``top``."""
    flat = plane.ravel()
    largest = flat[np.argmax(np.abs(flat))]
    oriented = plane * (1 if largest >= 0 else -1)
    rooted = np.sign(oriented) * np.sqrt(np.minimum(np.abs(oriented) / top, 1))
    return np.round(128 + 127 * rooted).astype(np.uint8)


def unnormalised(shape: Frame, inputs: np.ndarray) -> np.ndarray:
    """Inputs as pixels, ``(N, channels, height, width)`` in 0..1."""
    planes = shape.planes(inputs.reshape(len(inputs), -1).astype(np.float64))
    return np.clip(planes * shape.std[:, None, None] + shape.mean[:, None, None], 0, 1)


def _square(n: int) -> tuple[int, int, int] | None:
    for channels in (1, 3):
        side = math.isqrt(n // channels)
        if channels * side * side == n:
            return channels, side, side
    return None
