"""Precision and recall of detections, and their average."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from nakami.data import Scenes
from nakami.results import check_at_least, check_fraction, check_seed

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

    @property
    def best_score(self) -> float:
        """Where the harmonic mean of precision and recall is largest; infinity without any."""
        if not len(self.scores):
            return float("inf")
        both = 2 * self.precision * self.recall / (self.precision + self.recall).clamp_min(1e-12)
        return float(self.scores[int(both.argmax())])


def precision_recall(
    found: Detections,
    scenes: Scenes,
    label: int | None = None,
    overlap: float = 0.5,
    *,
    right: Tensor | None = None,
    times: Tensor | None = None,
) -> PrecisionRecall:
    """Precision and recall of one class, or of all together.

    Args:
        found: In the pictures of ``scenes``.
        scenes: What there is.
        label: A class; None: all, each with its own.
        overlap: Least intersection over union of a right detection.
        right: ``right_ones(found, scenes, overlap)``, where it is known.
        times: ``(pictures,)``, how often each picture counts, for a bootstrap; None: once.
    """
    found.check_of(scenes)
    right = right_ones(found, scenes, overlap) if right is None else right
    times = torch.ones(len(scenes)) if times is None else times
    own = torch.ones(len(found), dtype=torch.bool) if label is None else found.labels == label
    there = scenes.rows if label is None else scenes.rows[scenes.labels == label]
    order = by_score(found)
    order = order[own[order]]
    counts, objects = times[found.rows[order]].double(), int(times[there].sum())
    hits, so_far = (counts * right[order]).cumsum(0), counts.cumsum(0).clamp_min(1e-300)
    return PrecisionRecall(found.scores[order], hits / so_far, hits / max(1, objects), objects)


def by_score(found: Detections) -> Tensor:
    """Detections by falling score, those of one score by picture, as COCO's evaluation has them."""
    order = found.rows.argsort(stable=True)
    return order[found.scores[order].argsort(descending=True, stable=True)]


def right_ones(found: Detections, scenes: Scenes, overlap: float = 0.5) -> Tensor:
    """Whether each detection is right, ``(M,)``.

    By falling score, each takes the object of its class in its picture that it overlaps most, among
    those not yet taken; it is right where they overlap enough.

    Args:
        found: In the pictures of ``scenes``.
        scenes: What there is.
        overlap: Least intersection over union.

    Source: the matching of COCO's evaluation (Lin et al. 2014).
    """
    check_fraction("overlap", overlap, "pass 0.5")
    found.check_of(scenes)
    right = torch.zeros(len(found), dtype=torch.bool)
    order = by_score(found)
    for row in found.rows.unique().tolist():
        there, labels = scenes.within(row)
        own = order[found.rows[order] == row]
        shared = overlaps(found.boxes[own].double(), there.double())
        shared[found.labels[own][:, None] != labels[None]] = -1.0
        for i, each in zip(own.tolist(), shared, strict=True):
            if len(each) and float(each.max()) >= overlap:
                right[i] = True
                shared[:, int(each.argmax())] = -1.0
    return right


def mean_average_precision(found: Detections, scenes: Scenes, overlap: float = 0.5) -> float:
    """Mean over the classes that occur of their average precision, in 0..1; NaN without objects.

    Args:
        found: In the pictures of ``scenes``.
        scenes: What there is.
        overlap: Least intersection over union of a right detection.
    """
    return _mean(found, scenes, right_ones(found, scenes, overlap), None)


def mean_average_precision_error(
    found: Detections,
    scenes: Scenes,
    overlap: float | Sequence[float] = 0.5,
    *,
    draws: int = 200,
    seed: int = 0,
) -> float:
    """Its standard error over pictures: the deviation when as many are drawn with replacement.

    Args:
        found: In the pictures of ``scenes``.
        scenes: What there is.
        overlap: Least intersection over union of a right detection; of several, the mean over them
            is what the error is of.
        draws: Sets of pictures.
        seed: Decides them.
    """
    several = overlap if isinstance(overlap, Sequence) else (overlap,)
    right, n = [right_ones(found, scenes, each) for each in several], len(scenes)
    g = torch.Generator().manual_seed(check_seed(seed))
    values = []
    for _ in range(check_at_least("draws", draws, 2, "pass draws=200")):
        times = torch.bincount(torch.randint(n, (n,), generator=g), minlength=n)
        values.append(np.mean([_mean(found, scenes, each, times) for each in right]))
    return float(np.nanstd(values, ddof=1))


def _mean(found: Detections, scenes: Scenes, right: Tensor, times: Tensor | None) -> float:
    curves = [
        precision_recall(found, scenes, label, right=right, times=times)
        for label in scenes.labels.unique().tolist()
    ]
    values = [curve.average for curve in curves if curve.objects]
    return sum(values) / len(values) if values else float("nan")
