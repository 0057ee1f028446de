"""Greedy merging against the case it is for, and against the same done by plain loops."""

import math

import pytest
import torch

from nakami.detection import match_scores, merge, overlaps
from nakami.results import UsageError

TWO = torch.tensor([[10.0, 10, 30, 40], [35, 12, 60, 37]], dtype=torch.float64)


def jittered(boxes, n, spread, seed=0):
    g = torch.Generator().manual_seed(seed)
    noise = spread * torch.randn(n, len(boxes), 4, generator=g, dtype=torch.float64)
    return (boxes[None] + noise).flatten(0, 1)


@pytest.mark.parametrize("seed", range(5))
def test_jittered_copies_of_two_boxes_become_two(seed):
    copies = jittered(TWO, 12, 1.5, seed)
    scores = torch.rand(24, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    boxes, sums = merge(copies, scores)
    assert boxes.shape == (2, 4)
    torch.testing.assert_close(sums.sum(0), scores.sum(0))
    nearest = torch.cdist(boxes, TWO).argmin(1)
    assert sorted(nearest.tolist()) == [0, 1]
    assert (boxes - TWO[nearest]).abs().max() < 4 * 1.5 / 12**0.5  # of a mean of 12
    assert sums.amax(1)[0] >= sums.amax(1)[1]
    few, _ = merge(copies, scores, threshold=0.02)  # the check can fail
    assert len(few) > 2


def by_loops(boxes, scores, threshold):
    """The same, one pair at a time, in plain numbers."""

    def score(a, b):
        wide = min(a[2], b[2]) - max(a[0], b[0])
        high = min(a[3], b[3]) - max(a[1], b[1])
        both = max(0, wide) * max(0, high)
        sizes = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
        apart = math.dist(*[((c[0] + c[2]) / 2, (c[1] + c[3]) / 2) for c in (a, b)])
        mean = sum(map(math.sqrt, sizes)) / 2
        return apart / mean + 1 - both / (sum(sizes) - both)

    items = [([b], s) for b, s in zip(boxes.tolist(), scores.tolist(), strict=True)]

    def mean(members):
        return [sum(values) / len(members) for values in zip(*members, strict=True)]

    while len(items) > 1:
        pairs = [(i, j) for i in range(len(items)) for j in range(i)]
        i, j = min(pairs, key=lambda p: score(*(mean(items[k][0]) for k in p)))
        (a, s), (b, t) = items[i], items[j]
        if score(mean(a), mean(b)) >= threshold:
            break
        rest = [item for k, item in enumerate(items) if k not in (i, j)]
        items = [*rest, (a + b, s + t)]
    items.sort(key=lambda item: -item[1])
    return [mean(b) for b, _ in items], [s for _, s in items]


def test_merging_equals_plain_loops():
    g = torch.Generator().manual_seed(3)
    corners = 25 * torch.rand(30, 2, generator=g, dtype=torch.float64)
    sides = 8 + 20 * torch.rand(30, 2, generator=g, dtype=torch.float64)
    boxes, scores = torch.cat([corners, corners + sides], 1), torch.rand(30, generator=g).double()
    for threshold in (0.5, 0.8, 1.0):
        found, sums = merge(boxes, scores, threshold)
        wanted, totals = by_loops(boxes, scores, threshold)
        assert 1 < len(wanted) < 30
        torch.testing.assert_close(found, torch.tensor(wanted, dtype=torch.float64))
        torch.testing.assert_close(sums, torch.tensor(totals, dtype=torch.float64))


def test_merging_leaves_boxes_apart_alone_and_takes_none():
    boxes, sums = merge(TWO.float(), torch.tensor([1.0, 2.0]))
    assert torch.equal(boxes, TWO.float().flip(0))
    assert sums.tolist() == [2, 1]
    boxes, sums = merge(torch.zeros(0, 4), torch.zeros(0, 5))
    assert boxes.shape == (0, 4)
    assert sums.shape == (0, 5)


def test_overlaps_and_match_scores_of_known_boxes():
    a = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 5], [20, 20, 30, 30], [5, 0, 15, 10]])
    assert overlaps(a[:1], a)[0].tolist() == pytest.approx([1, 0.5, 0, 1 / 3])
    scores = match_scores(a[:1], a)[0]
    assert scores[0] == 0
    assert scores[2] == pytest.approx(1 + 2**0.5 * 2, rel=1e-6)
    assert scores[3] == pytest.approx(0.5 + 2 / 3, rel=1e-6)
    moved = 7 * a + 3  # no unit, no origin
    torch.testing.assert_close(match_scores(moved, moved), match_scores(a, a))


def test_overlaps_count_pixels():
    """Against masks on a grid, for boxes with whole corners."""
    g = torch.Generator().manual_seed(0)
    low = torch.randint(0, 12, (20, 2), generator=g)
    boxes = torch.cat([low, low + torch.randint(1, 9, (20, 2), generator=g)], 1)
    masks = torch.zeros(20, 20, 20)
    for i, (x0, y0, x1, y1) in enumerate(boxes.tolist()):
        masks[i, y0:y1, x0:x1] = 1
    both = torch.einsum("ahw,bhw->ab", masks, masks)
    either = masks.sum((1, 2))[:, None] + masks.sum((1, 2))[None] - both
    torch.testing.assert_close(overlaps(boxes.float(), boxes.float()), both / either)


def test_wrong_arguments_are_refused():
    with pytest.raises(UsageError, match=r"boxes must be a tensor of boxes \(N, 4\)"):
        merge(torch.zeros(3, 5), torch.zeros(3))
    with pytest.raises(UsageError, match="scores must be as many as boxes, 2"):
        merge(TWO, torch.zeros(3))
    with pytest.raises(UsageError, match="threshold must be a number from 0 on"):
        merge(TWO, torch.zeros(2), -1)
    with pytest.raises(UsageError, match="boxes must be finite"):
        merge(TWO * float("nan"), torch.zeros(2))
    with pytest.raises(UsageError, match="scores must be finite"):
        merge(TWO, torch.full((2,), float("inf")))
