"""Batches of other lengths: a mean over tokens counts tokens, as one batch of all would."""

from typing import NamedTuple

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.testing import assert_close

import nakami
from gauntlet import Reference

CLASSES = 3


class Out(NamedTuple):
    logits: torch.Tensor
    state: torch.Tensor


class Tokens(nn.Module):
    """``(n, T)`` tokens to logits ``(n, classes, T)``; in the form asked for."""

    def __init__(self, form=None):
        super().__init__()
        self.table, self.out, self.form = nn.Embedding(7, 4), nn.Linear(4, CLASSES), form

    def forward(self, x):
        h = torch.tanh(self.table(x))
        z = self.out(h).movedim(-1, 1)
        return z if self.form is None else self.form(z, h)


def made(form=None, left=False):
    """Three batches; the second and the third are padded with -1."""
    torch.manual_seed(0)
    model, sizes = Tokens(form).double(), ((2, 6), (3, 5), (2, 4))
    data = [(torch.randint(0, 7, s), torch.randint(0, CLASSES, s)) for s in sizes]
    for _, y in data[1:]:
        (y.flip(1) if left else y)[0, 2:] = -1
        if left:
            y[0, :2] = -1
    return model, data


def padded(z, y):
    return functional.cross_entropy(z, y, ignore_index=-1)


def weighted(z, y):
    weight = torch.tensor([1.0, 2, 4], dtype=z.dtype)
    return functional.cross_entropy(z, y, weight=weight, ignore_index=-1)


def of_logits(out, y):
    return padded(out.logits, y)


def of_keys(out, y):
    return padded(out["u"][0], y)


def by_sequence(z, y):
    """A mean over sequences of the mean of each: no mean over tokens."""
    each = functional.cross_entropy(z, y, ignore_index=-1, reduction="none")
    return (each.sum(1) / (y >= 0).sum(1)).mean()


def last(z, y):
    return functional.cross_entropy(z[..., -1], y[:, -1])


def together(model, data, loss, share=None):
    """The Hessian of all tokens: the mean of those of the batches, by what each counts."""
    reference = Reference(model)
    counts = [float(share(y)) for _, y in data]
    parts = [n * reference.hessian(x, y, loss) for (x, y), n in zip(data, counts, strict=True)]
    values = [n * reference.value(x, y, loss) for (x, y), n in zip(data, counts, strict=True)]
    return sum(parts) / sum(counts), sum(values) / sum(counts)


def tokens(y):
    return (y >= 0).sum()


CASES = {
    "own": (None, padded, tokens),
    "torch's function": (None, functional.cross_entropy, lambda y: y.numel()),
    "torch's module, named": (None, nn.CrossEntropyLoss(ignore_index=-1), tokens),
    "own, weighted": (None, weighted, lambda y: (2.0**y * (y >= 0)).sum()),
    "several outputs": (Out, of_logits, tokens),
    "nested outputs": (lambda z, h: {"u": [z, 3], "v": h[:, :1].mean((1, 2))}, of_keys, tokens),
    "last token": (None, last, len),
}


@pytest.mark.parametrize("case", CASES)
def test_batches_count_what_the_loss_counts(case):
    form, loss, share = CASES[case]
    model, data = made(form)
    if loss in (functional.cross_entropy, last):
        data = [(x, y.clamp_min(0)) for x, y in data]
    wanted, value = together(model, data, loss, share)
    op = nakami.hessian(model, data, loss)
    assert op.value == pytest.approx(value, rel=1e-9)
    assert_close(op.dense(), wanted, rtol=1e-7, atol=1e-9)
    assert op.reduction == "mean"
    rows, _ = together(model, data, loss, len)  # by examples it is another matrix
    assert case == "last token" or float((rows - wanted).norm() / wanted.norm()) > 1e-3


def test_padding_on_the_left():
    model, data = made(left=True)
    wanted, value = together(model, data, padded, tokens)
    op = nakami.hessian(model, data, padded)
    assert op.value == pytest.approx(value, rel=1e-9)
    assert_close(op.dense(), wanted, rtol=1e-7, atol=1e-9)


def test_a_sum_stays_a_sum():
    def loss(z, y):
        return functional.cross_entropy(z, y, ignore_index=-1, reduction="sum")

    model, data = made()
    op = nakami.hessian(model, data, loss)
    reference = Reference(model)
    assert_close(op.dense(), sum(reference.hessian(x, y, loss) for x, y in data))
    assert op.reduction == "sum"


def test_pictures_of_other_sizes():
    torch.manual_seed(1)
    model = nn.Conv2d(1, 2, 1).double()
    data = [(torch.randn(2, 1, 3, n).double(), torch.randn(2, 2, 3, n).double()) for n in (2, 5)]
    op = nakami.hessian(model, data, functional.l1_loss)
    reference = Reference(model)
    values = [reference.value(x, y, functional.l1_loss) for x, y in data]
    assert op.value == pytest.approx((2 * values[0] + 5 * values[1]) / 7, rel=1e-9)


@pytest.mark.parametrize(
    "loss",
    [by_sequence, lambda z, y: padded(z, y) + 0.1 * z.flatten(1).var(0).mean()],
    ids=["a mean of each sequence", "a term of its own"],
)
def test_what_is_no_mean_over_tokens_is_the_mean_of_batches_and_says_so(loss):
    model, data = made()
    wanted, value = together(model, data, loss, len)
    op = nakami.hessian(model, data, loss)
    assert op.reduction == "mean of batches"
    assert op.value == pytest.approx(value, rel=1e-9)
    assert_close(op.dense(), wanted, rtol=1e-7, atol=1e-9)
    assert nakami.hessian(model, data[:1], loss).reduction == "mean"
