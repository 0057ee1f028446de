"""A detector: a classifier over whole pictures at several scales, a box where it finds a class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from nakami.nn import convolutional
from nakami.results import check_fraction

from ._boxes import Detections, areas
from ._merging import THRESHOLD, check_threshold, merge
from ._windows import at_scale, check_looks

AT_ONCE = 4096  # windows whose boxes are asked for together


class WindowNet(Protocol):
    """What a detector needs; ``zoo.overfeat.OverFeat`` has it.

    Attributes:
        windows: The classifier of windows as one sequence; its last class is the background.
    """

    @property
    def windows(self) -> nn.Sequential: ...

    def boxes(self, x: Tensor) -> Tensor:
        """Left, top, right and bottom in windows of side 1, ``(N, 4)`` or ``(N, classes, 4)``."""


@torch.no_grad()
def detect(
    model: WindowNet,
    pictures: Tensor,
    scales: Sequence[float],
    *,
    side: int = 28,
    least: float = 0.5,
    threshold: float = THRESHOLD,
    fine: bool = True,
) -> Detections:
    """Objects in pictures.

    The classifier runs over each picture at each scale as one convolution. Every window whose
    likeliest class but the background has at least the probability ``least`` gives a box and its
    probabilities of all classes; boxes are merged, their probabilities added. The class is that of
    the largest sum, which is the score.

    Args:
        model: In evaluation mode.
        pictures: ``(N, C, H, W)``, where the model is; what is found lies on the processor.
        scales: Factors by which pictures are made larger or smaller.
        side: Pixels of a window's side.
        least: Probability of a class, between 0 and 1.
        threshold: Of the match score up to which two boxes are merged.
        fine: Whether windows are taken at all offsets of the last pooling.

    Returns:
        Boxes in pixels of the pictures, cut at their borders; scores in windows: the sum of the
        probabilities of those merged. A box that ends before it begins, or lies outside its
        picture, is left out.

    Source: Sermanet et al. 2014, section 4.
    """
    check_fraction("least", least, "pass 0.5")
    check_threshold(threshold)
    side = check_looks(pictures, scales, side)
    dense = convolutional(model.windows, (pictures.shape[1], side, side), fine=fine)
    found = [_at_one_scale(model, dense, pictures, scale, side, least) for scale in scales]
    boxes, scores, rows = (torch.cat(parts).cpu() for parts in zip(*found, strict=True))
    good = areas(boxes) > 0
    boxes, scores, rows = boxes[good], scores[good], rows[good]
    size = torch.tensor([pictures.shape[3], pictures.shape[2]] * 2).to(boxes)
    merged = [
        merge(boxes[rows == row], scores[rows == row], threshold) for row in range(len(pictures))
    ]
    kept = torch.cat([boxes for boxes, _ in merged])
    sums = torch.cat([scores for _, scores in merged])
    best, labels = sums.max(1) if len(sums) else (sums.sum(1), sums.sum(1).long())
    where = [torch.full((len(boxes),), row) for row, (boxes, _) in enumerate(merged)]
    boxes = torch.minimum(kept.clamp_min(0), size)
    there, rows = areas(boxes) > 0, torch.cat(where)
    return Detections(boxes[there], labels[there], best[there], rows[there], len(pictures))


def _at_one_scale(
    model: WindowNet, dense: Any, pictures: Tensor, scale: float, side: int, least: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes in pixels of the pictures, probabilities of classes, and rows of what is found."""
    margin = side // 2
    scaled, factors = at_scale(pictures, scale, margin)
    chances = dense(scaled).softmax(1)[:, :-1]  # (N, classes, h, w)
    row, i, j = (chances.amax(1) >= least).nonzero(as_tuple=True)
    scores = chances[row, :, i, j]
    corners = torch.stack([j, i], 1) * torch.tensor(dense.stride[::-1]).to(i)
    boxes = torch.cat(
        [
            _boxes(model, scaled, one, at, side, score)
            for one, at, score in zip(
                row.split(AT_ONCE), corners.split(AT_ONCE), scores.split(AT_ONCE), strict=True
            )
        ]
    )
    in_scene = (boxes * side + corners.repeat(1, 2) - margin) / torch.tensor(factors * 2).to(boxes)
    return in_scene, scores, row


def _boxes(
    model: WindowNet, scaled: Tensor, rows: Tensor, corners: Tensor, side: int, scores: Tensor
) -> Tensor:
    """What the regressor says of windows, ``(n, 4)``; of the likeliest class where each has one."""
    if not len(rows):
        return scaled.new_zeros(0, 4)
    steps = torch.arange(side, device=rows.device)
    y, x = (corners[:, axis, None] + steps for axis in (1, 0))  # (n, side)
    cut = scaled[rows[:, None, None], :, y[:, :, None], x[:, None, :]].movedim(3, 1)
    boxes = model.boxes(cut)
    return (
        boxes
        if boxes.ndim == 2
        else boxes[torch.arange(len(boxes), device=boxes.device), scores.argmax(1)]
    )
