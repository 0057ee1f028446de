"""Rates from the loss that a model returns, beside its dense float64 Hessian by torch.autograd."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.testing import assert_close

import nakami
from borders import limits
from gauntlet import Reference
from nakami.geometry import LimitEnding, learning_rate_report
from nakami.results import UsageError

IDS = torch.tensor([[3, 1, 4, 1], [2, 0, 5, 3], [5, 3, 5, 2], [0, 4, 1, 1], [2, 2, 0, 5]])
FORMS = {
    "mapping": lambda z, loss: {"loss": loss, "logits": z},
    "object": lambda z, loss: SimpleNamespace(loss=loss, logits=z),
    "tuple": lambda z, loss: (z, loss),
    "alone": lambda z, loss: loss,
}


class Language(nn.Module):
    """Tokens from those before; it shifts the labels that it is given."""

    def __init__(self, form="mapping", linear=False):
        super().__init__()
        torch.manual_seed(0)
        self.form, self.linear = FORMS[form], linear
        self.inner, self.outer = nn.Embedding(6, 3), nn.Linear(3, 6)
        if linear:
            self.inner.requires_grad_(False)

    def forward(self, input_ids, labels=None):
        z = self.outer(self.inner(input_ids) if self.linear else self.inner(input_ids).tanh())
        loss = None if labels is None else shifted(z, labels)
        return self.form(z, loss)


def shifted(z, labels):
    return functional.cross_entropy(z[:, :-1].flatten(0, 1), labels[:, 1:].flatten())


def pairs():
    return [{"input_ids": ids, "labels": ids} for ids in (IDS[:3], IDS[3:])]


def dense(model):
    """Of each batch."""
    logits = Reference(model, lambda m, ids: m.outer(m.inner(ids).tanh()))
    return [logits.hessian(ids, ids, shifted) for ids in (IDS[:3], IDS[3:])]


def top(matrix):
    return float(torch.linalg.eigvalsh(matrix)[-1])


@pytest.mark.parametrize("form", FORMS)
def test_the_limit_against_a_dense_hessian(form):
    model = Language(form).double()
    data = pairs()
    if form == "tuple":
        data = [tuple(batch.values()) for batch in data]  # called as model(ids, labels)
    parts = dense(model)
    found = limits(model, data, None, "momentum", tol=1e-9)
    assert found.limit == pytest.approx(2 * 1.9 / top((3 * parts[0] + 2 * parts[1]) / 5), rel=1e-7)
    assert found.batch_sharpness == pytest.approx([top(part) for part in parts], rel=1e-7)
    assert (found.n_samples, found.n_batches, found.converged) == (5, 2, True)
    assert "Hessian" in found.matrix


def given():
    """The same loss as outputs and targets, with labels that are shifted before."""
    ids = (IDS[:3], IDS[3:])
    view = nakami.View(Language(linear=True).double(), select=lambda out: out["logits"])
    return view, [({"input_ids": x[:, :-1]}, x[:, 1:]) for x in ids]


@pytest.mark.parametrize("optimizer", ["momentum", "adam"])
def test_of_a_linear_model_all_is_as_with_outputs_and_targets(optimizer):
    """There the Hessian is the Gauss-Newton matrix."""
    found = learning_rate_report(Language(linear=True).double(), pairs(), None, optimizer)
    view, data = given()
    wanted = learning_rate_report(view, data, "cross_entropy", optimizer)
    for name in ("limit", "batch_sharpness", "value"):
        mine, its = (getattr(each.limit, name) for each in (found, wanted))
        assert mine == pytest.approx(its, rel=1e-3), name
    for name in ("advised", "interval"):
        mine, its = (getattr(each.rate, name) for each in (found, wanted))
        assert mine == pytest.approx(its, rel=1e-3), name
    for mine, its in zip(found.rate.trials, wanted.rate.trials, strict=True):
        assert mine.losses == pytest.approx(its.losses, rel=1e-3)
    assert found.limit.noise.trace > 0


def test_a_control_of_a_linear_model_too():
    logs = []
    for own in (True, False):
        view, data = (Language(linear=True).double(), pairs()) if own else given()
        model = view if own else view.model
        optimizer = torch.optim.SGD(model.outer.parameters(), lr=0.1)
        control = nakami.RateControl(
            view, optimizer, data, None if own else "cross_entropy", 0.1, steps=1000, warmup=0
        )
        for _ in range(12):
            optimizer.zero_grad()
            loss = model(**pairs()[0])["loss"]
            loss.backward()
            optimizer.step()
            control.step(loss)
        logs.append([(r.sharpness, r.limit, r.rate) for r in control.log])
    assert logs[0]
    assert_close(torch.tensor(logs[0]), torch.tensor(logs[1]), rtol=1e-6, atol=0)


@pytest.mark.parametrize("loss", [lambda out, y: out["loss"], lambda out, y: out.get("loss")])
def test_a_function_that_takes_the_models_loss_is_told_how(loss):
    class Silent(Language):
        def forward(self, input_ids, labels=None):
            found = super().forward(input_ids, labels)
            return {k: v for k, v in found.items() if v is not None}

    with pytest.raises((UsageError, TypeError), match=r"pass loss=None for the loss that the mod"):
        nakami.learning_rate(Silent(), pairs(), loss)


def test_a_loss_that_curves_down_has_no_limit():
    class Down(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.tensor([1.0, 2.0], dtype=torch.float64))

        def forward(self, x):
            return {"loss": -(x * self.w).square().mean()}

    found = limits(Down(), [{"x": torch.randn(6, 2).double()}], None)
    assert found.outcome.kind is LimitEnding.NO_UPWARD
    assert "curves down" in found.reason
