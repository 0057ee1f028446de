"""The best prediction that does not look at the inputs: what any network must beat."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ._batches import Batch
from ._criterion import Criterion
from ._own_loss import ModelsLoss

ENOUGH = 10  # examples for each number that is fitted
STEPS = 50
RAREST = 1e-6  # frequency that stands for 0 in a logarithm


@dataclass(frozen=True)
class Seen:
    """What a loss was given of a batch: zeros of the outputs' shape, and targets."""

    judged: Criterion
    z: Tensor
    y: Any


def constant_loss(parts: Sequence[Batch | Seen], divisor: float) -> float | None:
    """The least loss of one output for all examples of these batches; None where it is not known.

    For cross-entropy the entropy of the frequencies of the classes, which positions share, by one
    gradient of the loss by the outputs; for squares and the Bernoulli loss that of the targets'
    means; for others what LBFGS finds from 0. Outputs have a number each where there are ten
    examples for it, else one for each entry of the last axis.
    """
    first = parts[0]
    if isinstance(first.judged, ModelsLoss) or first.z.ndim == 0:
        return None
    if first.judged.key == "cross_entropy":
        return _of_classes(parts) / divisor
    if first.judged.key and first.judged.nll is not None:
        return _of_means(parts) / divisor
    found = _searched(parts, divisor)
    return None if found is None else found[0]


def constant_output(parts: Sequence[Batch | Seen]) -> Tensor | None:
    """The output for all examples that has this loss, to be expanded to each ``z``, or None."""
    first = parts[0]
    if isinstance(first.judged, ModelsLoss) or first.z.ndim == 0 or first.z.is_complex():
        return None
    if first.judged.key == "cross_entropy":
        frequencies = _frequencies(parts)[1]
        shape = (1, -1, *(1,) * (first.z.ndim - 2))
        return frequencies.clamp_min(RAREST).log().reshape(shape).to(first.z)
    if first.judged.key and first.judged.nll is not None:
        means = _means(parts)
        if first.judged.key != "mse":
            means = means.clamp(RAREST, 1 - RAREST).logit()
        return means.to(first.z)
    found = _searched(parts, 1.0)
    return None if found is None else found[1]


def _searched(parts: Sequence[Batch | Seen], divisor: float) -> tuple[float, Tensor] | None:
    """Loss and output by a search from 0; None where it found none."""
    first, shape = parts[0], _shape(parts)
    constant = torch.zeros(shape, dtype=torch.float64, device=first.z.device, requires_grad=True)
    search = torch.optim.LBFGS(
        [constant], max_iter=STEPS, tolerance_grad=1e-9, line_search_fn="strong_wolfe"
    )

    def total() -> Tensor:
        search.zero_grad()
        value = torch.zeros((), dtype=torch.float64, device=constant.device)
        for part in parts:
            z = constant.to(part.z.dtype).expand(part.z.shape)
            value = value + part.judged.total(z, part.y).double() / divisor
        value.backward()
        return value.detach()

    try:
        with torch.enable_grad():
            search.step(total)
            found = float(total())
    except Exception:
        if first.judged.key:
            raise
        return None  # a loss of the caller's own may ask more of outputs than numbers
    return (found, constant.detach()) if math.isfinite(found) else None


def _of_classes(parts: Sequence[Batch | Seen]) -> float:
    """The least total of cross-entropy: with the sum ``A`` it is ``- A sum_k p_k log p_k``."""
    total, frequencies = _frequencies(parts)
    return float(torch.special.entr(frequencies).sum()) * total if len(frequencies) > 1 else total


def _frequencies(parts: Sequence[Batch | Seen]) -> tuple[float, Tensor]:
    """The sum ``A`` of what each class has, ``a_k``, and ``p = a / A``, by one gradient.

    The ``a_k`` hold targets, weights and smoothing; the total is ``- sum_k a_k log p_k``, least at
    ``p = a / A``. Where all logits are 0 it is ``A log C`` and its slope ``A / C - a``.
    """
    whole, slopes = 0.0, torch.zeros((), dtype=torch.float64)
    for part in parts:
        zero = torch.zeros_like(part.z)
        whole += float(part.judged.total(zero, part.y))
        slope = part.judged.slope(zero, part.y).double().transpose(0, 1).flatten(1)
        slopes = slopes + slope.sum(1).cpu()
    classes = len(slopes)
    if classes == 1:
        return whole, torch.ones(1, dtype=torch.float64)
    total = whole / math.log(classes)
    return total, (total / classes - slopes).clamp_min(0) / total


def _of_means(parts: Sequence[Batch | Seen]) -> float:
    """The least total of squares, or of the plain Bernoulli loss: it is at the targets' means."""
    means, y = _means(parts), [part.y.double() for part in parts]
    if parts[0].judged.key == "mse":
        return float(sum((each - means).square().sum() for each in y))
    entropies = torch.special.entr(means) + torch.special.entr(1 - means)
    return float(sum((torch.zeros_like(each) + entropies).sum() for each in y))


def _means(parts: Sequence[Batch | Seen]) -> Tensor:
    """Of the targets, with ones along the axes that share a mean."""
    shape = _shape(parts)

    def over(values: Tensor) -> Tensor:
        return values.sum([i for i, n in enumerate(shape) if n == 1], keepdim=True)

    y = [part.y.double() for part in parts]
    whole, counts = y[0].new_zeros(()), y[0].new_zeros(())
    for each in y:
        whole, counts = whole + over(each), counts + over(torch.ones_like(each))
    return whole / counts


def _shape(parts: Sequence[Batch | Seen]) -> tuple[int, ...]:
    """Of the constant, with ones along the axes that share it."""
    z = parts[0].z
    inner = tuple(z.shape[1:])
    ones = (1,) * len(inner)
    examples = sum(len(part.z) for part in parts)
    alike = all(part.z.shape[1:] == z.shape[1:] for part in parts)
    if alike and math.prod(inner) * ENOUGH <= examples:
        return (1, *inner)
    return (1, *ones[:-1], *inner[-1:])
