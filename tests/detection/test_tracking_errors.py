"""Errors of tracking scores against the spread over many films of one kind."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from nakami import data
from nakami.detection import Detections, tracking_errors, tracking_scores
from nakami.results import UsageError

SHAPES = data.shapes(30, ("square", "circle"))
FILM = data.film(SHAPES, 24, count=2, size=(80, 80), seed=1)


def seen(drop, seed=0):
    """The film's boxes, each missed with this chance, on the tracks of their objects."""
    g = torch.Generator().manual_seed(seed)
    kept = (torch.rand(len(FILM.boxes), generator=g) >= drop).nonzero().flatten()
    parts = FILM.boxes[kept], FILM.labels[kept], torch.ones(len(kept)), FILM.rows[kept]
    return Detections(*parts, len(FILM)), FILM.tracks[kept]


def test_the_errors_are_the_spread_over_films_with_other_misses():
    films = [seen(0.4, seed) for seed in range(60)]
    scores = [tracking_scores(*each, FILM) for each in films]
    errors = np.array([tracking_errors(*each, FILM, parts=8) for each in films[:12]])
    spread = np.std([[s.mota, s.idf1] for s in scores], axis=0, ddof=1)
    assert errors.mean(0) == pytest.approx(spread, rel=0.25)
    assert spread[0] == pytest.approx((0.4 * 0.6 / len(FILM.boxes)) ** 0.5, rel=0.25)


def test_parts_are_the_film_cut():
    """Two parts: each left out in turn leaves the other, whose score is counted by hand."""
    found, tracks = seen(0.5, 3)
    half, n = FILM.rows < 12, len(FILM.boxes)
    there = torch.tensor([int(half.sum()), n - int(half.sum())])
    kept = torch.tensor([int((found.rows < 12).sum()), int((found.rows >= 12).sum())])
    motas = (kept / there).tolist()  # 1 - misses / objects
    assert tracking_errors(found, tracks, FILM, parts=2)[0] == pytest.approx(
        abs(motas[0] - motas[1]) / 2
    )


def test_a_film_without_faults_has_no_spread_and_one_of_a_frame_is_refused():
    assert tracking_errors(*seen(0.0), FILM) == (0.0, 0.0)
    one = replace(
        FILM, pictures=FILM.pictures[:1], boxes=FILM.boxes[:0], labels=FILM.labels[:0],
        rows=FILM.rows[:0], tracks=FILM.tracks[:0], names=(),
    )  # fmt: skip
    none = Detections(torch.zeros(0, 4), one.labels, torch.zeros(0), one.rows, 1)
    with pytest.raises(UsageError, match="film must have two frames or more, got 1"):
        tracking_errors(none, one.tracks, one)
    with pytest.raises(UsageError, match="parts must be a whole number from 2 on, got 1"):
        tracking_errors(*seen(0.0), FILM, parts=1)
