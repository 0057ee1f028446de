"""Average precision against COCO's own program, and against cases counted by hand."""

import math
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from nakami.data import Scenes
from nakami.detection import (
    Detections,
    coco_average_precision,
    mean_average_precision,
    mean_average_precision_error,
    precision_recall,
)
from nakami.results import RunError


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


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("overlap", [0.5, 0.75])
def test_average_precision_is_that_of_coco(seed, overlap):
    found, scenes = case(seed)
    pytest.importorskip("pycocotools", reason="COCO's program comes with the extra detection")
    (wanted,) = coco_average_precision(found, scenes, (overlap,))
    assert wanted.min() > 0.02
    assert wanted.max() < 0.98
    for label in range(3):
        got = precision_recall(found, scenes, label, overlap).average
        assert got == pytest.approx(wanted[label], abs=1e-12)
    mean = mean_average_precision(found, scenes, overlap)
    assert mean == pytest.approx(wanted.mean(), abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_scores_that_are_equal_count_by_picture_in_whatever_order_they_come(seed):
    found, scenes = case(seed)
    tied = replace(found, scores=(4 * found.scores).floor() / 4)
    # no two of one picture and class alike, whose order no rule could know
    _, first = np.unique(
        torch.stack([tied.rows, tied.labels, 4 * tied.scores]).numpy(), axis=1, return_index=True
    )
    values, g = [], torch.Generator().manual_seed(seed)
    for _ in range(5):
        order = torch.as_tensor(first)[torch.randperm(len(first), generator=g)]
        part = Detections(
            tied.boxes[order], tied.labels[order], tied.scores[order], tied.rows[order], len(scenes)
        )
        values.append(mean_average_precision(part, scenes))
    assert max(values) == min(values)
    pytest.importorskip("pycocotools", reason="COCO's program comes with the extra detection")
    (wanted,) = coco_average_precision(part, scenes, (0.5,))
    assert values[0] == pytest.approx(float(wanted[wanted >= 0].mean()), abs=1e-12)


def made(boxes, labels, rows, scores=None):
    boxes, labels = torch.tensor(boxes).reshape(-1, 4).float(), torch.tensor(labels)
    rows, n = torch.tensor(rows).long(), len(labels)
    if scores is not None:
        return Detections(boxes, labels.long(), torch.tensor(scores), rows, 2)
    empty = torch.zeros(2, 1, 50, 50)
    return Scenes(empty, boxes, labels.long(), rows, torch.arange(n), ("",) * n, ("a", "b"), "made")


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


def test_coco_is_asked_for_in_a_sentence_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    monkeypatch.setattr("nakami.detection._coco.find_spec", lambda name: None)
    with pytest.raises(RunError, match=r"pip install 'nakami\[detection\]' adds it"):
        coco_average_precision(*case(0))


def test_the_error_is_that_of_drawing_pictures_again():
    """By hand: pictures copied as often as they are drawn, evaluated from the start."""
    found, scenes = case(2)
    g, values = torch.Generator().manual_seed(5), []
    for _ in range(20):
        drawn = torch.randint(12, (12,), generator=g).tolist()
        parts = [[(of.rows == row).nonzero().flatten() for row in drawn] for of in (found, scenes)]
        rows = [torch.cat([torch.full_like(p, i) for i, p in enumerate(part)]) for part in parts]
        one, other = map(torch.cat, parts)
        again = Detections(found.boxes[one], found.labels[one], found.scores[one], rows[0], 12)
        there = replace(
            scenes, boxes=scenes.boxes[other], labels=scenes.labels[other], rows=rows[1]
        )
        values.append(mean_average_precision(again, there))
    error = mean_average_precision_error(found, scenes, draws=20, seed=5)
    assert error == pytest.approx(np.std(values, ddof=1), rel=1e-9)
    assert 0.01 < error < 0.3
    mean = mean_average_precision_error(found, scenes, (0.5, 0.5), draws=20, seed=5)
    assert mean == pytest.approx(error, rel=1e-9)
