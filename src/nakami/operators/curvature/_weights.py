"""How a loss of the caller's own weighs the parts of its data, measured on the outputs alone."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from ...results import UsageError
from ..model._example import leaves_of, mapped, some_rows
from ._pieces import Part, Piece, common_entries, rows


def weights(loss: Any, whole: Part, pieces: Sequence[Piece]) -> list[float] | None:
    """``w`` with ``loss(whole) = sum_p w_p loss(piece_p)``, all 1 for a sum; None where none is.

    Read from the gradients by the outputs, which are ``w_p`` times those of the piece alone, and
    checked by the values; a piece that the whole does not look at (padding) has weight 0. It is
    tried twice near the outputs, drawn towards zero, so that probabilities stay some. None for
    losses that compare examples (contrastive ones, a rank, a median).
    """
    try:
        with warnings.catch_warnings():  # of pieces as the caller never makes them
            warnings.simplefilter("ignore")
            return _tried(loss, whole, pieces)
    except UsageError:
        raise
    except Exception:  # it takes no other number of examples
        return None


def some_weights(loss: Any, whole: Part, pieces: Sequence[Piece]) -> list[float] | None:
    """As ``weights``, of pieces which all count; None where one has no value of its own."""
    found = weights(loss, whole, pieces)
    return None if found is None or min(found) == 0 else found


def between(
    loss: Any, batches: Sequence[Part], counts: Sequence[int]
) -> tuple[bool, list[float], bool]:
    """Whether a loss is a sum, what each batch counts in its mean, and whether all are measured.

    Batches of other lengths are compared where both have entries, see ``_lengths``. Those that fit
    together in no way, or by a loss that compares examples, count their examples.

    Args:
        loss: ``loss(outputs, targets)``.
        batches: Outputs and targets.
        counts: The examples of each.
    """
    first = batches[0]
    half = len(first[0]) // 2 if first[0].ndim else 0
    sums = getattr(loss, "reduction", None) == "sum"
    if half:
        count = len(first[0])
        places = (slice(half), slice(half, count))
        cut = [rows(here, some_rows(first[1], here, count)) for here in places]
        sums = sums or _ones(some_weights(loss, first, cut))
    shares, measured = [float(counts[0])], True
    for batch, count in zip(batches[1:], counts[1:], strict=True):
        found = _pair(loss, first, batch)
        sums = sums or _ones(found)
        if found is None:
            found = _of_other_lengths(loss, first, batch)
        measured = measured and found is not None
        shares.append(count if found is None else counts[0] * found[1] / found[0])
    return sums, shares, measured or sums


def _pair(loss: Any, first: Part, batch: Part) -> list[float] | None:
    """The weights of two batches in both together."""
    pair = [first, batch]
    both = joined(pair)
    if both is None:
        return None
    here = slices_of([len(z) for z, _ in pair])
    return some_weights(loss, both, [rows(at, y) for at, (_, y) in zip(here, pair, strict=True)])


def _of_other_lengths(loss: Any, first: Part, batch: Part) -> list[float] | None:
    """The same of batches of other lengths, but for a common factor."""
    for common in common_entries(first, batch):
        pair = [common.part(first), common.part(batch)]
        found = _pair(loss, *pair)
        if found is None:
            continue
        shares = []
        for whole, w in zip((first, batch), found, strict=True):
            pieces = common.pieces(whole)
            uncut = len(pieces) == 1  # a mean of each sequence shows itself where some are padded
            own = weights(loss, whole, common.halved().pieces(whole) if uncut else pieces)
            if own is None or (own[0] == 0 and not uncut):
                break
            shares.append(w if uncut else w / own[0])
        else:
            return shares
    return None


def _ones(found: list[float] | None) -> bool:
    return found is not None and all(abs(w - 1) < 1e-3 for w in found)


def slices_of(sizes: Sequence[int]) -> list[slice]:
    """Places one behind the other, of these sizes."""
    ends = list(accumulate(sizes))
    return [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]


def joined(parts: Sequence[Part]) -> Part | None:
    """All parts as one, along axis 0; None where they do not fit together."""
    if any(z.ndim == 0 for z, _ in parts):  # a loss that the network makes
        return None
    leaves = [leaves_of(y) for _, y in parts]
    counts = [len(z) for z, _ in parts]
    shapes = [
        [z.shape[1:], *(leaf.shape[1:] for leaf in of)]
        for (z, _), of in zip(parts, leaves, strict=True)
    ]
    if any(s != shapes[0] for s in shapes) or not all(
        leaf.ndim and len(leaf) == n for of, n in zip(leaves, counts, strict=True) for leaf in of
    ):
        return None
    rest = iter([torch.cat(same) for same in zip(*leaves, strict=True)])
    return torch.cat([z for z, _ in parts]), mapped(parts[0][1], lambda _: next(rest))


def _tried(loss: Any, whole: Part, pieces: Sequence[Piece]) -> list[float] | None:
    generator = torch.Generator().manual_seed(0)
    found: list[list[float]] = []
    for pull in (0.1, 0.3):
        scale = 1 - pull * torch.rand(whole[0].shape, generator=generator, dtype=torch.float64)
        at = whole[0] * scale.to(whole[0])
        here = _weights(loss, (at, whole[1]), pieces)
        if here is None:
            return None
        found.append(here)
    near = torch.finfo(whole[0].dtype).eps ** 0.5
    alike = all(abs(a - b) <= 10 * near * abs(a) for a, b in zip(*found, strict=True))
    return found[0] if alike else None


def _weights(loss: Any, whole: Part, pieces: Sequence[Piece]) -> list[float] | None:
    value, gradient = _value_and_gradient(loss, whole)
    near = torch.finfo(gradient.dtype).eps ** 0.5
    found, total, size, parted = [], 0.0, 0.0, 0.0
    for take, y in pieces:
        share = take(gradient)
        if not share.any():
            found.append(0.0)
            continue
        own, alone = _value_and_gradient(loss, (take(whole[0]), y))
        norm = float(alone.square().sum())
        if not 0 < norm < float("inf"):
            return None
        w = float((share * alone).sum()) / norm
        if w <= 0:
            return None
        found.append(w)
        total, size = total + w * own, size + abs(w * own)
        parted += float((share - w * alone).square().sum())
    apart = parted**0.5 > near * float(gradient.norm())
    return None if apart or not abs(value - total) <= near * size else found


def _value_and_gradient(loss: Any, part: Part) -> tuple[float, Tensor]:
    z = part[0].detach().requires_grad_()
    with torch.enable_grad():
        value = loss(z, part[1])
        (gradient,) = torch.autograd.grad(value, z)
    return float(value.detach()), gradient
