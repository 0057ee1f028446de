"""The loss of the best output that does not look at the inputs, against closed forms."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

import nakami
from nakami.geometry import AdviceNote


def linear(inputs, outputs):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Linear(inputs, outputs).double()


def entropy(p):
    return float(torch.special.entr(p).sum())


G = torch.Generator().manual_seed(0)
X = torch.randn(60, 4, generator=G, dtype=torch.float64)
CLASSES = torch.randint(3, (60,), generator=G)
FREQUENCIES = torch.bincount(CLASSES).double() / 60
NUMBERS = 500 + 100 * torch.randn(60, 2, generator=G, dtype=torch.float64)
BITS = (torch.rand(60, 2, generator=G) < 0.2).double()


def variance(y):
    return float(y.var(0, correction=0).mean())


@pytest.mark.parametrize(
    ("loss", "outputs", "y", "wanted"),
    [
        (nn.CrossEntropyLoss(), 3, CLASSES, entropy(FREQUENCIES)),
        (nn.CrossEntropyLoss(reduction="sum"), 3, CLASSES, 60 * entropy(FREQUENCIES)),
        (nn.MSELoss(), 2, NUMBERS, variance(NUMBERS)),
        (
            nn.BCEWithLogitsLoss(), 2, BITS,
            (entropy(BITS.mean(0)) + entropy(1 - BITS.mean(0))) / 2,
        ),
        (
            lambda z, y: (z - y).abs().mean(), 2, NUMBERS,
            float((NUMBERS - NUMBERS.quantile(0.5, 0, keepdim=True)).abs().mean()),
        ),
    ],
)  # fmt: skip
def test_against_closed_forms(loss, outputs, y, wanted):
    model = linear(4, outputs)
    whole = nakami.ggn(model, (X, y), loss) if isinstance(loss, nn.Module) else nakami.hessian(
        model, (X, y), loss)  # fmt: skip
    close = 1e-6 if isinstance(loss, nn.Module) else 1e-2  # a corner: LBFGS ends near it
    assert whole.constant_loss() == pytest.approx(wanted, rel=close)
    if getattr(loss, "reduction", "mean") == "mean" and isinstance(loss, nn.Module):
        cut = [(X[:40], y[:40]), (X[40:], y[40:])]
        assert nakami.ggn(model, cut, loss).constant_loss() == pytest.approx(wanted, rel=close)


@pytest.mark.parametrize(
    "settings",
    [{"weight": torch.tensor([1.0, 3.0, 0.5]).double()}, {"label_smoothing": 0.2}, {}],
)
def test_weights_smoothing_and_soft_targets_against_a_search(settings):
    loss = nn.CrossEntropyLoss(**settings)
    soft = torch.rand(60, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    y = CLASSES if settings else soft / soft.sum(1, keepdim=True)
    found = nakami.ggn(linear(4, 3), (X, y), loss).constant_loss()
    z = torch.zeros(1, 3, dtype=torch.float64, requires_grad=True)
    search = torch.optim.LBFGS([z], max_iter=200, tolerance_grad=1e-10)

    def value():
        search.zero_grad()
        total = loss(z.expand(60, 3), y)
        total.backward()
        return total

    search.step(value)
    assert found == pytest.approx(float(value().detach()), rel=1e-8)


@pytest.mark.parametrize("loss", [nn.MSELoss(), nn.BCEWithLogitsLoss()])
@pytest.mark.parametrize("inner", [(2,), (3, 2), (30,)])
def test_means_are_those_that_a_search_finds(loss, inner):
    """Of pictures and sequences, too; with few examples the last axis alone has numbers."""
    y = torch.rand(60, *inner, generator=torch.Generator().manual_seed(4), dtype=torch.float64)

    class Shaped(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = linear(4, math.prod(inner))

        def forward(self, x):
            return self.inner(x).reshape(-1, *inner)

    found = nakami.ggn(Shaped(), [(X[:40], y[:40]), (X[40:], y[40:])], loss).constant_loss()
    plain = type(loss)()
    own = lambda z, t: plain(z, t)  # noqa: E731  (a function has no closed form here)
    assert found == pytest.approx(nakami.hessian(Shaped(), (X, y), own).constant_loss(), rel=1e-6)


def test_classes_are_shared_by_positions_and_what_is_ignored_does_not_count():
    class Sequence(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = linear(1, 3)

        def forward(self, x):
            return self.inner(x[..., None]).transpose(1, 2)  # (N, 3, 4)

    y = torch.randint(3, (60, 4), generator=torch.Generator().manual_seed(1))
    y[:, 3] = -100
    counted = y[:, :3].flatten()
    wanted = entropy(torch.bincount(counted).double() / len(counted))
    found = nakami.ggn(Sequence(), (X, y), "cross_entropy").constant_loss()
    assert found == pytest.approx(wanted, rel=1e-6)
    each = sum(entropy(torch.bincount(y[:, t], minlength=3) / 60) for t in range(3)) / 3
    assert found > each + 0.01  # one for each position would be less


def test_a_model_that_makes_its_own_loss_has_none():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = linear(4, 1)

        def forward(self, x, labels):
            return {"loss": (self.inner(x) - labels).square().mean()}

    data = {"x": X, "labels": NUMBERS[:, :1]}
    assert nakami.hessian(Own(), data, None).constant_loss() is None


def test_advice_is_doubted_where_nothing_is_learned_and_only_there():
    g = torch.Generator().manual_seed(2)
    x = torch.randn(2000, 4, generator=g)
    noise = torch.randint(3, (2000,), generator=g)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3))
    with torch.no_grad():
        model[2].weight.mul_(20)  # a start far above chance
    for y, doubted in ((noise, True), ((x[:, 0] > 0).long() + (x[:, 1] > 0), False)):
        batches = list(zip(x.split(50), y.split(50), strict=True))
        found = nakami.learning_rate(model, batches, "cross_entropy", "momentum")
        assert found.trials[0].losses[0] > 1.5 * found.constant_loss
        kinds = [note.kind for note in found.notes]
        assert (AdviceNote.NOT_BELOW in kinds) is doubted
        said = "where one output for all examples has 1.1; try longer trials"
        assert (said in found.advice) is doubted
        frequencies = torch.bincount(y).double() / len(y)
        assert found.constant_loss == pytest.approx(entropy(frequencies), rel=1e-4)
        assert math.isfinite(found.advised)
