"""Batches in the forms in which loaders give them, and losses of whatever a network returns."""

import re
from collections import UserDict
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.testing import assert_close
from torch.utils.data import DataLoader, TensorDataset

import nakami
from checks import spread
from gauntlet import Flattened, Reference, plain
from nakami.results import NakamiWarning


def made():
    torch.manual_seed(0)
    return plain().double(), torch.randn(8, 4).double(), torch.randint(0, 3, (8,))


class Held:
    """A batch object of the kind that graph libraries give."""

    def __init__(self, x, y):
        self.x, self.y = x, y

    def to(self, device):
        return self


def by_key(model, batch):
    return model(batch["x"])


def first(model, batch):
    return model(batch[0])


@pytest.mark.parametrize(
    ("form", "call", "target"),
    [
        (lambda x, y: [x, y], None, None),
        (lambda x, y: ((x[:3], y[:3]), (x[3:], y[3:])), None, None),
        (lambda x, y: [[x[:3], y[:3]], [x[3:], y[3:]]], None, None),
        (lambda x, y: DataLoader(TensorDataset(x, y), batch_size=3), None, None),
        (lambda x, y: next(iter(DataLoader(TensorDataset(x, y), batch_size=8))), None, None),
        (lambda x, y: {"x": x, "labels": y}, by_key, None),
        (lambda x, y: UserDict({"x": x, "labels": y}), by_key, None),
        (lambda x, y: [{"x": x[:3], "y": y[:3]}, {"x": x[3:], "y": y[3:]}], by_key, None),
        (lambda x, y: [{"x": x[:3], "k": y[:3]}, {"x": x[3:], "k": y[3:]}], by_key, "k"),
        (lambda x, y: ({"x": x}, y), by_key, None),
        (lambda x, y: [{"x": x}, y], by_key, None),
        (lambda x, y: [({"x": x[:3]}, y[:3]), ({"x": x[3:]}, y[3:])], by_key, None),
        (lambda x, y: ((x, x), y), first, None),
        (lambda x, y: [((x[:3], x[:3]), y[:3]), ((x[3:], x[3:]), y[3:])], first, None),
        (lambda x, y: [(x, x, y)], first, -1),
        (lambda x, y: [(x, y, x)], first, 1),
        (lambda x, y: [(x, x, y)], first, lambda batch: batch[2]),
        (lambda x, y: Held(x, y), lambda model, batch: model(batch.x), None),
        (lambda x, y: [Held(x[:3], y[:3]), Held(x[3:], y[3:])], lambda m, b: m(b.x), "y"),
    ],
)
def test_a_batch_is_read_in_every_form(form, call, target):
    model, x, y = made()
    view = nakami.View(model, forward=call, target=target)
    wanted = Reference(model).ggn(x, y, nn.CrossEntropyLoss())
    assert_close(nakami.ggn(view, form(x, y), "cross_entropy").dense(), wanted)


@pytest.mark.parametrize(
    ("data", "target", "message"),
    [
        (lambda x, y: [(x, y, y)], None,
         "a batch must be a pair (x, y), got 3 parts; pass [(x, y) for x, y, *_ in loader]"),
        (lambda x, y: [(x, y, y)], None,
         "or take nakami.View(model, target=-1): the last is the targets, the rest inputs."),
        (lambda x, y: [x], None, "a batch must be a pair (x, y), got 1 part"),
        (lambda x, y: x, None, "data must be (x, y) or batches of (x, y), got Tensor; pass"),
        (lambda x, y: iter([x]), None, "or name its targets, got Tensor; pass (x, y)."),
        (lambda x, y: {"x": x, "k": y}, None,
         "got dict with 'x', 'k'; name its targets by nakami.View(model, target='labels')."),
        (lambda x, y: {"x": x, "y": y, "labels": y}, None, "got dict with 'x', 'y', 'labels'"),
        (lambda x, y: {"x": x, "k": y}, "labels",
         "target must be in every batch (target='labels'), got a batch with 'x', 'k'; name the"),
        (lambda x, y: [(x, y)], 7, "target must be in every batch (target=7), got tuple without"),
        (lambda x, y: Held(x, y), "z", "(target='z'), got Held without it; name the key"),
        (lambda x, y: [], None, "data must hold at least one batch, got an empty iterable"),
    ],
)  # fmt: skip
def test_other_forms_are_refused_with_what_to_type(data, target, message):
    model, x, y = made()
    with pytest.raises(ValueError, match=re.escape(message)):
        nakami.ggn(nakami.View(model, target=target), data(x, y), "cross_entropy")


def test_a_target_is_a_name_a_place_or_a_function():
    with pytest.raises(ValueError, match=r"target must be the key, .* got 1.5; pass target="):
        nakami.View(plain(), target=1.5)


class Codes(NamedTuple):
    out: torch.Tensor
    code: Any
    note: str


@dataclass
class Plain:
    out: torch.Tensor


class Heads(nn.Module):
    """Several outputs in the form asked for; ``labels`` give a loss besides."""

    def __init__(self, form):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(4, 5), nn.Linear(5, 3), nn.Linear(5, 2)
        self.form = form

    def forward(self, x, labels=None):
        h = torch.tanh(self.a(x))
        loss = None if labels is None else functional.cross_entropy(self.b(h), labels)
        return self.form(self.b(h), self.c(h), loss)


def mean_of(out, other, y):
    weight = torch.linspace(1, 2, other.shape[-1]).double()
    return (out - y).square().mean() + (other.exp() * weight).mean()


FORMS = {
    "tuple": (lambda a, b, loss: (a, b), lambda o, y: mean_of(*o, y)),
    "dict": (lambda a, b, loss: {"u": a, "v": {"w": b}},
             lambda o, y: mean_of(o["u"], o["v"]["w"], y)),
    "named": (lambda a, b, loss: Codes(a, [b, None], "n"),
              lambda o, y: mean_of(o.out, o.code[0], y)),
    "classes": (
        lambda a, b, loss: (a, a.argmax(1)),
        lambda o, y: functional.cross_entropy(o[0], o[1]) + (o[0] - y).square().mean(),
    ),
    "a number": (
        lambda a, b, loss: (a, b.square().mean()),
        lambda o, y: (o[0] - y).square().mean() + o[1].exp(),
    ),
    "columns": (
        lambda a, b, loss: (a, b.T),
        lambda o, y: mean_of(o[0], o[1].T, y),
    ),
}  # fmt: skip


@pytest.mark.parametrize("budget", [None, 5000])
@pytest.mark.parametrize("form", FORMS)
def test_a_loss_gets_all_that_the_network_returns(form, budget):
    torch.manual_seed(1)
    outputs, loss = FORMS[form]
    model, x, y = Heads(outputs).double(), torch.randn(8, 4).double(), torch.randn(8, 3).double()
    reference = Reference(model)
    op = nakami.hessian(model, (x, y), loss, memory_budget=budget)
    assert op.value == pytest.approx(reference.value(x, y, loss), rel=1e-12)
    assert_close(op.dense(), reference.hessian(x, y, loss), rtol=1e-8, atol=1e-10)


def test_select_and_the_losses_of_torch_take_one_tensor():
    torch.manual_seed(1)
    model, x, y = Heads(FORMS["tuple"][0]).double(), *made()[1:]
    wanted = Reference(model, lambda m, x: m(x)[0]).ggn(x, y, nn.CrossEntropyLoss())
    view = nakami.View(model, select=lambda o: o[0])
    assert_close(
        nakami.ggn(view, (x, y), lambda z, y: functional.cross_entropy(z, y)).dense(), wanted
    )
    assert_close(nakami.ggn(view, (x, y), functional.cross_entropy).dense(), wanted)


@pytest.mark.parametrize("batches", [1, 2])
def test_the_loss_that_a_model_returns(batches):
    torch.manual_seed(1)
    model, x, y = Heads(lambda a, b, loss: {"loss": loss, "logits": a}).double(), *made()[1:]
    data = [{"x": x[i::batches], "labels": y[i::batches]} for i in range(batches)]
    wanted = Reference(model, lambda m, x: m(x)["logits"]).hessian(x, y, nn.CrossEntropyLoss())
    assert_close(nakami.hessian(model, data, None).dense(), wanted)
    view = nakami.View(model, select=lambda out: out["loss"])
    held = [(batch, None) for batch in data]
    assert_close(nakami.hessian(view, held, lambda z, _: z).dense(), wanted)
    with pytest.raises(ValueError, match=r"loss must be a function of outputs and targets for"):
        nakami.ggn(model, data, None)
    with pytest.raises(ValueError, match=r"must be given, or returned by the model as its 'l"):
        nakami.hessian(plain().double(), (x, None), None)


class Last(Flattened):
    """``(n, tokens, classes)``."""

    def forward(self, x):
        return super().forward(x).reshape(*x.shape, 3)


@pytest.mark.parametrize(
    ("kind", "flat", "budget"), spread([Flattened, Last], [False, True], [None, 20000])
)
def test_logits_and_classes_of_sequences_as_everybody_writes_them(kind, flat, budget):
    torch.manual_seed(2)
    model, x, y = kind().double(), torch.randint(0, 7, (6, 5)), torch.randint(0, 3, (6, 5))
    y[0, :3] = -100
    loss = nn.CrossEntropyLoss()
    reference = Reference(model, lambda m, x: m(x).reshape(-1, 3))
    wanted = reference.ggn(x, y.reshape(-1), loss)
    op = nakami.ggn(model, (x, y.reshape(-1) if flat else y), loss, memory_budget=budget)
    assert_close(op.dense(), wanted, rtol=1e-8, atol=1e-10)
    assert op.value == pytest.approx(reference.value(x, y.reshape(-1), loss), rel=1e-12)
    assert op.n_samples == 27
    assert nakami.trace(op, 1e-9).value == pytest.approx(float(wanted.trace()), rel=1e-6)
    cut = [(x[:2], y[:2]), (x[2:, :4], y[2:, :4])]  # batches of other lengths
    both = [reference.ggn(a, b.reshape(-1), nn.CrossEntropyLoss(reduction="sum")) for a, b in cut]
    found = nakami.ggn(model, [(a, b.reshape(-1) if flat else b) for a, b in cut], loss)
    assert_close(found.dense(), sum(both) / 23, rtol=1e-8, atol=1e-10)


def test_as_many_tokens_as_classes_are_read_as_torch_does_with_a_warning():
    torch.manual_seed(2)
    model, x, y = Last().double(), torch.randint(0, 7, (6, 3)), torch.randint(0, 3, (6, 3))
    loss = nn.CrossEntropyLoss()
    with pytest.warns(NakamiWarning, match=r"axis 1 is taken, as in torch; where they are last"):
        op = nakami.ggn(model, (x, y), loss)
    assert op.value == pytest.approx(Reference(model).value(x, y, loss), rel=1e-12)
    view = nakami.View(model, select=lambda out: out.movedim(-1, 1))
    moved = Reference(model, lambda m, x: m(x).reshape(-1, 3))
    found = nakami.ggn(view, (x, y), loss).dense()  # who selects has said it
    assert_close(found, moved.ggn(x, y.reshape(-1), loss), rtol=1e-8, atol=1e-10)


def test_labels_that_repeat_the_tokens_are_warned_of():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 7)).double()
    ids = torch.randint(0, 7, (3, 5))
    padded = ids.masked_fill(torch.arange(5) > 3, -100)
    for labels in (ids, padded):
        with pytest.warns(NakamiWarning, match=r"asks for copies; a model of the next token takes"):
            nakami.ggn(net, [(ids, labels)], "cross_entropy")
    nakami.ggn(net, [(ids[:, :-1], ids[:, 1:])], "cross_entropy")  # a warning would be an error
    few = ids.masked_fill(torch.arange(5) > 0, -100)  # 3 that agree: 1 in 27 by chance, or more
    nakami.ggn(net, [(ids, few)], "cross_entropy")
    nakami.ggn(net, [(0 * ids, 0 * ids)], "cross_entropy")  # one class alone


@dataclass
class Lines:
    ids: torch.Tensor
    labels: torch.Tensor


def test_an_object_that_holds_inputs_and_labels_is_not_taken_for_copies():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Embedding(7, 4), nn.Linear(4, 7)).double()
    ids, labels = torch.randint(0, 7, (2, 3, 5))

    def view(target):
        return nakami.View(net, forward=lambda m, batch: m(batch.ids), target=target)

    for target in ("labels", lambda batch: batch.labels):
        nakami.ggn(view(target), [Lines(ids=ids, labels=labels)], "cross_entropy")
        with pytest.warns(NakamiWarning, match=r"asks for copies"):
            nakami.ggn(view(target), [Lines(ids=ids, labels=ids + 0)], "cross_entropy")


class Judged(nn.Module):
    """Logits, and a loss before them where labels are given, as models of transformers do."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.inner = nn.Linear(4, 3)

    def forward(self, x, labels=None):
        z = self.inner(x).tanh()
        found = {} if labels is None else {"loss": functional.cross_entropy(z, labels)}
        return {**found, "logits": z}


def test_an_input_that_holds_labels_is_read_to_the_logits():
    net = Judged().double()
    x, labels = torch.randn(2, 4, dtype=torch.float64), torch.tensor([0, 2])
    run = nakami.xray(net, {"x": x, "labels": labels}, stages=["output"])
    assert run.n_inputs == 2
    for spectrum, row in zip(run.at("output"), x, strict=True):
        jac = torch.autograd.functional.jacobian(lambda v: net(v[None])["logits"][0], row)
        assert_close(torch.as_tensor(spectrum.values), torch.linalg.svdvals(jac))
