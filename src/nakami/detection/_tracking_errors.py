"""How sure tracking scores are, by leaving out parts of a film."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, replace
from itertools import pairwise

import numpy as np
from torch import Tensor

from nakami.data import Scenes
from nakami.results import check_at_least, wrong

from ._boxes import Detections
from ._tracking import TrackingScores, tracking_scores


def tracking_errors(
    found: Detections, tracks: Tensor, film: Scenes, overlap: float = 0.5, *, parts: int = 10
) -> tuple[float, float]:
    """Standard errors of ``mota`` and ``idf1`` over parts of a film: each is left out in turn.

    They say how sure the scores of this film are; another film, with other objects, may differ by
    more.

    Args:
        found: As for ``tracking_scores``.
        tracks: Likewise.
        film: Likewise, of two frames or more.
        overlap: Likewise.
        parts: Of about equal length, from 2 on; a shorter film has a part for each frame.

    Returns:
        In the units of the scores; NaN where nothing is there or found.

    Source: the delete-one jackknife, Efron & Tibshirani 1993, ch. 11.
    """
    parts = min(check_at_least("parts", parts, 2, "pass parts=10"), len(film))
    if parts < 2:
        raise wrong("film", "have two frames or more", len(film), "pass a longer film")
    ends = np.linspace(0, len(film), parts + 1).round().astype(int).tolist()
    scores = [_of_part(found, tracks, film, overlap, *both) for both in pairwise(ends)]
    rest = [_sum([*scores[:i], *scores[i + 1 :]]) for i in range(parts)]
    return _jackknife([each.mota for each in rest]), _jackknife([each.idf1 for each in rest])


def _of_part(
    found: Detections, tracks: Tensor, film: Scenes, overlap: float, first: int, end: int
) -> TrackingScores:
    """The scores of the frames from ``first`` to before ``end`` alone."""
    own, there = ((of.rows >= first) & (of.rows < end) for of in (found, film))
    seen = Detections(
        found.boxes[own], found.labels[own], found.scores[own], found.rows[own] - first, end - first
    )
    part = replace(
        film,
        pictures=film.pictures[first:end],
        boxes=film.boxes[there],
        labels=film.labels[there],
        rows=film.rows[there] - first,
        tracks=film.tracks[there],
        names=tuple(film.names[i] for i in there.nonzero().flatten().tolist()),
    )
    return tracking_scores(seen, tracks[own], part, overlap)


def _sum(scores: Sequence[TrackingScores]) -> TrackingScores:
    """Counts of all together."""
    return TrackingScores(*np.sum([astuple(each) for each in scores], 0).tolist())


def _jackknife(values: Sequence[float]) -> float:
    """The standard error, from the values with each part left out."""
    return float(np.std(values) * (len(values) - 1) ** 0.5)
