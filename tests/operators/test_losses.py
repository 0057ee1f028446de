"""Losses and targets: what is refused, with which sentence, and what drawn targets stand for."""

import re

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.testing import assert_close

import nakami
from curvatures import Dense, Tokens, case
from nakami.operators.curvature._losses import criterion

KINDS = ("fisher", "empirical_fisher", "ggn", "hessian")
PLAIN = "loss must be a plain negative log-likelihood for"


@pytest.mark.parametrize(
    ("loss", "kinds", "message"),
    [
        (functional.cross_entropy, KINDS[:2], 'cross_entropy; pass "cross_entropy".'),
        (functional.mse_loss, KINDS[:2], 'got the function mse_loss; pass "mse".'),
        (functional.binary_cross_entropy_with_logits, KINDS[:2], 'pass "bce_with_logits".'),
        (functional.nll_loss, KINDS[:3], 'pass "cross_entropy".'),
        (nn.NLLLoss(), KINDS[:3], 'pass "cross_entropy".'),
        (nn.NLLLoss(), KINDS[2:3], "for ggn, got NLLLoss, which is linear in them; pass"),
        (nn.L1Loss(), KINDS[:2], "got the module L1Loss; take nakami.ggn."),
        (nn.CrossEntropyLoss(label_smoothing=0.1), KINDS[:2], "got cross-entropy with weights or"),
        (nn.CrossEntropyLoss, KINDS, "got the class CrossEntropyLoss; pass CrossEntropyLoss()."),
        (nn.MSELoss, KINDS, "loss must be a loss, not its class, got the class MSELoss; pass"),
    ],
)  # fmt: skip
def test_losses_that_are_refused_say_what_to_type(loss, kinds, message):
    model, x, y, _ = case("classes")
    for kind in kinds:
        with pytest.raises(ValueError, match=re.escape(message)) as error:
            getattr(nakami, kind)(model, (x, y), loss)
        assert str(error.value).count(".") <= 2
        if kind in KINDS[:2] and not isinstance(loss, type):
            assert str(error.value).startswith(f"{PLAIN} {kind}, got ")


@pytest.mark.parametrize(
    ("name", "loss"),
    [("classes", "cross_entropy"), ("squared", "mse"), ("bernoulli", "bce_with_logits")],
)
def test_every_loss_is_taken_by_name_as_a_module_and_as_a_function(name, loss):
    model, x, y, module = case(name)
    for kind in KINDS:
        wanted = getattr(nakami, kind)(model, (x, y), module)
        assert_close(getattr(nakami, kind)(model, (x, y), loss).dense(), wanted.dense())
    own = type(module)().forward  # a function, which is taken where no likelihood is needed
    for kind in KINDS[2:]:
        wanted = getattr(nakami, kind)(model, (x, y), module)
        assert_close(getattr(nakami, kind)(model, (x, y), own).dense(), wanted.dense())


class Last(nn.Module):
    """The same with the classes on the last axis."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return self.inner(x).movedim(1, -1)


def test_classes_on_the_last_axis_are_read_as_they_are():
    inner, x, y, loss = case("tokens")
    assert isinstance(inner, Tokens)
    wanted = nakami.fisher(inner, (x, y), loss).dense()
    assert_close(nakami.fisher(Last(inner), (x, y), loss).dense(), wanted)
    view = nakami.View(Last(inner), select=lambda o: o.transpose(1, 2))
    assert_close(nakami.fisher(view, (x, y), loss).dense(), wanted)
    with pytest.raises(ValueError, match="give one class to each sample, or probabilities"):
        nakami.fisher(inner, (x, y[:, :2]), loss)
    torch.manual_seed(0)
    images, labels = torch.randn(2, 1, 4, 5), torch.randint(0, 3, (2, 4, 5))
    wide = nn.Conv2d(1, 3, 1)
    found = nakami.fisher(Last(wide), (images, labels), "cross_entropy").dense()
    assert_close(found, nakami.fisher(wide, (images, labels), "cross_entropy").dense())


class Focal(nn.CrossEntropyLoss):
    """Another loss than its parent's."""

    def forward(self, z, y):
        each = functional.cross_entropy(z, y, reduction="none")
        return ((1 - (-each).exp()).square() * each).mean()


def test_a_subclass_with_a_forward_of_its_own_is_another_loss():
    model, x, y, _ = case("classes")
    loss = Focal()
    op, dense = nakami.hessian(model, (x, y), loss), Dense(model, x, y, loss)
    assert op.value == pytest.approx(float(loss(model(x), y).detach()))
    assert_close(op.dense(), dense.hessian(y))
    with pytest.raises(ValueError, match=f"{PLAIN} fisher, got the module Focal; take nakami.ggn"):
        nakami.fisher(model, (x, y), loss)


def test_a_class_that_is_also_ignored_is_drawn_like_the_others():
    model, x, y, _ = case("classes")
    y = y.clamp_min(1)
    whole = nakami.fisher(model, (x, y), nn.CrossEntropyLoss(), samples=500)
    op = nakami.fisher(model, (x, y), nn.CrossEntropyLoss(ignore_index=0), samples=500)
    assert_close(op.dense(), whole.dense())
    y[0] = 0
    left = nakami.fisher(model, (x, y), nn.CrossEntropyLoss(ignore_index=0), samples=500)
    assert left.n_samples == len(x) - 1
    exact = nakami.fisher(model, (x[1:], y[1:]), "cross_entropy").dense()
    assert float((left.dense() - exact).norm() / exact.norm()) < 0.1


@pytest.mark.parametrize("name", ["classes", "squared", "bernoulli", "tokens"])
def test_gradients_at_drawn_targets_are_those_of_the_loss(name):
    _, _, y, loss = case(name)
    judged = criterion(loss)
    gen = torch.Generator().manual_seed(0)
    z = torch.randn(y.shape if y.is_floating_point() else (len(y), 3, *y.shape[1:]),
                    generator=gen, dtype=torch.float64)  # fmt: skip
    u = torch.rand(z.shape, generator=gen, dtype=torch.float64)
    if name == "squared":
        targets = z + torch.special.ndtri(u)
    elif name == "bernoulli":
        targets = (u < z.sigmoid()).double()
    else:
        targets = (z.softmax(1).cumsum(1) < u[:, :1]).sum(1)
        targets[y == -100] = -100
    leaf = z.clone().requires_grad_()
    total = type(loss)(reduction="sum")(leaf, targets)
    (wanted,) = torch.autograd.grad(total, leaf)
    assert_close(judged.drawn(z, y, u), wanted)


def test_drawn_targets_of_float32_are_finite():
    z, u = torch.zeros(2, 1), torch.tensor([[0.0], [1 - 2**-53]], dtype=torch.float64)
    slopes = criterion("mse").drawn(z, z, u)
    assert slopes.dtype == torch.float32
    assert torch.isfinite(slopes).all()


@pytest.mark.parametrize("loss", ["cross_entropy", "mse", "bce_with_logits"])
def test_targets_of_other_types(loss):
    model, x, y, _ = case("classes")
    kinds = [torch.uint8] if loss == "cross_entropy" else [torch.bool, torch.int32, torch.float32]
    if loss != "cross_entropy":
        y = (torch.arange(36).reshape(12, 3) % 2).double()
    for samples in (None, 2):
        wanted = nakami.fisher(model, (x, y), loss, samples=samples)
        for kind in kinds:
            op = nakami.fisher(model, (x, y.to(kind)), loss, samples=samples)
            assert_close(op.dense(), wanted.dense())
            assert_close(op.gradient(), wanted.gradient())


@pytest.mark.parametrize(
    ("outputs", "targets", "message"),
    [
        (torch.randn(4), torch.zeros(4).long(), r"model's output must have the classes on axis 1,"),
        (torch.randn(4, 3), torch.eye(4, 3).long(), "floating-point probabilities .* int64"),
        (torch.randn(4, 3), torch.zeros(4).int(), r"be int64 classes, got int32; use y.long\(\)"),
    ],
)  # fmt: skip
def test_outputs_and_targets_that_do_not_fit(outputs, targets, message):
    with pytest.raises(ValueError, match=message):
        criterion("cross_entropy").check(outputs, targets)


def test_targets_in_several_parts_are_cut_with_their_examples():
    model, x, _, _ = case("squared")
    gen = torch.Generator().manual_seed(2)
    aim, weight = (torch.rand(n, generator=gen, dtype=torch.float64) for n in ((12, 3), (12,)))

    def loss(z, y):
        return ((z - y["aim"]).square().sum(1) * y["weight"]).mean()

    data = [(x, {"aim": aim, "weight": weight})]
    whole = nakami.ggn(model, data, loss)
    cut = nakami.ggn(model, data, loss, memory_budget=3000)
    assert len(cut.parts) > 3
    assert cut.value == pytest.approx(whole.value)
    assert_close(cut.dense(), whole.dense())


def test_two_inputs_and_their_targets_are_one_batch():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.out = nn.Linear(6, 3)

        def forward(self, a, b):
            return self.out(a * b)

    _, x, y, loss = case("classes")
    model = Both().double()
    wanted = nakami.fisher(model, [((x, x + 1), y)], loss).dense()
    for data in (((x, x + 1), y), [[x, x + 1], y]):
        assert_close(nakami.fisher(model, data, loss).dense(), wanted)


def test_a_loss_of_some_examples_alone_is_no_sum_over_batches():
    model, x, y, _ = case("squared")

    def last(z, t):
        return (z[-1] - t[-1]).square().sum()

    pairs = [(x[:5], y[:5]), (x[5:], y[5:])]
    op, dense = nakami.hessian(model, pairs, last), Dense(model, x, y, last)
    each = [Dense(model, a, b, last).hessian(b) for a, b in pairs]
    assert_close(op.dense(), (5 * each[0] + 7 * each[1]) / 12)
    assert_close(nakami.hessian(model, (x, y), last, memory_budget=4000).dense(), dense.hessian(y))


def test_a_loss_without_a_gradient_is_refused():
    model, x, y, loss = case("classes")
    for kind in ("ggn", "hessian"):
        with pytest.raises(
            ValueError, match=r"loss must follow the outputs by a gradient, got a v"
        ):
            getattr(nakami, kind)(model, (x, y), lambda z, t: loss(z.detach(), t))
