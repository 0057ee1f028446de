"""Average precision as COCO's own program counts it."""

from __future__ import annotations

import contextlib
import io
from importlib.util import find_spec
from typing import Any

import numpy as np

from nakami.data import Scenes
from nakami.results import RunError, check_fraction

from ._boxes import Detections

OVERLAPS = tuple(np.linspace(0.5, 0.95, 10).round(2).tolist())
MISSING = (
    "COCO's average precision needs pycocotools, which is not installed; "
    "pip install 'nakami[detection]' adds it."
)


def has_coco() -> bool:
    """Whether COCO's program is installed."""
    return find_spec("pycocotools") is not None


def coco_average_precision(
    found: Detections, scenes: Scenes, overlaps: tuple[float, ...] = OVERLAPS
) -> np.ndarray:
    """Average precision of each class at each overlap, ``(overlaps, classes)``; -1 without objects.

    Boxes of all sizes, at most 100 detections of a picture, in 0..1.

    Args:
        found: In the pictures of ``scenes``.
        scenes: What there is.
        overlaps: Least intersection over union of a right detection.

    Raises:
        RunError: pycocotools is not installed.
    """
    if not has_coco():
        raise RunError(MISSING)
    found.check_of(scenes)
    for overlap in overlaps:
        check_fraction("overlaps", overlap, "pass (0.5,)")
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):  # it prints as it goes
        truth = COCO()
        truth.dataset = {
            "images": [{"id": i + 1} for i in range(len(scenes))],
            "categories": [{"id": i + 1} for i in range(len(scenes.classes))],
            "annotations": _records(scenes),
        }
        truth.createIndex()
        guesses = _records(found)
        for record, score in zip(guesses, found.scores.tolist(), strict=True):
            record["score"] = score
        if not guesses:
            return np.where(np.bincount(scenes.labels, minlength=len(scenes.classes)), 0.0, -1.0)[
                None
            ].repeat(len(overlaps), 0)
        evaluation = COCOeval(truth, truth.loadRes(guesses), "bbox")
        evaluation.params.iouThrs = np.array(overlaps)
        evaluation.evaluate()
        evaluation.accumulate()
    values: np.ndarray = evaluation.eval["precision"][:, :, :, 0, 2].mean(1)
    return values


def _records(of: Detections | Scenes) -> list[dict[str, Any]]:
    """Boxes in COCO's form; numbers begin at 1, as an annotation 0 counts as unmatched there."""
    parts = (of.boxes.double().tolist(), of.labels.tolist(), of.rows.tolist())
    return [
        {
            "id": i,
            "image_id": row + 1,
            "category_id": label + 1,
            "bbox": [x0, y0, x1 - x0, y1 - y0],
            "area": (x1 - x0) * (y1 - y0),
            "iscrowd": 0,
        }
        for i, ((x0, y0, x1, y1), label, row) in enumerate(zip(*parts, strict=True), 1)
    ]
