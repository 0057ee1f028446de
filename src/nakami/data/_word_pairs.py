"""Pairs of words near each other in a text."""

from __future__ import annotations

import torch
from torch import Tensor

from nakami.results import check_at_least, check_seed, is_number, wrong


def word_pairs(
    ids: Tensor,
    window: int = 5,
    *,
    threshold: float | None = None,
    end: int | None = None,
    dynamic: bool = True,
    seed: int = 0,
) -> tuple[Tensor, Tensor]:
    """Words with the words around them, as skip-gram learns them.

    Each word of the text is a centre; around it are those at most ``b`` words away on both sides,
    ``b`` drawn from 1 to ``window`` for each centre, so that a distance ``d`` counts with weight
    ``(window - d + 1) / window``.

    Args:
        ids: The text as numbers, ``(n,)``, as ``data.Text.ids``.
        window: Words on each side at most.
        threshold: Share of the text above which a word is thinned out: one of share ``f`` is kept
            with the chance ``(sqrt(f / t) + 1) t / f``, as word2vec's program does. Words left out
            do not count in windows. None: all are kept; 1e-3 to 1e-5 is usual.
        end: A number that ends a sentence: no pair goes over it, and it is no word.
        dynamic: Whether ``b`` is drawn; else it is ``window``.
        seed: Of the draws.

    Returns:
        Numbers of centres and of words around, ``(pairs,)`` int64 each, by distance.

    Raises:
        UsageError: What is no text of whole numbers, or no pair at all.

    Cost: ``window`` passes over the text; memory of the pairs.
    """
    if not isinstance(ids, Tensor) or ids.ndim != 1 or ids.is_floating_point() or ids.is_complex():
        got = f"{ids.dtype} {tuple(ids.shape)}" if isinstance(ids, Tensor) else type(ids).__name__
        raise wrong("ids", "be a tensor of whole numbers, (n,)", got, "pass data.Text.of(...).ids")
    window = check_at_least("window", window, 1, "pass window=5")
    if threshold is not None and not (is_number(threshold) and threshold > 0):
        raise wrong("threshold", "be a share above 0", threshold, "pass 1e-3, or leave it out")
    source = torch.Generator().manual_seed(check_seed(seed))
    found = pairs_near(ids.long().cpu(), window, threshold, end, dynamic, source)
    if not len(found[0]):
        if threshold is not None:
            got, way_out = f"{threshold:g}", "pass 1e-3, or leave it out"
            raise wrong("threshold", "leave words beside each other", got, way_out)
        raise wrong("ids", "hold words beside each other", f"{len(ids)} words", "pass a text")
    return found


def pairs_near(
    ids: Tensor,
    window: int,
    threshold: float | None,
    end: int | None,
    dynamic: bool,
    source: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """As ``word_pairs``, without checks; there may be none."""
    ends = ids == end if end is not None else torch.zeros(len(ids), dtype=torch.bool)
    sentence, ids = ends.cumsum(0)[~ends], ids[~ends]
    if threshold is not None and len(ids):
        chances = chances_kept(torch.bincount(ids), threshold)
        kept = torch.rand(len(ids), generator=source) < chances[ids]
        sentence, ids = sentence[kept], ids[kept]
    reach = torch.full((len(ids),), window)
    if dynamic:
        reach = torch.randint(1, window + 1, (len(ids),), generator=source)
    centres, around = [ids[:0]], [ids[:0]]
    for distance in range(1, min(window, len(ids) - 1) + 1):
        left, right = slice(None, -distance), slice(distance, None)
        one = sentence[left] == sentence[right]
        for centre, other in ((left, right), (right, left)):
            near = one & (reach[centre] >= distance)
            centres.append(ids[centre][near])
            around.append(ids[other][near])
    return torch.cat(centres), torch.cat(around)


def chances_kept(counts: Tensor, threshold: float) -> Tensor:
    """Of each kind of word to be kept where frequent ones are thinned out, ``(kinds,)`` float64."""
    ratio = threshold / (counts.double() / counts.sum())
    return ratio.sqrt() + ratio
