"""Average precision against COCO's own program, and against cases counted by hand."""

import math

import numpy as np
import pytest
import torch

from nakami.data import Scenes
from nakami.detection import Detections, mean_average_precision, precision_recall


def case(seed, classes=3, pictures=12):
    """Random objects, and detections of which some are right, some moved, some invented."""
    g = torch.Generator().manual_seed(seed)
    n = 30
    low = 60 * torch.rand(n, 2, generator=g)
    boxes = torch.cat([low, low + 12 + 18 * torch.rand(n, 2, generator=g)], 1)
    labels = torch.randint(classes, (n,), generator=g)
    rows = torch.randint(pictures, (n,), generator=g).sort().values
    scenes = Scenes(
        torch.zeros(pictures, 1, 90, 90),
        boxes,
        labels,
        rows,
        torch.arange(n),
        ("",) * n,
        tuple("abc"),
        "made",
    )
    moved = boxes.repeat(2, 1) + 2 * torch.randn(2 * n, 4, generator=g)
    assert (moved[:, 2:] > moved[:, :2]).all()  # COCO leaves out boxes of negative area
    wrong = torch.rand(2 * n, generator=g) < 0.15
    seen = torch.where(wrong, torch.randint(classes, (2 * n,), generator=g), labels.repeat(2))
    keep = torch.rand(2 * n, generator=g) < 0.8
    scores = torch.rand(2 * n, generator=g)
    found = Detections(moved[keep], seen[keep], scores[keep], rows.repeat(2)[keep], pictures)
    return found, scenes


def coco(found, scenes, overlap):
    """COCO's average precision of each class, all sizes, 100 detections a picture."""
    pytest.importorskip("pycocotools", reason="COCO's program comes with the extra detection")
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def boxes(of, **more):
        return [
            {
                "id": i + 1,
                "image_id": int(of.rows[i]) + 1,
                "category_id": int(of.labels[i]) + 1,
                "bbox": [x0, y0, x1 - x0, y1 - y0],
                "area": (x1 - x0) * (y1 - y0),
                "iscrowd": 0,
                **{k: float(v[i]) for k, v in more.items()},
            }
            for i, (x0, y0, x1, y1) in enumerate(of.boxes.double().tolist())
        ]

    truth = COCO()
    truth.dataset = {
        "images": [{"id": i + 1} for i in range(len(scenes))],
        "categories": [{"id": i + 1} for i in range(len(scenes.classes))],
        "annotations": boxes(scenes),
    }
    truth.createIndex()
    evaluation = COCOeval(truth, truth.loadRes(boxes(found, score=found.scores)), "bbox")
    evaluation.params.iouThrs = np.array([overlap])
    evaluation.evaluate()
    evaluation.accumulate()
    return evaluation.eval["precision"][0, :, :, 0, 2].mean(0)  # by recall, class


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("overlap", [0.5, 0.75])
def test_average_precision_is_that_of_coco(seed, overlap):
    found, scenes = case(seed)
    wanted = coco(found, scenes, overlap)
    assert wanted.min() > 0.02
    assert wanted.max() < 0.98
    for label in range(3):
        got = precision_recall(found, scenes, label, overlap).average
        assert got == pytest.approx(wanted[label], abs=1e-12)
    mean = mean_average_precision(found, scenes, overlap)
    assert mean == pytest.approx(wanted.mean(), abs=1e-12)


def made(boxes, labels, rows, scores=None):
    boxes, labels = torch.tensor(boxes).reshape(-1, 4).float(), torch.tensor(labels)
    rows, n = torch.tensor(rows), len(labels)
    if scores is not None:
        return Detections(boxes, labels.long(), torch.tensor(scores), rows.long(), 2)
    empty = torch.zeros(2, 1, 50, 50)
    return Scenes(empty, boxes, labels, rows, torch.arange(n), ("",) * n, ("a", "b"), "made")


A, B = [0.0, 0, 10, 10], [20.0, 20, 30, 30]


def test_precision_and_recall_counted_by_hand():
    scenes = made([A, B, A], [0, 0, 0], [0, 0, 1])
    found = made([A, A, B, B], [0, 0, 0, 1], [0, 0, 0, 1], [0.9, 0.8, 0.7, 0.95])
    curve = precision_recall(found, scenes)  # of class b there is nothing
    assert curve.scores.tolist() == pytest.approx([0.95, 0.9, 0.8, 0.7])
    assert curve.precision.tolist() == pytest.approx([0, 1 / 2, 1 / 3, 1 / 2])
    assert curve.recall.tolist() == pytest.approx([0, 1 / 3, 1 / 3, 2 / 3])
    one = precision_recall(found, scenes, 0)  # A is right, found twice is wrong, B is right
    assert one.precision.tolist() == pytest.approx([1, 1 / 2, 2 / 3])
    assert one.average == pytest.approx((34 * 1 + 33 * 2 / 3) / 101)
    assert mean_average_precision(found, scenes) == one.average  # classes that occur alone


def test_perfect_none_and_empty():
    scenes = made([A, B, A], [0, 1, 1], [0, 0, 1])
    perfect = Detections(scenes.boxes, scenes.labels, torch.ones(3), scenes.rows, 2)
    assert mean_average_precision(perfect, scenes) == pytest.approx(1)
    assert mean_average_precision(perfect.above(2.0), scenes) == 0
    other = Detections(scenes.boxes + 8, scenes.labels, torch.ones(3), scenes.rows, 2)
    assert mean_average_precision(other, scenes) == 0
    assert math.isnan(precision_recall(perfect, made([], [], [])).average)
