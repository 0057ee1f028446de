"""Greedy merging: the many boxes that windows give of one object become one."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from nakami.results import is_number, wrong

from ._boxes import check_boxes

SMALL = 1e-12
THRESHOLD = 1.0  # of two boxes side by side; those of one object lie below


def match_scores(one: Tensor, other: Tensor) -> Tensor:
    """How badly boxes match: 0 for equal ones, ``(N, 4), (M, 4) -> (N, M)``.

    The distance of their centres, in units of the mean of both sizes (roots of areas), plus one
    minus their overlap.

    Args:
        one: Left, top, right and bottom.
        other: Likewise.

    Source: Sermanet et al. 2014, section 4.3, which names both parts and no formula.
    """
    arrays = (
        check_boxes(name, b).detach().double().cpu() for name, b in (("one", one), ("other", other))
    )
    rows, others = (array.numpy() for array in arrays)
    return torch.from_numpy(_scores(rows[:, None], others[None])).to(one)


def merge(boxes: Tensor, scores: Tensor, threshold: float = THRESHOLD) -> tuple[Tensor, Tensor]:
    """Boxes of the same object made one.

    Again and again the two boxes of the smallest match score become one, with the averages of their
    coordinates and the sum of their scores, until no match score is below the threshold. The
    average is that of all boxes merged so far: a mean of two means would give the last box to come
    half of the weight.

    Args:
        boxes: ``(N, 4)``.
        scores: ``(N,)``, or ``(N, classes)``, what is known of each.
        threshold: Of ``match_scores``. Boxes that do not overlap have 1 at least.

    Returns:
        Boxes and scores that are left, those of the largest score first.

    Cost: ``N^2`` match scores and memory.

    Source: Sermanet et al. 2014, section 4.3.
    """
    check_boxes("boxes", boxes)
    if len(scores) != len(boxes):
        rule = f"be as many as boxes, {len(boxes)}"
        raise wrong("scores", rule, len(scores), "pass a score or a row of scores for each box")
    check_threshold(threshold)
    if not scores.isfinite().all():
        raise wrong("scores", "be finite", "NaN or infinity", "leave those boxes out")
    where, sums = (part.detach().double().cpu().numpy().copy() for part in (boxes, scores))
    left = _merged(where, sums, float(threshold)) if len(where) > 1 else slice(None)
    where, sums = where[left], sums[left]
    best = sums if sums.ndim == 1 else sums.max(1)
    order = np.argsort(-best, kind="stable")
    return torch.from_numpy(where[order]).to(boxes), torch.from_numpy(sums[order]).to(scores)


def check_threshold(threshold: float) -> None:
    """Refuse what is no bound of match scores."""
    if not is_number(threshold) or math.isnan(threshold) or threshold < 0:
        raise wrong("threshold", "be a number from 0 on", threshold, "leave it out for 1.0")


def _merged(where: np.ndarray, sums: np.ndarray, threshold: float) -> np.ndarray:
    """Which boxes are left; they and their sums are changed in place.

    Of each box its nearest is known, so that a merger costs a row of match scores, and another one
    for each box whose nearest it was.
    """
    alive, merged = np.ones(len(where), dtype=bool), np.ones(len(where))
    pairs = _scores(where[:, None], where[None])
    np.fill_diagonal(pairs, np.inf)
    nearest, least = pairs.argmin(1), pairs.min(1)
    while least.min() < threshold:
        i = int(least.argmin())
        j = int(nearest[i])
        share = merged[j] / (merged[i] + merged[j])
        where[i] += share * (where[j] - where[i])
        sums[i] += sums[j]
        merged[i], alive[j] = merged[i] + merged[j], False
        row = np.where(alive, _scores(where[i], where), np.inf)
        row[i] = np.inf
        pairs[i], pairs[:, i], pairs[j], pairs[:, j] = row, row, np.inf, np.inf
        stale = (nearest == i) | (nearest == j)
        stale[i] = True
        nearest[stale], least[stale] = pairs[stale].argmin(1), pairs[stale].min(1)
        closer = row < least
        nearest[closer], least[closer] = i, row[closer]
        least[j] = np.inf
    return alive


def _scores(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Match scores of boxes ``(..., 4)``, broadcast."""
    sides = np.maximum(
        np.minimum(one[..., 2:], other[..., 2:]) - np.maximum(one[..., :2], other[..., :2]), 0
    )
    shared = sides[..., 0] * sides[..., 1]
    areas = [np.maximum(b[..., 2:] - b[..., :2], 0).prod(-1) for b in (one, other)]
    centres = [b[..., :2] + b[..., 2:] for b in (one, other)]
    apart = np.linalg.norm(centres[0] - centres[1], axis=-1) / 2
    mean = (np.sqrt(areas[0]) + np.sqrt(areas[1])) / 2
    overlap = shared / np.maximum(areas[0] + areas[1] - shared, SMALL)
    scores: np.ndarray = apart / np.maximum(mean, SMALL) + 1 - overlap
    return scores
