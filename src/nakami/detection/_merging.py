"""Greedy merging: the many boxes that windows give of one object become one."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from nakami.results import is_number, wrong

from ._boxes import areas, check_boxes, overlaps

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
    centres = [(boxes[:, :2] + boxes[:, 2:]) / 2 for boxes in (one, other)]
    sizes = [areas(boxes).sqrt() for boxes in (one, other)]
    apart = torch.cdist(centres[0], centres[1], compute_mode="donot_use_mm_for_euclid_dist")
    mean = (sizes[0][:, None] + sizes[1][None]) / 2
    return apart / mean.clamp_min(1e-12) + 1 - overlaps(one, other)


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

    Cost: ``N^3`` comparisons of numbers at most; a second for 1,000 boxes.

    Source: Sermanet et al. 2014, section 4.3.
    """
    check_boxes("boxes", boxes)
    if len(scores) != len(boxes):
        rule = f"be as many as boxes, {len(boxes)}"
        raise wrong("scores", rule, len(scores), "pass a score or a row of scores for each box")
    if not is_number(threshold) or math.isnan(threshold) or threshold < 0:
        raise wrong("threshold", "be a number from 0 on", threshold, "leave it out for 1.0")
    where, sums = boxes.detach().double().cpu().clone(), scores.detach().double().cpu().clone()
    alive, merged = (
        torch.ones(len(where), dtype=torch.bool),
        torch.ones(len(where), dtype=torch.float64),
    )
    pairs = match_scores(where, where).numpy()
    np.fill_diagonal(pairs, np.inf)
    while len(where) > 1:
        i, j = divmod(int(pairs.argmin()), len(where))
        if not pairs[i, j] < threshold:
            break
        share = merged[j] / (merged[i] + merged[j])
        where[i], sums[i] = where[i].lerp(where[j], share), sums[i] + sums[j]
        merged[i], alive[j] = merged[i] + merged[j], False
        pairs[j], pairs[:, j] = np.inf, np.inf
        fresh = match_scores(where[i : i + 1], where)[0].numpy()
        fresh[~alive.numpy()], fresh[i] = np.inf, np.inf
        pairs[i], pairs[:, i] = fresh, fresh
    where, sums = where[alive], sums[alive]
    best = sums if sums.ndim == 1 else sums.amax(1)
    order = best.argsort(descending=True, stable=True)
    return where[order].to(boxes), sums[order].to(scores)
