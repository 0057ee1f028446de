"""Losses whose second derivative torch lacks, or has for some modes alone, as arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.utils.rnn import pad_sequence

NEVER = -1e30  # the logarithm of a probability of zero, whose gradient is none


def _reduction(size_average: Any, reduce: Any, reduction: str) -> str:
    if size_average is None and reduce is None:
        return reduction
    return str(torch.nn._reduction.legacy_get_string(size_average, reduce))


def _reduced(each: Tensor, reduction: str, weight: Tensor | None = None) -> Tensor:
    if weight is not None:
        each = each * weight
        if reduction == "mean":
            return each.sum() / weight.expand_as(each).sum()
    if reduction == "none":
        return each
    return each.mean() if reduction == "mean" else each.sum()


def _mse_loss(
    input: Tensor,  # noqa: A002
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    each = (input - target).square()
    return _reduced(each, _reduction(size_average, reduce, reduction), weight)


def _huber_loss(
    input: Tensor,  # noqa: A002
    target: Tensor,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    gap = (input - target).abs()
    near = gap.clamp(max=delta)
    return _reduced(near * (gap - near / 2), reduction, weight)


def _multi_margin_loss(
    input: Tensor,  # noqa: A002
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    rows, own = input.reshape(-1, input.shape[-1]), target.reshape(-1, 1)
    gaps = (margin - rows.gather(1, own) + rows).clamp_min(0) ** p
    other = torch.ones_like(rows).scatter(1, own, 0)
    each = (gaps * other).mean(1)
    if weight is not None:
        each = each * weight[own[:, 0]]
    return _reduced(each.reshape(target.shape), _reduction(size_average, reduce, reduction))


def _soft_margin_loss(
    input: Tensor,  # noqa: A002
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    each = torch.logaddexp(-target * input, torch.zeros_like(input))
    return _reduced(each, _reduction(size_average, reduce, reduction))


def _multilabel_margin_loss(
    input: Tensor,  # noqa: A002
    target: Tensor,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Tensor:
    rows, own = input.reshape(-1, input.shape[-1]), target.reshape(-1, input.shape[-1])
    listed = (own >= 0).cumprod(1).to(rows)  # labels end at the first -1
    places = own.clamp_min(0)
    other = (torch.zeros_like(listed).scatter_add(1, places, listed) == 0).to(rows)
    gaps = (1 - rows.gather(1, places)[:, :, None] + rows[:, None]).clamp_min(0)
    each = (gaps * listed[:, :, None] * other[:, None]).sum((1, 2)) / rows.shape[1]
    return _reduced(each.reshape(input.shape[:-1]), _reduction(size_average, reduce, reduction))


def _ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Tensor | Sequence[int],
    target_lengths: Tensor | Sequence[int],
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """The forward variables of the alignments, in logarithms.

    Source: Graves et al., Connectionist temporal classification, ICML 2006, section 4.1.
    """
    single = log_probs.ndim == 2
    steps = log_probs[:, None] if single else log_probs
    device = steps.device
    lasts = torch.as_tensor(input_lengths, device=device).reshape(-1)
    counts = torch.as_tensor(target_lengths, device=device).reshape(-1)
    labels = targets.reshape(1, -1) if single else targets
    if labels.ndim == 1:  # those of all examples, one after the other
        labels = pad_sequence(list(labels.split(counts.tolist())), batch_first=True)
    labels = labels.to(device).long()
    ext = labels.new_full((len(counts), 2 * labels.shape[1] + 1), blank)
    ext[:, 1::2] = labels
    skips = ext != blank
    skips[:, :2] = False
    skips[:, 2:] &= ext[:, 2:] != ext[:, :-2]
    begun = torch.arange(ext.shape[1], device=device) < 2
    alpha = torch.where(begun, steps[0].gather(1, ext), NEVER)
    for t in range(1, len(steps)):
        one = functional.pad(alpha, (1, 0), value=NEVER)[:, :-1]
        two = torch.where(skips, functional.pad(alpha, (2, 0), value=NEVER)[:, :-2], NEVER)
        moved = torch.stack([alpha, one, two]).logsumexp(0) + steps[t].gather(1, ext)
        alpha = torch.where((t < lasts)[:, None], moved, alpha)
    end = 2 * counts[:, None]
    ends = torch.where(end > 0, alpha.gather(1, (end - 1).clamp_min(0)), NEVER)
    each = -torch.cat([alpha.gather(1, end), ends], 1).logsumexp(1)
    each = torch.where(each < -NEVER / 2, each, 0.0 if zero_infinity else torch.inf)
    if reduction == "mean":
        return (each / counts.clamp_min(1)).mean()
    each = each[0] if single else each
    return each.sum() if reduction == "sum" else each


LOSSES: dict[Any, Any] = {
    functional.mse_loss: _mse_loss,
    functional.huber_loss: _huber_loss,
    functional.multi_margin_loss: _multi_margin_loss,
    functional.soft_margin_loss: _soft_margin_loss,
    functional.multilabel_margin_loss: _multilabel_margin_loss,
    functional.ctc_loss: _ctc_loss,
}
