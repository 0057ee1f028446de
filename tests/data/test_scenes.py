"""Scenes against what can be seen in them: boxes by the pixels that differ from the background."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from nakami import data
from nakami.results import UsageError

DIGITS = data.objects_of(data.digits("test")[:50])


def differing(picture, ground):
    """The box of all pixels of a picture that differ visibly from the background alone."""
    rows, columns = ((picture - ground).abs() > 0.02).any(0).nonzero().T
    return [int(e) for e in (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)]


@pytest.mark.parametrize("side", [14, 28, 41])
def test_a_box_holds_what_was_pasted_and_hardly_more(side):
    black = torch.zeros(1, 1, 60, 60)
    made = data.scenes(
        DIGITS, 20, size=(60, 60), count=(1, 1), sides=(side, side), backgrounds=black
    )
    for row in range(20):
        (box,), _ = made.within(row)
        seen = differing(made.pictures[row], black[0])
        assert max(box[2] - box[0], box[3] - box[1]) == side
        assert (torch.tensor(seen) - box).abs().max() <= max(1, side / 14)  # faint edges


def test_the_same_seed_gives_the_same_scenes_and_leaves_the_global_generator():
    before = torch.get_rng_state()
    one, again, other = (data.scenes(DIGITS, 6, seed=seed) for seed in (3, 3, 4))
    assert torch.equal(before, torch.get_rng_state())
    for name in ("pictures", "boxes", "labels", "rows", "tracks"):
        assert torch.equal(getattr(one, name), getattr(again, name))
    assert not torch.equal(one.pictures, other.pictures)
    assert one.pictures.min() >= 0
    assert one.pictures.max() <= 1


def test_counts_sizes_classes_and_overlaps_are_those_asked_for():
    made = data.scenes(DIGITS, 60, size=(80, 100), count=(2, 2), sides=(10, 20))
    assert made.pictures.shape == (60, 1, 80, 100)
    assert torch.bincount(made.rows).tolist() == [2] * 60
    width, height = (made.boxes[:, i + 2] - made.boxes[:, i] for i in (0, 1))
    longer = torch.maximum(width, height)
    assert 10 <= longer.min() <= 12
    assert 18 <= longer.max() <= 20
    assert (made.boxes >= 0).all()
    assert (made.boxes <= torch.tensor([100, 80, 100, 80])).all()
    assert [made.classes[i] for i in made.labels.tolist()] == list(made.names)
    for row in range(60):
        boxes = made.within(row)[0].tolist()
        assert min(boxes[0][2], boxes[1][2]) <= max(boxes[0][0], boxes[1][0]) or (
            min(boxes[0][3], boxes[1][3]) <= max(boxes[0][1], boxes[1][1])
        )


def test_classes_of_a_label_look_like_it():
    """A digit that fills a black scene is that digit, up to the loss of scaling."""
    black = torch.zeros(1, 1, 28, 28)
    examples = data.digits("test")[:50]
    made = data.scenes(DIGITS, 30, size=(28, 28), count=(1, 1), sides=(20, 20), backgrounds=black)
    for row, label in enumerate(made.labels.tolist()):
        left, top, right, bottom = made.boxes[row].int().tolist()
        cut = made.pictures[row, 0, top:bottom, left:right]
        likeness = []
        for i in range(50):
            colours, opacity = DIGITS.cut(i)
            other = (colours * opacity)[0]
            if other.shape == cut.shape:
                likeness.append((float((other - cut / cut.max()).abs().mean()), i))
        assert int(examples.labels[min(likeness)[1]]) == label


def test_a_film_moves_each_object_straight_on_within_the_picture():
    made = data.film(DIGITS, 30, count=5, speed=(2, 3), seed=1)
    assert len(made) == 30
    assert set(made.tracks.tolist()) == set(range(5))
    for track in range(5):
        own = made.tracks == track
        frames, boxes = made.rows[own], made.boxes[own]
        assert (frames.diff() == 1).all()
        assert len(frames) >= 15
        assert len(made.labels[own].unique()) == 1
        assert boxes.min() >= 0
        assert boxes.max() <= 96
        step = boxes[1:, :2] - boxes[:-1, :2]
        assert step.norm(dim=1).max() <= 3 + 2**0.5  # places are whole pixels
        if len(step) > 2:  # straight: on most frames the same step but for rounding
            turns = (step[1:] - step[:-1]).abs().amax(1)
            assert (turns <= 1).float().mean() > 0.6


def test_shapes_cover_their_areas():
    areas = {"square": 0.64, "circle": 0.9 * np.pi / 4, "triangle": 0.32, "diamond": 0.95**2 / 2}
    areas["equilateral"] = 3**0.5 / 4 * (1.35 * 2 / 3**0.5) ** 2 / 4
    for kind, area in areas.items():
        made = data.shapes(1, (kind,), size=40)
        assert float(made.opacity.mean()) == pytest.approx(area, abs=0.01)
        turned = data.shapes(1, (kind,), size=40, turn=20, seed=1)
        assert float(turned.opacity.mean()) == pytest.approx(area, abs=0.02)


def test_shapes_are_stretched_along_either_axis_and_keep_their_kinds():
    made = data.shapes(60, ("square", "circle"), stretch=3, size=40, seed=2)
    assert torch.equal(made.labels, data.shapes(60, ("square", "circle"), seed=2).labels)
    share = made.opacity.mean((1, 2, 3)) / torch.tensor([0.64, 0.9 * np.pi / 4])[made.labels]
    assert share.min() > 1 / 3 - 0.02
    assert share.max() < 1.02
    assert share.max() / share.min() > 2
    tall = [
        [int(made.opacity[i, 0].amax(axis).ge(0.5).sum()) for axis in (0, 1)] for i in range(60)
    ]
    assert {w > h for w, h in tall} == {True, False}


def test_shapes_have_colours_and_names():
    made = data.shapes(40, ("square", "cross"), colours=("red", "blue"))
    assert made.pictures.shape == (40, 3, 28, 28)
    assert set(made.names) == {"red square", "blue square", "red cross", "blue cross"}
    for i, name in enumerate(made.names):
        colour, kind = name.split()
        assert made.classes[made.labels[i]] == kind
        middle = made.pictures[i, :, 14, 14]
        assert int(middle.argmax()) == {"red": 0, "blue": 2}[colour]
    assert set(data.scenes(made, 5).pictures.shape) == {5, 3, 96}


def test_backgrounds_come_from_a_folder(tmp_path):
    pillow = pytest.importorskip("PIL.Image")
    for i, value in enumerate((60, 180)):
        pillow.fromarray(np.full((120, 150), value, np.uint8)).save(tmp_path / f"{i}.png")
    made = data.scenes(DIGITS, 12, count=(0, 0), backgrounds=tmp_path)
    values = {round(255 * float(v)) for v in made.pictures.flatten().unique()}
    assert values == {60, 180}
    assert made.boxes.shape == (0, 4)


def test_opaque_pictures_are_pasted_whole():
    examples = data.digits("test")[:3]
    full = data.objects_of(examples, opacity="full")
    colours, opacity = full.cut(0)
    assert colours.shape == (1, 28, 28)
    assert (opacity == 1).all()
    assert torch.equal(colours, examples.inputs[0])


REFUSED = [
    (lambda: data.scenes(DIGITS, 0), r"n must be a whole number from 1 on"),
    (lambda: data.scenes(DIGITS, 1, count=(3, 1)), r"count must be the fewest and the most"),
    (lambda: data.scenes(DIGITS, 1, sides=(10, 200)), r"sides must be the least and the greatest"),
    (lambda: data.scenes(DIGITS, 1, count=(1, 2.5)), r"count must be the fewest and the most"),
    (lambda: data.scenes(DIGITS, 1, count=2), r"count must be the fewest and the most"),
    (lambda: data.scenes(DIGITS, 1, sides="large"), r"sides must be the least and the greatest"),
    (lambda: data.scenes(DIGITS, 1, size=96), r"size must be height and width in pixels"),
    (lambda: data.scenes(DIGITS, 1, overlap=float("nan")), r"overlap must be a number from 0 to 1"),
    (lambda: data.film(DIGITS, 2, speed=(4, 1)), r"speed must be the least and the greatest way"),
    (lambda: data.film(DIGITS, 2, speed=(0, float("inf"))), r"speed must be the least and the gr"),
    (
        lambda: data.scenes(DIGITS, 1, backgrounds=torch.full((1, 1, 96, 96), 255.0)),
        r"backgrounds must be pictures in 0\.\.1, got 255 to 255; pass pictures / 255 for bytes",
    ),
    (
        lambda: data.scenes(DIGITS, 1, backgrounds=torch.full((1, 1, 96, 96), torch.nan)),
        r"backgrounds must be pictures in 0\.\.1, got nan to nan",
    ),
    (
        lambda: data.scenes(DIGITS, 1, backgrounds=torch.zeros(0, 1, 96, 96)),
        r"backgrounds must be pictures in 0\.\.1, got none",
    ),
    (lambda: data.scenes(DIGITS, 1, backgrounds=7), r"backgrounds must be a path, got 7; pass pic"),
    (lambda: data.scenes(data.digits(), 1), r"objects must be Objects, one or more, got Examples"),
    (lambda: data.objects_of(torch.rand(2, 1, 8, 8)), r"examples must be Examples, got Tensor"),
    (lambda: data.shapes(3, colours=()), r"colours must name one colour or more, got none"),
    (lambda: data.shapes(3, turn=float("nan")), r"turn must be a number of degrees from 0 to 360"),
    (lambda: data.objects_of(data.digits()[:0]), r"examples must hold pictures"),
    (
        lambda: data.objects_of(replace(data.digits()[:30], classes=("0", "1"))),
        r"examples must have labels from 0 to 1, got 0 to 9; leave the others out",
    ),
    (lambda: data.shapes(3, stretch=0.5), r"stretch must be a number from 1 to 8, got 0.5"),
    (lambda: data.shapes(3, ("sqare",)), r"kinds 'sqare' is unknown"),
    (lambda: data.shapes(3, None), r"kinds must be a sequence of names, got NoneType; write"),
    (lambda: data.shapes(3, ()), r"kinds must name one kind or more"),
    (lambda: data.shapes(3, colours=("rde",)), r"colours 'rde' is unknown"),
    (lambda: data.objects_of(data.digits(flat=True)), r"examples must hold pictures"),
    (
        lambda: data.scenes(DIGITS, 1, backgrounds=torch.zeros(1, 3, 96, 96)),
        r"backgrounds must be pictures \(B, 1, H, W\)",
    ),
    (lambda: data.objects_of(data.digits(), opacity="half"), r"opacity must be one of"),
]


@pytest.mark.parametrize(("call", "sentence"), REFUSED)
def test_wrong_arguments_are_refused(call, sentence):
    with pytest.raises(UsageError, match=sentence):
        call()
