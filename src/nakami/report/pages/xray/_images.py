"""From flat vectors to images: shape, sign, area, and the bytes of a picture."""

from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass

import numpy as np

from nakami.results import Xray

SMALL = 64  # up to this side: PNG, drawn in whole pixels; above: WebP
PHOTO, VECTOR = 70, 46  # WebP quality


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
        return max(self.height, self.width) <= SMALL

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


def encoded(image: np.ndarray, shape: Frame, quality: int) -> str:
    """A data URI of an image ``(channels, height, width)``: uint8, or floating in 0..1."""
    from PIL import Image

    pixels = image if image.dtype == np.uint8 else np.round(image * 255).astype(np.uint8)
    picture = Image.fromarray(pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1))
    buffer = io.BytesIO()
    if shape.small:
        picture.save(buffer, "PNG", optimize=True)
    else:
        picture.convert("RGB").save(buffer, "WEBP", quality=quality)
    kind = "png" if shape.small else "webp"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _square(n: int) -> tuple[int, int, int] | None:
    for channels in (1, 3):
        side = math.isqrt(n // channels)
        if channels * side * side == n:
            return channels, side, side
    return None
