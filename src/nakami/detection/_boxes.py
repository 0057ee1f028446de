"""Boxes ``(left, top, right, bottom)``: areas, overlaps, and what a detector has found."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nakami.results import wrong


@dataclass(frozen=True)
class Detections:
    """What a detector has found in pictures.

    Attributes:
        boxes: ``(M, 4)``, left, top, right and bottom in pixels, as ``data.Scenes`` has them.
        labels: ``(M,)`` int64, classes.
        scores: ``(M,)``, larger where the detector is surer; of its own unit.
        rows: ``(M,)`` int64, the picture that each is in.
        pictures: How many pictures were looked at.
    """

    boxes: Tensor
    labels: Tensor
    scores: Tensor
    rows: Tensor
    pictures: int

    def __len__(self) -> int:
        return len(self.boxes)

    def above(self, score: float) -> Detections:
        """Those of a score of at least ``score``."""
        kept = self.scores >= score
        return Detections(
            self.boxes[kept], self.labels[kept], self.scores[kept], self.rows[kept], self.pictures
        )


def check_boxes(argument: str, boxes: Tensor) -> Tensor:
    """Refuse what are no boxes ``(N, 4)``."""
    if not isinstance(boxes, Tensor) or boxes.ndim != 2 or boxes.shape[1] != 4:
        got = tuple(boxes.shape) if isinstance(boxes, Tensor) else type(boxes).__name__
        raise wrong(
            argument, "be a tensor of boxes (N, 4)", got, "write torch.zeros(0, 4) for none"
        )
    return boxes


def areas(boxes: Tensor) -> Tensor:
    """``(..., 4) -> (...)``; 0 where a box ends before it begins."""
    return (boxes[..., 2:] - boxes[..., :2]).clamp_min(0).prod(-1)


def intersections(one: Tensor, other: Tensor) -> Tensor:
    """Areas that both have, ``(N, 4), (M, 4) -> (N, M)``."""
    low = torch.maximum(one[:, None, :2], other[None, :, :2])
    high = torch.minimum(one[:, None, 2:], other[None, :, 2:])
    return (high - low).clamp_min(0).prod(-1)


def overlaps(one: Tensor, other: Tensor) -> Tensor:
    """Intersection over union of each pair of boxes, ``(N, 4), (M, 4) -> (N, M)``, in 0..1.

    Args:
        one: Left, top, right and bottom; the unit does not matter.
        other: Likewise.
    """
    shared = intersections(check_boxes("one", one), check_boxes("other", other))
    union = areas(one)[:, None] + areas(other)[None] - shared
    return shared / union.clamp_min(1e-12)
