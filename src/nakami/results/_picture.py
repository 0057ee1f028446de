"""Pictures that a training leaves: filters, samples, reconstructions, boxes, curves, texts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from ._checks import check_choice, is_whole
from ._errors import wrong

CHANNELS = (1, 3)
BoxKind = Literal["there", "right", "wrong", "0", "1", "2", "3", "4", "5"]


class Box(NamedTuple):
    """A rectangle on an image of a ``Picture``.

    Attributes:
        row, column: The image.
        left, top, right, bottom: In its pixels, from its top left corner.
        text: Written at it.
        kind: How it is drawn: ``"there"``, what is known, dashed; ``"right"`` or ``"wrong"``, what
            was found; or ``"0"`` to ``"5"``, a colour for what is the same in several images.
    """

    row: int
    column: int
    left: float
    top: float
    right: float
    bottom: float
    text: str = ""
    kind: BoxKind = "right"


@dataclass(frozen=True)
class Lines:
    """A few curves on two axes, or groups of points.

    Attributes:
        title: What they show. caption: A sentence below.
        x: What the horizontal axis has, with its unit. y: likewise.
        lines: The two coordinates of each curve's points, by name; kept as tuples of numbers. What
            is not finite is left out.
        ends: Values of both axes that are kept in sight.
        joined: Whether the points of each are joined by a line.

    Raises:
        UsageError: No curve, or one whose coordinates are not as many.
    """

    title: str
    caption: str
    x: str
    y: str
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]]
    ends: tuple[float, ...] = ()
    joined: bool = True

    def __post_init__(self) -> None:
        made = {name: tuple(map(_numbers, axes)) for name, axes in self.lines.items()}
        if not made or any(
            len(axes) != 2 or len(axes[0]) != len(axes[1]) for axes in made.values()
        ):
            got = {name: tuple(map(len, axes)) for name, axes in made.items()}
            rule = "hold two coordinates for each point of one curve or more"
            raise wrong("lines", rule, got, "pass {'name': (x, y)}")
        object.__setattr__(self, "lines", made)


def _numbers(values: Sequence[float | None]) -> tuple[float, ...]:
    """Numbers of any kind; those that JSON has as null are NaN again."""
    return tuple(float("nan") if value is None else float(value) for value in values)


@dataclass(frozen=True)
class Texts:
    """A table of texts: what a model wrote, what it was asked.

    Attributes:
        title: What they show. caption: A sentence below.
        head: Names of the columns.
        rows: A text for each column.
    """

    title: str
    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        if not self.rows or any(len(row) != len(self.head) for row in self.rows):
            rule, got = f"be rows of {len(self.head)} texts each", [len(row) for row in self.rows]
            raise wrong("rows", rule, got, "give a text for each column of head")


@dataclass(frozen=True)
class Tree:
    """A tree with a value at each node, above and below 0: the sentiments of a sentence.

    Attributes:
        title: What it shows. caption: A sentence below.
        parents: Of each node its parent's place, -1 of the root; children stand before their
            parents, leaves in order.
        texts: Of each node; those of leaves are written below them.
        values: Of each node.
    """

    title: str
    caption: str
    parents: tuple[int, ...]
    texts: tuple[str, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        n, parents = len(self.parents), self.parents
        rule, way_out = "be after its children, and -1 of the last node", "list children first"
        if not n or parents[-1] != -1 or any(not i < p < n for i, p in enumerate(parents[:-1])):
            raise wrong("parents", rule, parents, way_out)
        for name in ("texts", "values"):
            if len(getattr(self, name)) != n:
                rule = f"be one for each of {n} nodes"
                raise wrong(name, rule, len(getattr(self, name)), "give one for each parent")
        object.__setattr__(self, "values", _numbers(self.values))


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
        boxes: Rectangles drawn on images.
        columns: Images beside each other, where they are one row; None: ten.
    """

    title: str
    caption: str
    images: Any
    range: tuple[float, float] | None = None
    rows: tuple[str, ...] = ()
    boxes: tuple[Box, ...] = ()
    columns: int | None = None

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
        if self.columns is not None and not (is_whole(self.columns) and self.columns > 0):
            raise wrong("columns", "be a number from 1 on", self.columns, "leave it out for ten")
        for box in self.boxes:
            _check_box(box, *images.shape[:2])
        object.__setattr__(self, "images", images)


def _check_box(box: Box, rows: int, columns: int) -> None:
    if not (0 <= box.row < rows and 0 <= box.column < columns):
        rule = "be on images that are there"
        raise wrong("boxes", rule, box[:2], "count rows and columns from 0")
    left, top, right, bottom = map(float, box[2:6])
    if not (-math.inf < left <= right < math.inf and -math.inf < top <= bottom < math.inf):
        rule = "be left, top, right and bottom, finite and in this order"
        raise wrong("boxes", rule, box[2:6], "leave those boxes out")
    check_choice("kind", box.kind, get_args(BoxKind), "leave it out for 'right'")


Show: TypeAlias = Picture | Lines | Texts | Tree
