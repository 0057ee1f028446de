"""Losses whose second derivative torch lacks, and embeddings whose gradient is a convention."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

import nakami
from gauntlet import Reference
from nakami.operators.model._composites import Composites
from nakami.results import NakamiWarning, UsageError

DOUBLE = torch.float64


def numbers(*shape, seed=0):
    return torch.randn(*shape, dtype=DOUBLE, generator=torch.Generator().manual_seed(seed))


LENGTHS, COUNTS = torch.tensor([6, 5, 6, 4]), torch.tensor([3, 2, 0, 2])
LABELS = torch.tensor([[1, 1, 2], [2, 3, 0], [0, 0, 0], [3, 1, 2]])
CLASSES = torch.tensor([0, 3, 1, 2])
LISTED = torch.tensor([[1, 0, -1, 2], [3, -1, 0, 0], [-1, 0, 0, 0], [0, 1, 2, 3]])
SAME = {
    "ctc": lambda z, r: functional.ctc_loss(z, LABELS, LENGTHS, COUNTS, reduction=r),
    "ctc, one after the other": lambda z, r: functional.ctc_loss(
        z, torch.tensor([1, 1, 2, 2, 3, 3, 1]), LENGTHS.tolist(), COUNTS.tolist(), reduction=r
    ),
    "ctc, too short": lambda z, r: functional.ctc_loss(
        z, LABELS, torch.tensor([3, 5, 6, 4]), COUNTS, reduction=r, zero_infinity=True
    ),
    "ctc, one": lambda z, r: functional.ctc_loss(
        z[:, 0], LABELS[0], torch.tensor(6), torch.tensor(3), reduction=r
    ),
    "ctc, another blank": lambda z, r: functional.ctc_loss(
        z, LABELS * 0 + 1, LENGTHS, COUNTS.clamp_max(2), blank=3, reduction=r
    ),
    "margins": lambda z, r: functional.multi_margin_loss(z[0], CLASSES, reduction=r),
    "squared margins": lambda z, r: functional.multi_margin_loss(
        z[0], CLASSES, p=2, margin=0.5, weight=torch.rand(4).double(), reduction=r
    ),
    "one margin": lambda z, r: functional.multi_margin_loss(z[0, 0], CLASSES[0], reduction=r),
    "soft margins": lambda z, r: functional.soft_margin_loss(
        30 * z[0], torch.sign(z[1].detach()), reduction=r
    ),
    "labels": lambda z, r: functional.multilabel_margin_loss(z[0], LISTED, reduction=r),
    "labels of one": lambda z, r: functional.multilabel_margin_loss(
        z[0, 0], LISTED[0], reduction=r
    ),
}


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("name", SAME)
def test_they_are_the_losses(name, reduction):
    logits = numbers(6, 4, 4).requires_grad_()
    found = []
    for around in (torch.enable_grad(), Composites()):
        with around:
            torch.manual_seed(0)
            value = SAME[name](logits.log_softmax(-1), reduction)
            found.append((value, torch.autograd.grad(value.sum(), logits)[0]))
    torch.testing.assert_close(*[value for value, _ in found], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(*[gradient for _, gradient in found], rtol=1e-11, atol=1e-12)


def test_ctc_without_an_alignment_is_infinite():
    z = numbers(2, 1, 4).log_softmax(-1)
    with Composites():
        assert functional.ctc_loss(z, LABELS[:1], [2], [3]) == torch.inf


class Speech(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(3, 4), nn.Linear(4, 4)

    def forward(self, x):
        return self.b(torch.tanh(self.a(x)))


def speech(z, y):
    counts = torch.full((len(z),), 2)
    lengths = torch.full((len(z),), z.shape[1])
    return functional.ctc_loss(z.log_softmax(-1).transpose(0, 1), y, lengths, counts)


def by_hand(z, y):
    """All alignments of two labels in five steps."""
    logs, total = z.log_softmax(-1), 0.0
    for row, labels in zip(logs, y.tolist(), strict=True):
        paths = torch.cartesian_prod(*[torch.arange(4)] * 5)
        good = [p for p in paths if collapsed(p.tolist()) == labels]
        each = torch.stack([row[torch.arange(5), p].sum() for p in good])
        total = total - each.logsumexp(0) / 2
    return total / len(z)


def collapsed(path):
    kept = [a for a, b in zip(path, [None, *path[:-1]], strict=True) if a != b]
    return [a for a in kept if a]


@pytest.mark.parametrize("kind", ["ggn", "hessian"])
def test_matrices_of_ctc(kind):
    torch.manual_seed(0)
    model, x, y = Speech().double(), numbers(2, 5, 3), torch.tensor([[1, 2], [3, 3]])
    found = getattr(nakami, kind)(model, (x, y), speech).dense()
    want = getattr(Reference(model), kind)(x, y, by_hand)
    torch.testing.assert_close(found, want, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("kind", ["ggn", "hessian"])
@pytest.mark.parametrize(
    ("loss", "y", "same"),
    [
        (nn.MultiMarginLoss(p=2), CLASSES, lambda z, y: sum(
            (1 - z[i, y[i]] + z[i, j]).clamp_min(0) ** 2
            for i in range(4) for j in range(4) if j != y[i]) / 16),
        (nn.MultiLabelMarginLoss(), LISTED[[1, 3]].repeat(2, 1), lambda z, y: sum(
            (1 - z[i, 3] + z[i, j]).clamp_min(0) for i in (0, 2) for j in range(3)) / 16),
        (nn.SoftMarginLoss(), torch.sign(numbers(4, 4, seed=3)),
         lambda z, y: (1 + (-y * z).exp()).log().mean()),
    ],
)  # fmt: skip
def test_matrices_of_margins(loss, y, same, kind):
    torch.manual_seed(0)
    model, x = Speech().double(), numbers(4, 3)
    found = getattr(nakami, kind)(model, (x, y), loss).dense()
    want = getattr(Reference(model), kind)(x, y, same)
    torch.testing.assert_close(found, want, rtol=1e-8, atol=1e-10)


class Once(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z):
        return z.square().sum()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, g):
        return g * torch.ones(4, 4, dtype=DOUBLE)


@pytest.mark.parametrize("kind", ["ggn", "hessian"])
def test_a_loss_without_a_second_derivative_is_named(kind):
    def once(z, y):
        return Once.apply(z)

    model, x = Speech().double(), numbers(4, 3)
    op = getattr(nakami, kind)(model, (x, x), once)
    with pytest.raises(UsageError, match="loss must have a second derivative, got once"):
        op.dense()


class Words(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.e, self.o = nn.Embedding(7, 3, **options), nn.Linear(3, 2)

    def forward(self, t):
        return self.o(torch.tanh(self.e(t)).mean(1))


class Bag(nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.e, self.o = nn.EmbeddingBag(7, 3, **options), nn.Linear(3, 2)

    def forward(self, t):
        return self.o(torch.tanh(self.e(t)))


TOKENS = torch.tensor([[1, 2, 2], [0, 5, 1], [1, 1, 1], [3, 0, 0]])


def plain_twin(model):
    """The same network without options, with its table clipped by hand."""
    twin = copy.deepcopy(model)
    e = twin.e
    if e.max_norm is not None:
        norms = e.weight.data.norm(dim=1, keepdim=True)
        e.weight.data *= (e.max_norm / norms).clamp_max(1)
    e.max_norm, e.sparse, e.scale_grad_by_freq = None, False, False
    if isinstance(model, Bag):  # whose second derivative torch lacks
        twin.forward = lambda t: twin.o(torch.tanh(pooled(e, t)))
    return twin


def pooled(e, t):
    seen = torch.ones_like(t) if e.padding_idx is None else (t != e.padding_idx).long()
    total = (e.weight[t] * seen[..., None]).sum(1)
    return total / seen.sum(1, keepdim=True).clamp_min(1) if e.mode == "mean" else total


@pytest.mark.parametrize("kind", ["ggn", "hessian"])
@pytest.mark.parametrize(
    "options",
    [
        {"sparse": True},
        {"max_norm": 1.0},
        {"max_norm": 50.0, "sparse": True},
        {"scale_grad_by_freq": True},
        {"padding_idx": 1, "sparse": True},
    ],
    ids=str,
)
@pytest.mark.parametrize("make", [Words, Bag])
@pytest.mark.filterwarnings("ignore:embedding")
def test_embeddings_have_their_derivative(make, options, kind):
    torch.manual_seed(0)
    model, y = make(**options).double(), numbers(4, 2)
    before = model.e.weight.detach().clone()
    twin = plain_twin(model)
    want = getattr(Reference(twin), kind)(TOKENS, y, nn.MSELoss())
    op = getattr(nakami, kind)(model, (TOKENS, y), "mse")
    torch.testing.assert_close(op.dense(), want, rtol=1e-6, atol=1e-8)
    if kind == "ggn":
        assert nakami.trace(op).value == pytest.approx(float(want.trace()), rel=1e-6)
    assert torch.equal(model.e.weight, before)
    assert not model.e.weight.grad


def test_conventions_are_named():
    torch.manual_seed(0)
    y = numbers(4, 2)
    with pytest.warns(NakamiWarning, match=r"embedding 'e': .* \(scale_grad_by_freq\)"):
        nakami.ggn(Words(scale_grad_by_freq=True).double(), (TOKENS, y), "mse")
    model = Words(max_norm=1.0).double()
    model.e.weight.data[0] *= 1e-3
    model.e.weight.data[1:] *= 10
    with pytest.warns(NakamiWarning, match="embedding 'e': 6 rows are longer than max_norm = 1"):
        nakami.ggn(model, (TOKENS, y), "mse")
    for _ in range(2):
        model(torch.arange(7)[None])  # clips them itself: nothing is left to say
    nakami.ggn(model, (TOKENS, y), "mse")
