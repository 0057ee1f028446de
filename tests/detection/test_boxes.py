"""What a detector has found: refused where it cannot be, and joined over groups of pictures."""

import pytest
import torch

from nakami import data
from nakami.detection import (
    Detections,
    coco_average_precision,
    has_coco,
    mean_average_precision,
    overlaps,
    right_ones,
    tracking_scores,
)
from nakami.results import UsageError

BOX = torch.tensor([[1.0, 2, 5, 8], [0, 0, 3, 3]])


def found(boxes=BOX, labels=(0, 1), scores=(0.5, 0.9), rows=(1, 0), pictures=2):
    return Detections(
        boxes, torch.tensor(labels), torch.tensor(scores), torch.tensor(rows), pictures
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"boxes": BOX[:, :3]}, r"boxes must be a tensor of boxes \(N, 4\), got \(2, 3\)"),
        ({"boxes": BOX / 0}, "boxes must be finite, got NaN or infinity"),
        ({"labels": (0,)}, r"labels must be a tensor of a number for each of the boxes, \(2,\)"),
        ({"scores": (0.5, float("nan"))}, "scores must be finite, got NaN or infinity"),
        ({"rows": (0, 2)}, r"rows must number the pictures, 0 to 1, got 0 to 2; raise pictures"),
        ({"rows": (-1, 0)}, r"rows must number the pictures, 0 to 1, got -1 to 0"),
    ],
)
def test_what_no_detector_can_have_found_is_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        found(**wrong)


def test_groups_of_pictures_are_joined_as_one():
    whole = Detections.joined([found(), found(rows=(2, 0), pictures=3), found().above(2.0)])
    assert (len(whole), whole.pictures) == (4, 7)
    assert whole.rows.tolist() == [1, 0, 4, 2]
    assert torch.equal(whole.boxes, BOX.repeat(2, 1))
    assert whole.labels.tolist() == [0, 1, 0, 1]


def test_scenes_of_another_number_and_no_overlap_are_refused():
    scenes = data.scenes(data.shapes(5), 3)
    calls = [right_ones, mean_average_precision]
    calls += [coco_average_precision] if has_coco() else []
    calls += [lambda some, of: tracking_scores(some, torch.tensor([0, 1]), of)]
    for call in calls:
        with pytest.raises(UsageError, match=r"found must be of as many pictures as .* 3, got 2"):
            call(found(), scenes)
    for overlap in (0, -1, 1.5):
        with pytest.raises(UsageError, match="overlap must lie between 0 and 1"):
            mean_average_precision(found(pictures=3), scenes, overlap)


def test_overlaps_of_what_is_no_number_are_refused():
    with pytest.raises(UsageError, match="other must be finite"):
        overlaps(BOX, torch.full((1, 4), float("nan")))
