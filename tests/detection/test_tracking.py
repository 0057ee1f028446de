"""Tracks on films whose objects are known, and their scores by hand and by all permutations."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
import torch

from nakami import data
from nakami.detection import Detections, TrackingScores, link, overlaps, tracking_scores
from nakami.results import UsageError

SHAPES = data.shapes(30, ("square", "circle"))


def seen(film, drop=0.0, jitter=0.0, seed=0):
    """The boxes of a film as a detector would give them: some missing, moved, in any order."""
    g = torch.Generator().manual_seed(seed)
    keep = torch.rand(len(film.boxes), generator=g) >= drop
    rows = keep.nonzero().flatten()
    rows = rows[torch.randperm(len(rows), generator=g)]
    boxes = film.boxes[rows] + jitter * torch.randn(len(rows), 4, generator=g)
    found = Detections(boxes, film.labels[rows], torch.ones(len(rows)), film.rows[rows], len(film))
    return found, film.tracks[rows]


def apart(film):
    """Whether no two objects of a film ever overlap."""
    for row in range(len(film)):
        boxes = film.within(row)[0]
        if len(boxes) > 1 and overlaps(boxes, boxes).triu(1).max() > 0:
            return False
    return True


FILMS = [data.film(SHAPES, 20, count=2, size=(120, 120), speed=(1, 1.5), seed=s) for s in range(12)]


def test_objects_that_stay_apart_have_a_track_each():
    good = [(seed, film) for seed, film in enumerate(FILMS) if apart(film)]
    assert len(good) > 5
    for seed, film in good:
        followed(seed, film)


def followed(seed, film):
    found, true = seen(film, drop=0.1, jitter=0.3, seed=seed)
    tracks = link(found, overlap=0.1, patience=4)
    pairs = set(zip(tracks.tolist(), true.tolist(), strict=True))
    assert len(pairs) == len(set(true.tolist())) == len(set(tracks.tolist()))
    scores = tracking_scores(found, tracks, film)
    assert scores.switches == 0
    assert scores.false_alarms == 0
    assert scores.misses == len(film.boxes) - len(found)


def test_a_track_ends_after_its_patience_and_others_begin():
    box = torch.tensor([[10.0, 10, 20, 20]])
    rows = torch.tensor([0, 1, 4, 8])
    found = Detections(box.repeat(4, 1), rows, torch.ones(4), rows, 9)
    assert link(found, patience=2).tolist() == [0, 0, 0, 1]
    assert link(found, patience=1).tolist() == [0, 0, 1, 2]
    assert link(found, patience=3).tolist() == [0, 0, 0, 0]
    far = replace(found, boxes=box.repeat(4, 1) + 8 * torch.arange(4)[:, None])
    assert link(far, patience=9).tolist() == [0, 1, 2, 3]


def test_the_assignment_is_the_best_one_not_the_greedy_one():
    """Two boxes move right by half their width: the greedy match of the nearest would cross."""
    before = torch.tensor([[0.0, 0, 10, 10], [6, 0, 16, 10]])
    found = Detections(
        torch.cat([before, before + torch.tensor([4.0, 0, 4, 0])]),
        torch.zeros(4).long(), torch.ones(4), torch.tensor([0, 0, 1, 1]), 2,
    )  # fmt: skip
    assert link(found, overlap=0.2).tolist() == [0, 1, 0, 1]


def by_permutations(found, tracks, film, overlap):
    """The most boxes that are right when each object has one track, by trying all."""
    names, objects = sorted(set(tracks.tolist())), sorted(set(film.tracks.tolist()))
    wide = max(len(names), len(objects))
    counts = np.zeros((wide, wide), int)
    for i in range(len(found)):
        for j in range(len(film.boxes)):
            if found.rows[i] == film.rows[j]:
                one = overlaps(found.boxes[i : i + 1], film.boxes[j : j + 1])
                if float(one) >= overlap:
                    a, b = objects.index(int(film.tracks[j])), names.index(int(tracks[i]))
                    counts[a, b] += 1
    return max(sum(counts[i, p[i]] for i in range(wide)) for p in permutations(range(wide)))


@pytest.mark.parametrize("seed", range(6))
def test_idf1_is_the_best_of_all_assignments(seed):
    film = data.film(SHAPES, 8, count=3, size=(50, 50), sides=(14, 20), seed=seed)
    found, _ = seen(film, drop=0.2, jitter=1.0, seed=seed)
    tracks, g = torch.zeros(len(found), dtype=torch.long), torch.Generator().manual_seed(seed)
    for row in range(8):
        own = found.rows == row
        tracks[own] = torch.randperm(4, generator=g)[: int(own.sum())]
    scores = tracking_scores(found, tracks, film)
    wanted = by_permutations(found, tracks, film, 0.5)
    assert 0 < wanted < len(found)
    assert scores.shared == wanted
    assert scores.idf1 == 2 * wanted / (len(found) + len(film.boxes))


def test_misses_false_alarms_and_switches_counted_by_hand():
    a, b = [0.0, 0, 10, 10], [30.0, 30, 40, 40]
    film = data.Scenes(
        torch.zeros(4, 1, 50, 50),
        torch.tensor([a, b, a, b, a, a]),
        torch.zeros(6).long(),
        torch.tensor([0, 0, 1, 1, 2, 3]),
        torch.tensor([7, 9, 7, 9, 7, 7]),
        ("",) * 6,
        ("x",),
        "made",
    )
    boxes = torch.tensor([a, b, a, a, a, [20.0, 0, 30, 10]])
    rows = torch.tensor([0, 0, 1, 2, 3, 3])
    found = Detections(boxes, torch.zeros(6).long(), torch.ones(6), rows, 4)
    tracks = torch.tensor([1, 2, 1, 5, 5, 1])  # a is followed by 1, 1, 5, 5; b is missed once
    scores = tracking_scores(found, tracks, film)
    assert scores == TrackingScores(6, 6, 1, 1, 1, 3)
    assert scores.mota == pytest.approx(1 - 3 / 6)
    assert scores.idf1 == pytest.approx(2 * 3 / 12)
    both = replace(found, boxes=torch.cat([boxes, boxes[4:5]]), rows=torch.cat([rows, rows[4:5]]),
                   labels=torch.zeros(7).long(), scores=torch.ones(7))  # fmt: skip
    kept = tracking_scores(both, torch.tensor([1, 2, 1, 5, 5, 1, 4]), film)
    assert (kept.switches, kept.false_alarms) == (1, 2)  # a keeps 5 where 4 fits as well


def test_a_track_that_goes_over_to_another_object_is_counted_once():
    """a is followed by 1; then a is gone and b is followed by it; then both stand there."""
    box = [0.0, 0, 10, 10]
    film = data.Scenes(
        torch.zeros(3, 1, 20, 20),
        torch.tensor([box, box, box, box]),
        torch.zeros(4).long(),
        torch.tensor([0, 1, 2, 2]),
        torch.tensor([0, 1, 0, 1]),
        ("",) * 4,
        ("x",),
        "made",
    )
    boxes, rows = torch.tensor([box] * 3), torch.arange(3)
    found = Detections(boxes, torch.zeros(3).long(), torch.ones(3), rows, 3)
    scores = tracking_scores(found, torch.ones(3).long(), film)
    assert (scores.misses, scores.false_alarms, scores.switches) == (1, 0, 0)
    assert scores.mota == pytest.approx(1 - 1 / 4)
    more = Detections(  # and a further track for a, which it is followed by from then on
        boxes[[0, 1, 2, 2]], torch.zeros(4).long(), torch.ones(4), torch.tensor([0, 1, 2, 2]), 3
    )
    scores = tracking_scores(more, torch.tensor([1, 1, 1, 2]), film)
    assert (scores.misses, scores.false_alarms, scores.switches) == (0, 0, 1)


def test_perfect_and_empty():
    film = data.film(SHAPES, 10, count=3, seed=2)
    found, true = seen(film)
    scores = tracking_scores(found, true, film)
    assert (scores.mota, scores.idf1) == (1, 1)
    nothing = found.above(2.0)
    scores = tracking_scores(nothing, link(nothing), film)
    assert (scores.mota, scores.idf1) == (0, 0)
    with pytest.raises(UsageError, match="tracks must be a number for each of the"):
        tracking_scores(found, true[:3], film)
    with pytest.raises(UsageError, match="tracks must have one box in a frame at most"):
        tracking_scores(found, torch.zeros_like(true), film)
    with pytest.raises(UsageError, match="patience must be a whole number from 0 on"):
        link(found, patience=-1)
