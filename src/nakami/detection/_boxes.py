"""Boxes ``(left, top, right, bottom)``: areas, overlaps, and what a detector has found."""

from __future__ import annotations

from collections.abc import Sequence, Sized
from dataclasses import dataclass

import torch
from torch import Tensor

from nakami.results import wrong


@dataclass(frozen=True)
class Detections:
    """What a detector has found in pictures; all of it lies on the processor.

    Attributes:
        boxes: ``(M, 4)``, left, top, right and bottom in pixels, as ``data.Scenes`` has them.
        labels: ``(M,)`` int64, classes.
        scores: ``(M,)``, larger where the detector is surer; of its own unit.
        rows: ``(M,)`` int64, the picture that each is in.
        pictures: How many pictures were looked at.

    Raises:
        UsageError: Not one label, score and row for each box; scores that are not finite; rows of
            pictures that are not there.
    """

    boxes: Tensor
    labels: Tensor
    scores: Tensor
    rows: Tensor
    pictures: int

    def __post_init__(self) -> None:
        n = len(check_boxes("boxes", self.boxes))
        for name in ("labels", "scores", "rows"):
            part = getattr(self, name)
            if not isinstance(part, Tensor) or part.shape != (n,):
                got = tuple(part.shape) if isinstance(part, Tensor) else type(part).__name__
                rule = f"be a tensor of a number for each of the boxes, ({n},)"
                raise wrong(name, rule, got, "pass one for each box")
        if not self.scores.isfinite().all():
            raise wrong("scores", "be finite", "NaN or infinity", "leave those boxes out")
        if n and not 0 <= int(self.rows.min()) <= int(self.rows.max()) < self.pictures:
            ends = f"{int(self.rows.min())} to {int(self.rows.max())}"
            rule = f"number the pictures, 0 to {self.pictures - 1}"
            raise wrong("rows", rule, ends, "raise {pictures}")
        for name in ("boxes", "labels", "scores", "rows"):
            object.__setattr__(self, name, getattr(self, name).detach().cpu())

    def __len__(self) -> int:
        return len(self.boxes)

    def above(self, score: float) -> Detections:
        """Those of a score of at least ``score``."""
        kept = self.scores >= score
        return Detections(
            self.boxes[kept], self.labels[kept], self.scores[kept], self.rows[kept], self.pictures
        )

    @classmethod
    def joined(cls, parts: Sequence[Detections]) -> Detections:
        """Those of several groups of pictures, one group after the other, as of one."""
        first = torch.tensor([0, *(part.pictures for part in parts)]).cumsum(0).tolist()
        return cls(
            torch.cat([part.boxes for part in parts]),
            torch.cat([part.labels for part in parts]),
            torch.cat([part.scores for part in parts]),
            torch.cat([part.rows + n for part, n in zip(parts, first[:-1], strict=True)]),
            first[-1],
        )

    def check_of(self, scenes: Sized) -> None:
        """Refuse scenes of another number of pictures than were looked at."""
        if len(scenes) != self.pictures:
            rule = f"be of as many pictures as there are scenes, {len(scenes)}"
            raise wrong("found", rule, self.pictures, "pass what was found in scenes.pictures")


def check_boxes(argument: str, boxes: Tensor) -> Tensor:
    """Refuse what are no boxes ``(N, 4)``, and numbers that are none."""
    if not isinstance(boxes, Tensor) or boxes.ndim != 2 or boxes.shape[1] != 4:
        got = tuple(boxes.shape) if isinstance(boxes, Tensor) else type(boxes).__name__
        raise wrong(
            argument, "be a tensor of boxes (N, 4)", got, "write torch.zeros(0, 4) for none"
        )
    if not boxes.isfinite().all():
        raise wrong(argument, "be finite", "NaN or infinity", "leave those boxes out")
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
