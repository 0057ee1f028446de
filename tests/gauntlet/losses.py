"""Losses of many kinds, each with what it is over several batches, in plain torch."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional


def huber(z, y):
    return functional.huber_loss(z, y)


def huber_sum(z, y):
    return functional.huber_loss(z, y, reduction="sum")


def padded(z, y):
    """A mean over targets that are not -1."""
    return functional.cross_entropy(z, y, ignore_index=-1)


def contrastive(z, y):
    """Rows against rows."""
    flat = functional.normalize(z.flatten(1), dim=1)
    return functional.cross_entropy(flat @ flat.T / 0.5 + y, torch.arange(len(z)).roll(1))


def worst_half(z, y):
    """A mean over the half of the rows with the largest errors."""
    each = (z - y).square().flatten(1).mean(1)
    return each.topk(-(-len(z) // 2)).values.mean()


def spread(z, y):
    """Has a term of its own that is no mean over rows."""
    return (z - y).square().mean() + z.flatten(1).var(0).sum()


def divergence(z, y):
    return functional.kl_div(z.log_softmax(1), y.softmax(1), reduction="batchmean")


def gaussian(out, y):
    mean, log = out
    return (log + (y - mean).square() * (-log).exp()).mean() / 2


# Targets: ``(z, rows, form, generator)``.


def numbers(z, rows=None, form="values", gen=None):
    gen = gen or torch.Generator().manual_seed(1)
    z = z[0] if isinstance(z, tuple) else z
    return torch.randn(z.shape, generator=gen, dtype=z.dtype)


def fractions(z, rows, form, gen):
    return torch.rand(z.shape, generator=gen, dtype=z.dtype)


def counts(z, rows, form, gen):
    return torch.randint(0, 4, z.shape, generator=gen).to(z.dtype)


def probabilities(z, rows, form, gen):
    return numbers(z, rows, form, gen).softmax(1)


def zeros(z, rows=None, form="values", gen=None):
    return torch.zeros(len(z), 1, dtype=z.dtype)


def labels(padding=0, value=-1):
    """Classes, of which the first are left out."""

    def made(z, rows=None, form="values", gen=None):
        gen = gen or torch.Generator().manual_seed(1)
        axis = -1 if form in ("last", "flat") else 1
        shape = [*z.shape]
        kinds = shape.pop(axis)
        if form == "flat":
            shape = [rows, len(z) // rows]
        y = torch.randint(0, kinds, shape, generator=gen)
        y.view(-1)[:padding] = value
        return y

    return made


def classes(z, padding=0):
    y = labels()(z)
    if padding:
        y[:padding] = -1
    return y


def nothing(z, rows, form, gen):
    return None


# Totals over batches: ``(outputs of each, targets of each, form)``.


def by_position(outs, ys, form):
    """All logits ``(samples, classes)`` and all classes."""
    last = form in ("last", "flat")
    rows = [(z if last else z.movedim(1, -1)).reshape(-1, 3) for z in outs]
    return torch.cat(rows), torch.cat([y.reshape(-1) for y in ys])


def over_positions(loss):
    return lambda outs, ys, form: loss(*by_position(outs, ys, form))


def over_probabilities(loss):
    def total(outs, ys, form):
        rows = [torch.cat([a.movedim(1, -1).reshape(-1, 3) for a in some]) for some in (outs, ys)]
        return loss(*rows)

    return total


def over_numbers(loss):
    def total(outs, ys, form):
        z, y = (torch.cat([a.reshape(-1) for a in some]) for some in (outs, ys))
        return loss(z, y)

    return total


def over_all(loss, counts=torch.Tensor.numel):
    """As if all were one batch; those of other lengths by what a mean divides by, ``counts``."""

    def total(outs, ys, form):
        if isinstance(outs[0], tuple):
            parts = [torch.cat(leaves) for leaves in zip(*outs, strict=True)]
            return loss(tuple(parts), torch.cat(ys))
        if all(z.shape[1:] == outs[0].shape[1:] for z in outs):
            return loss(torch.cat(outs), torch.cat(ys))
        each = [loss(z, y) for z, y in zip(outs, ys, strict=True)]
        return mean(each, [counts(z) for z in outs]) if counts else sum(each)

    return total


def apart(loss):
    """A loss that compares rows: the mean over batches, by their rows."""

    def total(outs, ys, form):
        each = [loss(z, y) for z, y in zip(outs, ys, strict=True)]
        return mean(each, [len(z) for z in outs])

    return total


def mean(values, counts):
    return sum(n * value for n, value in zip(counts, values, strict=True)) / sum(counts)


def made_by_the_model(outs, ys, form):
    return mean([out["loss"] for out in outs], [len(out["logits"]) for out in outs])


# Negative log-likelihoods of each sample.


def each_position(ignored):
    def each(outs, ys, form):
        z, y = by_position(outs, ys, form)
        return functional.cross_entropy(z[y != ignored], y[y != ignored], reduction="none")

    return each


def each_row(loss):
    def each(outs, ys, form):
        return torch.cat(
            [loss(z, y).flatten(1).sum(1) for z, y in zip(outs, ys, strict=True)]
        )  # fmt: skip

    return each


def half_square(z, y):
    return (z - y).square() / 2


def bernoulli(z, y):
    return functional.binary_cross_entropy_with_logits(z, y, reduction="none")


def each_soft(outs, ys, form):
    both = zip(outs, ys, strict=True)
    return torch.cat([-(y * z.log_softmax(1)).sum(1).reshape(-1) for z, y in both])


class Loss(NamedTuple):
    """A loss.

    Args:
        given: What a reading takes.
        targets: Makes targets of ``(outputs, rows, form, generator)``.
        total: The loss over several batches, of ``(outputs, targets, form)``.
        each: Negative log-likelihoods of single samples, where it is a plain one.
        forms: The forms of outputs that it is for.
    """

    given: Any
    targets: Callable[..., Any]
    total: Callable[..., torch.Tensor]
    each: Callable[..., torch.Tensor] | None = None
    forms: tuple[str, ...] = ("values", "steps", "last")


ALL, FIRST = ("values", "steps", "last", "flat"), ("values", "steps")
WEIGHTED = nn.CrossEntropyLoss(torch.tensor([1.0, 2, 3]).double(), ignore_index=-1, reduction="sum")
SMOOTHED = nn.CrossEntropyLoss(label_smoothing=0.1)
CROSS = nn.CrossEntropyLoss()
BCE_WEIGHTED = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(2.0).double())
SMOOTH_SUM = nn.SmoothL1Loss(reduction="sum")

LOSSES = {
    "cross-entropy": Loss(CROSS, labels(1, -100), over_positions(CROSS), each_position(-100), ALL),
    "cross-entropy, by name": Loss(
        "cross_entropy", labels(), over_positions(CROSS), each_position(-100), ALL
    ),
    "cross-entropy, padded, weighted, sum": Loss(
        WEIGHTED, labels(1), over_positions(WEIGHTED), None, ALL
    ),
    "cross-entropy, smoothed": Loss(SMOOTHED, labels(), over_positions(SMOOTHED), None, ALL),
    "cross-entropy of probabilities": Loss(
        CROSS, probabilities, over_probabilities(CROSS), each_soft, FIRST
    ),
    "negative log-likelihood": Loss(
        nn.NLLLoss(), labels(), over_positions(nn.NLLLoss()), None, FIRST
    ),
    "squared error": Loss(
        nn.MSELoss(), numbers, over_numbers(nn.MSELoss()), each_row(half_square)
    ),
    "squared error, sum": Loss(
        nn.MSELoss(reduction="sum"), numbers, over_numbers(nn.MSELoss(reduction="sum")),
        each_row(half_square),
    ),
    "Bernoulli": Loss(
        "bce_with_logits", fractions, over_numbers(nn.BCEWithLogitsLoss()), each_row(bernoulli)
    ),
    "Bernoulli, weighted": Loss(BCE_WEIGHTED, fractions, over_numbers(BCE_WEIGHTED)),
    "Poisson": Loss(nn.PoissonNLLLoss(), counts, over_numbers(nn.PoissonNLLLoss())),
    "own mean": Loss(huber, numbers, over_all(huber)),
    "own sum": Loss(huber_sum, numbers, over_all(huber_sum, None)),
    "own mean, padded": Loss(padded, labels(1), over_positions(padded), None, FIRST),
    "module, sum": Loss(SMOOTH_SUM, numbers, over_all(SMOOTH_SUM, None)),
    "divergence": Loss(divergence, numbers, over_all(divergence, len), None, FIRST),
    "contrastive": Loss(contrastive, zeros, apart(contrastive)),
    "worst half": Loss(worst_half, numbers, apart(worst_half)),
    "spread": Loss(spread, numbers, apart(spread)),
    "of two outputs": Loss(gaussian, numbers, over_all(gaussian), None, ("heads",)),
    "made by the model": Loss(None, nothing, made_by_the_model, None, ("own",)),
}  # fmt: skip
