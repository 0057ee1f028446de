"""How a loss of the caller's own weighs the parts of its data, measured on the outputs alone."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ...results import UsageError
from ..model._checks import FAILURES
from ..model._example import leaves_of, mapped, some_rows

Part = tuple[Tensor, Any]  # outputs and targets


def weights(loss: Any, whole: Part, parts: Sequence[Part]) -> list[float] | None:
    """``w`` with ``loss(whole) = sum_p w_p loss(part_p)``, all 1 for a sum; None where none is.

    Read from the gradients by the outputs, which are ``w_p > 0`` times those of the part alone, and
    checked by the values. It is tried twice near the outputs, drawn towards zero, so that
    probabilities stay some. None for losses that compare examples (contrastive ones, a rank, a
    median) or look at some alone (the last), and where a part alone has no value (a mean over no
    targets).
    """
    try:
        with warnings.catch_warnings():  # of parts as the caller never makes them
            warnings.simplefilter("ignore")
            return _tried(loss, whole, parts)
    except UsageError:
        raise
    except (*FAILURES, ValueError, IndexError):  # it takes no other number of examples
        return None


def _tried(loss: Any, whole: Part, parts: Sequence[Part]) -> list[float] | None:
    generator = torch.Generator().manual_seed(0)
    found: list[list[float]] = []
    for pull in (0.1, 0.3):
        scale = 1 - pull * torch.rand(whole[0].shape, generator=generator, dtype=torch.float64)
        at = whole[0] * scale.to(whole[0])
        starts = at.split([len(z) for z, _ in parts])
        here = _weights(
            loss, (at, whole[1]), [(z, y) for z, (_, y) in zip(starts, parts, strict=True)]
        )
        if here is None:
            return None
        found.append(here)
    near = torch.finfo(whole[0].dtype).eps ** 0.5
    alike = all(abs(a - b) <= 10 * near * abs(a) for a, b in zip(*found, strict=True))
    return found[0] if alike else None


def between(loss: Any, batches: Sequence[Part], counts: Sequence[int]) -> tuple[bool, list[float]]:
    """Whether a loss is a sum, and what each batch counts in its mean, by their outputs.

    By the number of examples where batches do not fit together, or the loss compares examples.
    """
    first = batches[0]
    half = len(first[0]) // 2 if first[0].ndim else 0
    sums = getattr(loss, "reduction", None) == "sum"
    if half:
        count = len(first[0])
        cut = [some_rows(first, here, count) for here in (slice(half), slice(half, count))]
        sums = sums or _ones(weights(loss, first, cut))
    shares = [float(counts[0])]
    for batch, count in zip(batches[1:], counts[1:], strict=True):
        pair = [first, batch]
        both = joined(pair)
        found = None if both is None else weights(loss, both, pair)
        sums = sums or _ones(found)
        shares.append(count if found is None else counts[0] * found[1] / found[0])
    return sums, shares


def _ones(found: list[float] | None) -> bool:
    return found is not None and all(abs(w - 1) < 1e-3 for w in found)


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


def _weights(loss: Any, whole: Part, parts: Sequence[Part]) -> list[float] | None:
    value, gradient = _value_and_gradient(loss, whole)
    near = torch.finfo(gradient.dtype).eps ** 0.5
    found, total, size, parted = [], 0.0, 0.0, 0.0
    for part, share in zip(parts, gradient.split([len(z) for z, _ in parts]), strict=True):
        own, alone = _value_and_gradient(loss, part)
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
