"""Precision and recall of detections, and their average."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nakami.data import Scenes

from ._boxes import Detections, overlaps

POINTS = 101  # of recall, evenly from 0 to 1, as COCO has them


@dataclass(frozen=True)
class PrecisionRecall:
    """How many detections are right, and how many objects are found, by falling score.

    Attributes:
        scores: ``(M,)`` falling. precision: ``(M,)``, share of right ones among those so far.
        recall: ``(M,)``, share of all objects that they are.
        objects: How many there are.
    """

    scores: Tensor
    precision: Tensor
    recall: Tensor
    objects: int

    @property
    def average(self) -> float:
        """Mean over 101 recalls 0, 0.01, ..., 1 of the best precision at that recall or a higher.

        NaN where there is no object.
        """
        if not self.objects:
            return float("nan")
        if not len(self.scores):
            return 0.0
        best = self.precision.flip(0).cummax(0).values.flip(0)
        wanted = torch.from_numpy(np.linspace(0, 1, POINTS))
        first = torch.searchsorted(self.recall, wanted)
        reached = first < len(best)
        return float(best[first[reached]].sum() / POINTS)


def precision_recall(
    found: Detections, scenes: Scenes, label: int | None = None, overlap: float = 0.5
) -> PrecisionRecall:
    """Precision and recall of one class, or of all together.

    By falling score, each detection takes the object of its class in its picture that it overlaps
    most, among those not yet taken; it is right where they overlap enough.

    Args:
        found: In the pictures of ``scenes``.
        scenes: What there is.
        label: A class; None: all, each with its own.
        overlap: Least intersection over union.

    Source: the matching of COCO's evaluation (Lin et al. 2014).
    """
    own = torch.ones(len(found), dtype=torch.bool) if label is None else found.labels == label
    order = own.nonzero().flatten()
    order = order[found.scores[order].argsort(descending=True, stable=True)]
    there = scenes.boxes if label is None else scenes.boxes[scenes.labels == label]
    taken, right = set[int](), torch.zeros(len(order), dtype=torch.float64)
    ids = torch.arange(len(scenes.boxes))
    for place, i in enumerate(order.tolist()):
        same = (scenes.rows == found.rows[i]) & (scenes.labels == found.labels[i])
        free = [j for j in ids[same].tolist() if j not in taken]
        if not free:
            continue
        shared = overlaps(found.boxes[i : i + 1].double(), scenes.boxes[free].double())[0]
        if float(shared.max()) >= overlap:
            taken.add(free[int(shared.argmax())])
            right[place] = 1
    hits = right.cumsum(0)
    so_far = torch.arange(1, len(order) + 1, dtype=torch.float64)
    return PrecisionRecall(
        found.scores[order], hits / so_far, hits / max(1, len(there)), len(there)
    )


def mean_average_precision(found: Detections, scenes: Scenes, overlap: float = 0.5) -> float:
    """Mean over the classes that occur of their average precision, in 0..1.

    Args:
        found: In the pictures of ``scenes``.
        scenes: What there is.
        overlap: Least intersection over union of a right detection.
    """
    present = scenes.labels.unique().tolist()
    values = [precision_recall(found, scenes, label, overlap).average for label in present]
    return sum(values) / len(values) if values else float("nan")
