"""The bytes of a picture, as a page holds them."""

from __future__ import annotations

import base64
import io

import numpy as np

SMALL = 64  # up to this side: PNG, drawn in whole pixels; above: WebP
PHOTO = 70  # WebP quality


def is_small(height: int, width: int) -> bool:
    """Whether single pixels can be seen."""
    return max(height, width) <= SMALL


def encoded(image: np.ndarray, small: bool, quality: int = PHOTO) -> str:
    """A data URI of an image ``(channels, height, width)``: uint8, or floating in 0..1.

    Args:
        image: One or three channels.
        small: Whether every pixel stays as it is: PNG, else WebP.
        quality: Of the WebP.
    """
    from PIL import Image

    pixels = image if image.dtype == np.uint8 else np.round(image * 255).astype(np.uint8)
    picture = Image.fromarray(pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1))
    buffer = io.BytesIO()
    if small:
        picture.save(buffer, "PNG", optimize=True)
    else:
        picture.convert("RGB").save(buffer, "WEBP", quality=quality)
    kind = "png" if small else "webp"
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
