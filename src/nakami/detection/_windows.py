"""Windows of scenes at many scales, with the class and the box that a network should give."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from nakami.data import Scenes
from nakami.results import check_at_least, is_number, wrong

from ._boxes import areas, intersections

UNCLEAR = -1  # neither an object in the middle nor background
FIT = (0.5, 0.85)  # longer side of an object, as a share of the window's, that windows are cut for
SHIFT = 0.15  # of an object's centre from the window's, as a share of its side, for half of them
WHOLE, NEAR = 0.85, 0.25  # an object counts where so much of it is inside, its centre that close
SLACK = 1.1  # and its side within FIT but for this factor
PARTLY = 0.4  # an object of which less is inside is background
DISTANT, CLOSE = 0.6, 1.4  # longer sides, as shares of FIT's ends, that are background


@dataclass(frozen=True)
class Windows:
    """Windows with their targets, read-only by agreement.

    Attributes:
        pictures: ``(N, C, H, W)``.
        labels: ``(N,)`` int64: the class of the object in the middle, the number of classes for
            background, -1 where neither is clear.
        boxes: ``(N, 4)``, that of the object in the middle, else of the one most of which is
            inside, in windows of side 1.
        inside: ``(N,)``, the share of this box that lies inside, 0 without an object.
        objects: ``(N,)`` int64, its class; 0 without an object.
    """

    pictures: Tensor
    labels: Tensor
    boxes: Tensor
    inside: Tensor
    objects: Tensor

    def __len__(self) -> int:
        return len(self.pictures)


def check_looks(pictures: Tensor, scales: Sequence[float], side: int) -> int:
    """Refuse pictures, scales or windows that nothing can be found with; the side as a number."""
    if pictures.ndim != 4 or not len(pictures):
        rule = "be pictures (N, C, H, W), one or more"
        raise wrong("pictures", rule, tuple(pictures.shape), "pass pictures[None] for one")
    if not pictures.isfinite().all():
        raise wrong("pictures", "be finite", "NaN or infinity", "leave those pictures out")
    given = scales if hasattr(scales, "__len__") else ()
    if not len(given) or not all(is_number(s) and 0 < s < math.inf for s in given):
        raise wrong("scales", "be one or more numbers above 0", scales, "pass (0.7, 1.0)")
    return check_at_least("side", side, 1, "pass side=28")


def at_scale(pictures: Tensor, factor: float, margin: int) -> tuple[Tensor, tuple[float, float]]:
    """Pictures made larger or smaller, with a margin that repeats their outermost pixels.

    Args:
        pictures: ``(N, C, H, W)``.
        factor: Of both sides.
        margin: Pixels added on each side.

    Returns:
        The pictures, and the true factors of x and y: sizes are whole pixels.
    """
    h, w = pictures.shape[2:]
    size = max(1, round(h * factor)), max(1, round(w * factor))
    scaled = pictures
    if size != (h, w):
        scaled = F.interpolate(pictures, size, mode="bilinear", align_corners=False, antialias=True)
    return F.pad(scaled, (margin,) * 4, mode="replicate"), (size[1] / w, size[0] / h)


def windows(
    scenes: Scenes,
    looks: int,
    side: int = 28,
    *,
    generator: torch.Generator,
) -> Windows:
    """Windows that a detector meets: with an object in the middle, beside one, and elsewhere.

    A look takes a scene at a scale at which one of its objects, drawn at random, fits a window, and
    cuts out four windows: two with it in the middle but for a small shift, one anywhere around it,
    one anywhere in the scene.

    Args:
        scenes: With objects; scenes without any are seen at their own scale.
        looks: At each scene.
        side: Pixels of a window's side.
        generator: Decides all that is random.
    """
    looks = check_at_least("looks", looks, 1, "pass looks=5")
    side = check_at_least("side", side, 1, "pass side=28")
    margin, cut, there, known = side // 2, list[Tensor](), list[Tensor](), list[Tensor]()
    for row in range(len(scenes)):
        boxes, labels = scenes.within(row)
        for _ in range(looks):
            factor, middle = _aim(boxes, scenes.pictures.shape[2:], side, generator)
            whole, factors = at_scale(scenes.pictures[row : row + 1], factor, margin)
            true = torch.tensor(factors)
            corners = _corners(middle * true + margin, whole.shape[2:], side, generator)
            cut += [whole[0, :, y : y + side, x : x + side] for x, y in corners.tolist()]
            placed = boxes * true.repeat(2) + margin - corners[:, None].repeat(1, 1, 2)
            there += list(placed / side)  # (objects, 4) for each window
            known += [labels] * len(corners)
    targets = [target(*one, len(scenes.classes)) for one in zip(there, known, strict=True)]
    labels, boxes, inside, objects = (torch.stack(part) for part in zip(*targets, strict=True))
    return Windows(torch.stack(cut), labels, boxes, inside, objects)


def _aim(boxes: Tensor, size: torch.Size, side: int, g: torch.Generator) -> tuple[float, Tensor]:
    """A scale at which an object fits a window, and its middle (x, y), in the scene's pixels."""
    if not len(boxes):
        return 1.0, torch.tensor([size[1] / 2, size[0] / 2])
    box = boxes[int(torch.randint(len(boxes), (), generator=g))]
    share = FIT[0] + (FIT[1] - FIT[0]) * float(torch.rand((), generator=g))
    return share * side / float((box[2:] - box[:2]).max()), (box[:2] + box[2:]) / 2


def _corners(at: Tensor, size: torch.Size, side: int, g: torch.Generator) -> Tensor:
    """Left and top of four windows, ``(4, 2)``, inside a scene of this height and width."""
    shift = (2 * torch.rand(3, 2, generator=g) - 1) * torch.tensor([[SHIFT], [SHIFT], [1.0]])
    room = torch.tensor([size[1] - side, size[0] - side])
    around = (at - side / 2 + shift * side).round().long()
    anywhere = (torch.rand(1, 2, generator=g) * (room + 1)).long()
    corners = torch.cat([around, anywhere])
    return torch.minimum(corners.clamp_min(0), room)


def target(boxes: Tensor, labels: Tensor, background: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Label, box, share inside and class of a window with objects in these places."""
    if not len(boxes):
        none = torch.tensor(0)
        return torch.tensor(background), torch.zeros(4), torch.tensor(0.0), none
    window = torch.tensor([[0.0, 0, 1, 1]])
    inside = intersections(window, boxes)[0] / areas(boxes)
    sides = (boxes[:, 2:] - boxes[:, :2]).amax(1)
    off = ((boxes[:, :2] + boxes[:, 2:]) / 2 - 0.5).abs().amax(1)
    fits = (sides >= FIT[0] / SLACK) & (sides <= FIT[1] * SLACK)
    right = (inside >= WHOLE) & (off <= NEAR) & fits
    apart = (inside < PARTLY) | (sides < FIT[0] * DISTANT) | (sides > FIT[1] * CLOSE)
    main = int(torch.where(right, 2 - off, inside).argmax())
    label = labels[main] if right[main] else torch.tensor(background if apart.all() else UNCLEAR)
    return label, boxes[main], inside[main], labels[main]
