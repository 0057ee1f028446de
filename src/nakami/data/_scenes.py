"""Scenes: objects pasted at several sizes on backgrounds, with their classes and boxes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from nakami.results import (
    check_at_least,
    check_ends,
    check_seed,
    check_sizes,
    counted,
    is_number,
    wrong,
)

from ._objects import Objects
from ._textures import Backgrounds, backdrops

TRIES = 30  # places tried for an object before it is left out
DIM = 0.7  # the darkest an object is drawn


@dataclass(frozen=True)
class Scenes:
    """Pictures with the objects in them, read-only by agreement; the frames of a film are such.

    Attributes:
        pictures: ``(N, C, H, W)`` float32 in 0..1.
        boxes: ``(M, 4)``, left, top, right and bottom of each object in pixels: the pixel in
            column ``j`` reaches from ``j`` to ``j + 1``.
        labels: ``(M,)`` int64, their classes.
        rows: ``(M,)`` int64, the picture that each is in.
        tracks: ``(M,)`` int64, a number for each object: in a film the same in all its frames.
        names: What each is, as ``Objects.names``.
        classes: Names of the classes 0, 1, ...
        source: One sentence: what this is and where it came from.
    """

    pictures: Tensor
    boxes: Tensor
    labels: Tensor
    rows: Tensor
    tracks: Tensor
    names: tuple[str, ...]
    classes: tuple[str, ...]
    source: str

    def __len__(self) -> int:
        return len(self.pictures)

    def within(self, row: int) -> tuple[Tensor, Tensor]:
        """Boxes ``(m, 4)`` and classes ``(m,)`` of the objects in one picture."""
        here = self.rows == row
        return self.boxes[here], self.labels[here]


@dataclass(frozen=True)
class Pasted:
    """An object at the size that it is pasted in."""

    colours: Tensor
    opacity: Tensor
    index: int

    @property
    def sides(self) -> tuple[int, int]:
        """Height and width."""
        return self.opacity.shape[1], self.opacity.shape[2]

    def box(self, top: int, left: int) -> list[int]:
        """Where it is, with its top left corner there."""
        return [left, top, left + self.sides[1], top + self.sides[0]]

    def paste(self, picture: Tensor, top: int, left: int) -> None:
        """Draw it onto a picture, which is changed; all of it lies within."""
        h, w = self.sides
        part = picture[:, top : top + h, left : left + w]
        part.mul_(1 - self.opacity).add_(self.colours * self.opacity)


def scenes(
    objects: Objects,
    n: int,
    *,
    size: tuple[int, int] = (96, 96),
    count: tuple[int, int] = (1, 3),
    sides: tuple[float, float] = (14, 42),
    overlap: float = 0.0,
    backgrounds: Backgrounds = None,
    seed: int = 0,
) -> Scenes:
    """Pictures with objects at random places and sizes.

    Args:
        objects: Drawn from with replacement.
        n: Number of pictures.
        size: Height and width of each.
        count: Fewest and most objects of a picture, all numbers equally likely. An object for
            which there is no room is left out.
        sides: Least and greatest longer side of an object in pixels; its logarithm is uniform.
        overlap: Greatest intersection over union of two boxes.
        backgrounds: Pictures in 0..1, or a file or folder with some; None: textures from noise.
        seed: Decides all that is random; torch's global generator is not touched.

    Cost: about 0.2 ms of a core for each object of 30 pixels.
    """
    n = check_at_least("n", n, 1, "pass n=100")
    size, count, sides = check_asked(objects, size, count, sides)
    if not (is_number(overlap) and 0 <= overlap <= 1):
        raise wrong("overlap", "be a number from 0 to 1", overlap, "leave it out for none")
    g = torch.Generator().manual_seed(check_seed(seed))
    shape = (objects.pictures.shape[1], *size)
    pictures = backdrops(backgrounds, n, shape, g)
    boxes, found, rows = list[list[int]](), list[int](), list[int]()
    for row, many in enumerate(torch.randint(count[0], count[1] + 1, (n,), generator=g).tolist()):
        placed = list[list[int]]()
        for _ in range(many):
            pasted = thing(objects, sides, g)
            place = _free(pasted, size, placed, overlap, g)
            if place is not None:
                pasted.paste(pictures[row], *place)
                placed.append(pasted.box(*place))
                found.append(pasted.index)
        boxes += placed
        rows += [row] * len(placed)
    source = f"{counted(n, 'scene')} of {size[0]} x {size[1]} pixels with the {objects.source}"
    return made(objects, pictures, boxes, found, rows, list(range(len(rows))), source)


def check_asked(
    objects: Objects, size: tuple[int, int], count: tuple[int, int], sides: tuple[float, float]
) -> tuple[tuple[int, int], tuple[int, int], tuple[float, float]]:
    """Size, counts and sides, or a refusal."""
    rule = "be height and width in pixels, from 2 on"
    height, width = check_sizes("size", size, 2, rule, "write size=(96, 96)", least=2)
    rule, way_out = "be the fewest and the most objects of a picture", "write count=(1, 3)"
    fewest, most = check_ends("count", count, 0, math.inf, rule, way_out)
    if not (fewest.is_integer() and most.is_integer()):
        raise wrong("count", rule, count, way_out)
    shorter = min(height, width)
    rule = f"be the least and the greatest side, from 2 to the picture's {shorter} pixels"
    way_out = f"write sides=({min(14, max(2, shorter // 3))}, {min(42, shorter)})"
    sides = check_ends("sides", sides, 2, shorter, rule, way_out)
    if not isinstance(objects, Objects) or not len(objects):
        got = "none" if isinstance(objects, Objects) else type(objects).__name__
        raise wrong(
            "objects", "be Objects, one or more", got, "pass data.objects_of(data.digits())"
        )
    return (height, width), (int(fewest), int(most)), sides


def uniform(ends: Sequence[float], g: torch.Generator) -> float:
    return ends[0] + (ends[1] - ends[0]) * float(torch.rand((), generator=g))


def thing(objects: Objects, sides: tuple[float, float], g: torch.Generator) -> Pasted:
    """A random object at a random size and brightness."""
    index = int(torch.randint(len(objects), (), generator=g))
    colours, opacity = objects.cut(index)
    longer = math.exp(uniform([math.log(side) for side in sides], g))
    factor = longer / max(opacity.shape[1:])
    h, w = (max(2, round(factor * side)) for side in opacity.shape[1:])
    both = torch.cat([colours * opacity, opacity])[None]  # scaled together, so that edges stay true
    scaled = F.interpolate(both, (h, w), mode="bilinear", align_corners=False, antialias=True)[0]
    opacity = scaled[-1:].clamp(0, 1)
    paint = (scaled[:-1] / opacity.clamp_min(1e-6)).clamp(0, 1) * uniform((DIM, 1), g)
    return Pasted(paint, opacity, index)


def _free(
    pasted: Pasted,
    size: tuple[int, int],
    placed: Sequence[list[int]],
    most: float,
    g: torch.Generator,
) -> tuple[int, int] | None:
    """A random place where it overlaps no other more than it may; None where none was found."""
    h, w = pasted.sides
    for _ in range(TRIES):
        top = int(torch.randint(size[0] - h + 1, (), generator=g))
        left = int(torch.randint(size[1] - w + 1, (), generator=g))
        if all(_overlap(pasted.box(top, left), other) <= most for other in placed):
            return top, left
    return None


def _overlap(one: Sequence[int], other: Sequence[int]) -> float:
    """Intersection over union of two boxes."""
    width, height = (min(one[i + 2], other[i + 2]) - max(one[i], other[i]) for i in (0, 1))
    shared = max(0, width) * max(0, height)
    areas = sum((b[2] - b[0]) * (b[3] - b[1]) for b in (one, other))
    return shared / (areas - shared)


def made(
    objects: Objects,
    pictures: Tensor,
    boxes: list[list[int]],
    found: list[int],
    rows: list[int],
    tracks: list[int],
    source: str,
) -> Scenes:
    """Lists as tensors, with the classes and names of the objects."""
    labels = objects.labels[torch.tensor(found, dtype=torch.long)]
    return Scenes(
        pictures=pictures,
        boxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        labels=labels,
        rows=torch.tensor(rows, dtype=torch.long),
        tracks=torch.tensor(tracks, dtype=torch.long),
        names=tuple(objects.names[i] for i in found),
        classes=objects.classes,
        source=source,
    )
