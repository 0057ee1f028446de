"""Boxes of the same object linked over the frames of a film, and how well that went."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from nakami.data import Scenes
from nakami.results import check_at_least, check_fraction, wrong

from ._boxes import Detections, overlaps


@dataclass(frozen=True)
class TrackingScores:
    """How well tracks follow the objects of a film.

    Attributes:
        objects: Boxes that are there, over all frames. found: boxes of tracks.
        misses: Boxes that are there and have no track. false_alarms: boxes of tracks where nothing
            is. switches: times that an object is followed by another track than before.
        shared: Boxes that are right when each object has one track for the whole film, at best.
    """

    objects: int
    found: int
    misses: int
    false_alarms: int
    switches: int
    shared: int

    @property
    def mota(self) -> float:
        """``1 - (misses + false alarms + switches) / objects``; at most 1, may be negative."""
        if not self.objects:
            return float("nan")
        return 1 - (self.misses + self.false_alarms + self.switches) / self.objects

    @property
    def idf1(self) -> float:
        """``2 shared / (objects + found)``, in 0..1."""
        total = self.objects + self.found
        return 2 * self.shared / total if total else float("nan")


def link(found: Detections, overlap: float = 0.3, patience: int = 2) -> Tensor:
    """A number for each detection: the same for those of one object over the frames of a film.

    From frame to frame the assignment of boxes to tracks with the greatest sum of overlaps; a pair
    of less than ``overlap`` is none. A box without a track begins one; a track without a box for
    more than ``patience`` frames ends. Classes play no part.

    Args:
        found: Its ``rows`` are frames in order.
        overlap: Least intersection over union with the track's last box, above 0.
        patience: Frames that a track may be without a box.

    Returns:
        ``(M,)`` int64, tracks numbered in order of their first box.
    """
    check_fraction("overlap", overlap, "pass 0.3")
    patience = check_at_least("patience", patience, 0, "pass 2")
    tracks, known = torch.full((len(found),), -1), 0
    last = dict[int, tuple[int, Tensor]]()  # of each living track the frame and the box
    for frame in range(found.pictures):
        own = (found.rows == frame).nonzero().flatten()
        last = {k: v for k, v in last.items() if frame - v[0] <= patience + 1}
        numbers = list(last)
        if numbers and len(own):
            shared = overlaps(torch.stack([last[k][1] for k in numbers]), found.boxes[own])
            for k, i in _assigned(shared.double().numpy(), overlap):
                tracks[own[i]] = numbers[k]
        for i in own.tolist():
            if tracks[i] < 0:
                tracks[i], known = known, known + 1
            last[int(tracks[i])] = (frame, found.boxes[i])
    return tracks


def _assigned(shared: np.ndarray, least: float) -> list[tuple[int, int]]:
    """Pairs of the assignment with the greatest sum, among those of ``least`` or more."""
    worth = np.where(shared >= least, shared, 0.0)
    pairs = zip(*linear_sum_assignment(worth, maximize=True), strict=True)
    return [(int(i), int(j)) for i, j in pairs if worth[i, j] > 0]


def _matched(shared: np.ndarray, last: list[int], least: float) -> list[tuple[int, int]]:
    """Rows with their ``last`` columns, -1 for none, where they share enough; others assigned."""
    kept = [(i, j) for i, j in enumerate(last) if j >= 0 and shared[i, j] >= least]
    rest = shared.copy()
    for i, j in kept:
        rest[i], rest[:, j] = 0.0, 0.0
    return kept + _assigned(rest, least)


def tracking_scores(
    found: Detections, tracks: Tensor, film: Scenes, overlap: float = 0.5
) -> TrackingScores:
    """Misses, false alarms and switches of tracks on a film, classes left out.

    In each frame an object keeps the track of its last match while they overlap enough and no other
    object has been matched to it since; the others are assigned with the greatest sum of overlaps.

    Args:
        found: In the frames of ``film``.
        tracks: ``(M,)``, a number for each of ``found``, as ``link`` gives them.
        film: What there is; its ``tracks`` are the objects.
        overlap: Least intersection over union of a match, above 0.

    Source: Bernardin & Stiefelhagen 2008 (MOTA); Ristani et al. 2016 (IDF1).
    """
    check_fraction("overlap", overlap, "pass 0.5")
    found.check_of(film)
    if len(tracks) != len(found):
        rule = f"be a number for each of the {len(found)} detections"
        raise wrong("tracks", rule, len(tracks), "pass link(found)")
    each = torch.stack([found.rows, tracks], 1)
    if len(each.unique(dim=0)) != len(each):
        rule = "have one box in a frame at most"
        raise wrong("tracks", rule, "two", "pass link(found)")
    before, owner = dict[int, int](), dict[int, int]()  # an object's last track, and a track's
    switches = matched = 0
    names, objects = tracks.unique(), film.tracks.unique()
    together = np.zeros((len(objects), len(names)))
    for frame in range(len(film)):
        there, own = ((of.rows == frame).nonzero().flatten() for of in (film, found))
        shared = overlaps(film.boxes[there].double(), found.boxes[own].double()).numpy()
        rows = torch.searchsorted(objects, film.tracks[there]).tolist()
        columns = torch.searchsorted(names, tracks[own]).tolist()
        together[np.ix_(rows, columns)] += shared >= overlap
        own_tracks = [t if owner.get(t := before.get(r, -1)) == r else -1 for r in rows]
        last = [columns.index(t) if t in columns else -1 for t in own_tracks]
        for i, j in _matched(shared, last, overlap):
            switches += before.get(rows[i], columns[j]) != columns[j]
            before[rows[i]], owner[columns[j]] = columns[j], rows[i]
            matched += 1
    best = linear_sum_assignment(together, maximize=True)
    return TrackingScores(
        objects=len(film.boxes),
        found=len(found),
        misses=len(film.boxes) - matched,
        false_alarms=len(found) - matched,
        switches=switches,
        shared=int(together[best].sum()),
    )
