"""Pictures side by side on one scale, ready to be placed on a page."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from markupsafe import escape

from nakami import results

from ..words import _numbers as num
from ._encoded import encoded, is_small
from ._grids import Picture

COLUMNS = 10  # of pictures that come without rows
PERCENTILE = 99.8  # of magnitudes: the end of a signed scale, so that one weight does not hide all
KINDS = {"there": "there", "right": "found", "wrong": "found wrongly"}
FEW, LEAST, WHOLE, TALL = 3, 72, 740, 200  # columns; pixels of the page: least, all, of a height
DARK = 0.1  # median below which pictures are white on black


@dataclass(frozen=True)
class Mosaic:
    """Images in rows.

    Attributes:
        rows: Name of each row, or "", and its images.
        columns: Images of a row.
        width, height: Of an image, in pixels. small: Whether its single pixels can be seen.
        inverted: Whether images are white on black, to be inverted on light paper.
        label: What is shown. ticks: Values along the colour scale of signed images, evenly spaced;
            none for others. values: What the values are, in words.
        kinds: Of boxes, with a name, those that occur. boxed: Whether images have boxes.
    """

    rows: list[tuple[str, list[Picture]]]
    columns: int
    width: int
    height: int
    small: bool
    inverted: bool
    label: str
    ticks: list[str]
    values: str
    kinds: dict[str, str] = field(default_factory=dict)
    boxed: bool = False

    @property
    def side(self) -> int:
        """Width of an image on the page, in its pixels; of a few images larger than of many."""
        if self.boxed or self.columns > FEW:
            return 168 if self.boxed else LEAST
        return max(LEAST, min(WHOLE // self.columns, round(TALL * self.width / self.height)))

    @property
    def named(self) -> bool:
        """Whether rows have names."""
        return any(name for name, _ in self.rows)


def mosaic(picture: results.Picture) -> Mosaic:
    """The images of a picture, drawn."""
    images = picture.images
    height, width = images.shape[3:]
    signed = picture.range is None
    sizes = np.abs(images)
    top = float(np.percentile(sizes, PERCENTILE)) or float(sizes.max()) or 1.0
    low, high = (-top, top) if picture.range is None else picture.range
    shades = np.clip((images - low) / ((high - low) or 1.0), 0, 1)
    grey, small = images.shape[2] == 1, is_small(height, width)
    dark = grey and small and not signed and float(np.median(shades)) < DARK
    ticks = [num.number(v * top, 2) for v in (-1, -0.5, 0, 0.5, 1)] if signed and grey else []
    rows = [
        (
            name,
            [_image(picture, (r, i), name, shade, signed and grey) for i, shade in enumerate(row)],
        )
        for r, (name, row) in enumerate(
            zip(picture.rows or [""] * len(shades), shades, strict=True)
        )
    ]
    columns = images.shape[1]
    if len(images) == 1:
        columns = min(picture.columns or COLUMNS, columns)
    values = f"values from {num.number(low)} to {num.number(high)}"
    return Mosaic(
        rows, columns, width, height, small, dark, picture.title, ticks, values,
        _kinds(picture), bool(picture.boxes),
    )  # fmt: skip


def _image(
    picture: results.Picture, at: tuple[int, int], row: str, shade: np.ndarray, signed: bool
) -> Picture:
    boxes = tuple(box for box in picture.boxes if box[:2] == at)
    named = [f"{KINDS.get(box.kind, '')} {box.text}".strip() for box in boxes if box.text]
    alt = ", ".join(filter(None, (picture.title, row, str(at[1] + 1), *named)))
    small = is_small(*shade.shape[1:])
    # the page colours bytes around 128, which is 0
    image = np.round(1 + 254 * shade).astype(np.uint8) if signed else shade
    return Picture(encoded(image, small), escape(alt), signed=signed, boxes=boxes)


def _kinds(picture: results.Picture) -> dict[str, str]:
    """The kinds of boxes that have a name, where they occur."""
    found = {box.kind for box in picture.boxes}
    return {kind: name for kind, name in KINDS.items() if kind in found}
