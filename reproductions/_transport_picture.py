"""A sheet of grey pictures: inputs of each row, then its barycenters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from torch import Tensor

ZOOM, GAP, HEAD = 2, 6, 16


def draw(rows: Sequence[Sequence[Tensor]], kinds: Sequence[str], path: Path) -> None:
    """Each picture white at 0 and black at its own largest mass; barycenters stand at the right."""
    side = rows[0][0].shape[0] * ZOOM
    most = max(len(row) for row in rows) - len(kinds)
    columns = most + len(kinds)
    size = columns * (side + GAP) + GAP, HEAD + len(rows) * (side + GAP) + GAP
    sheet = Image.new("L", size, 225)
    pen = ImageDraw.Draw(sheet)
    titles = ["inputs", *[""] * (most - 1), *kinds]
    for column, title in enumerate(titles):
        pen.text((GAP + column * (side + GAP), 3), title, fill=0)
    for line, row in enumerate(rows):
        inputs = len(row) - len(kinds)
        places = [*range(inputs), *range(most, columns)]
        for column, mass in zip(places, row, strict=True):
            grey = 255 * (1 - (mass / mass.max()).numpy())
            tile = Image.fromarray(np.kron(grey, np.ones((ZOOM, ZOOM))).round().astype(np.uint8))
            sheet.paste(tile, (GAP + column * (side + GAP), HEAD + line * (side + GAP)))
    sheet.save(path, optimize=True)
