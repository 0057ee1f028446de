"""Fisher, Gauss-Newton, empirical Fisher and Hessian against dense float64 ones built by hand."""

import copy

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import nakami
from checks import check_operator
from curvatures import CASES, Dense, case


@pytest.mark.parametrize("name", CASES)
def test_every_kind_against_dense(name):
    model, x, y, loss = case(name)
    dense = Dense(model, x, y, loss)
    wanted = {
        "fisher": dense.fisher(),
        "ggn": dense.own(dense.fisher()),
        "empirical_fisher": dense.empirical_fisher(),
        "hessian": dense.hessian(y),
    }
    for kind, matrix in wanted.items():
        op = getattr(nakami, kind)(model, (x, y), loss)
        check_operator(op, matrix)
        assert op.n_samples == len(dense.z)
        assert op.value == pytest.approx(float(loss(model(x), y).detach()))
    slope = torch.autograd.functional.jacobian(lambda f: loss(dense.outputs(f), y), dense.flat)
    assert_close(op.gradient(), slope)


def test_the_comparison_can_fail():
    model, x, y, loss = case("classes")
    matrix = Dense(model, x, y, loss).fisher()
    with pytest.raises(AssertionError, match="not close"):
        check_operator(nakami.empirical_fisher(model, (x, y), loss), matrix)


@pytest.mark.parametrize("budget", [None, 3000])
@pytest.mark.parametrize("name", ["classes", "tokens", "squared"])
def test_batches_and_budgets_change_nothing(name, budget):
    model, x, y, loss = case(name)
    x, y = x[:6], y[:6]
    whole = nakami.ggn(model, (x, y), loss)
    parts = [(x[:3], y[:3]), (x[3:4], y[3:4]), (x[4:], y[4:])]
    op = nakami.ggn(model, iter(parts), loss, memory_budget=budget)
    assert (len(op.parts) > 3) == (budget is not None)
    assert op.parts[0].keep == (budget is None)
    assert_close(op.dense(), whole.dense())
    assert op.value == pytest.approx(whole.value)


def test_frozen_tied_and_chosen_parameters():
    model, x, y, loss = case("classes")
    model[0].bias.requires_grad_(False)
    left = nakami.fisher(model, (x, y), loss)
    assert left.names == ("0.weight", "2.weight", "2.bias")
    last = nakami.fisher(model, (x, y), loss, params="2.*")
    assert_close(last.dense(), left.dense()[-18:, -18:])
    assert {k: tuple(v.shape) for k, v in last.split(torch.zeros(18)).items()} == {
        "2.weight": (3, 5),
        "2.bias": (3,),
    }
    tied = nn.Sequential(nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 6)).double()
    tied[2].weight = tied[0].weight
    y = torch.randint(0, 6, (12,))
    check_operator(nakami.fisher(tied, (x, y), loss), Dense(tied, x, y, loss).fisher())


def test_any_convex_loss_and_weighted_classes():
    model, x, y, _ = case("classes")
    weighted = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 0.5]), label_smoothing=0.1)
    own = lambda z, t: weighted.double()(z, t) + z.square().mean()  # noqa: E731
    with pytest.raises(
        ValueError, match=r"loss must be a plain negative log-likelihood for fisher"
    ):
        nakami.fisher(model, (x, y), own)
    dense = Dense(model, x, y, nn.CrossEntropyLoss())
    for loss in (weighted.double(), own):
        op = nakami.hessian(model, (x, y), loss)
        f = lambda flat, loss=loss: loss(dense.outputs(flat), y)  # noqa: E731
        check_operator(op, torch.autograd.functional.hessian(f, dense.flat))
        inner = torch.autograd.functional.hessian(lambda z, loss=loss: loss(z, y), dense.z)
        matrix = torch.einsum("tap,tasb,sbq->pq", dense.jac, inner, dense.jac)
        check_operator(nakami.ggn(model, (x, y), loss), matrix)


def test_no_trace_and_the_top_values():
    model, x, y, loss = case("cnn")
    model.train()
    before, state = copy.deepcopy(model.state_dict()), torch.get_rng_state()
    op = nakami.fisher(model, (x, y), loss)
    top = nakami.eigh(op, 3)
    assert_close(top.values, torch.linalg.eigvalsh(op.dense()).flip(0)[:3])
    assert model.training
    assert torch.equal(state, torch.get_rng_state())
    assert all(p.grad is None for p in model.parameters())
    assert all(
        torch.equal(a, b) for a, b in zip(before.values(), model.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"memory_budget": 0}, "memory_budget must be .*, got 0"),
        ({"seed": "a"}, "seed must be .*, got 'a'"),
        ({"loss": "hinge"}, "loss 'hinge' is unknown; nearest: 'cross_entropy'"),
        ({"loss": 3}, "loss must be a torch loss module, its name or a function"),
        ({"loss": nn.MSELoss(reduction="none")}, "loss must have reduction 'mean' or 'sum', got"),
        ({"loss": "mse"}, r"the targets of a batch must have the shape of the outputs, \(12, 3\)"),
        ({"y": torch.full((12,), 3)}, r"the targets of a batch must be classes from 0 to 2, got 3"),
        ({"y": torch.zeros(12, 7)}, r"targets of a batch must have shape \(12,\) for outputs of"),
        ({"y": torch.zeros(11)}, "the targets of a batch must be 12 like the examples, got"),
        ({"data": []}, "data must hold at least one batch, got an empty iterable"),
        ({"data": torch.ones(3)}, r"data must be \(x, y\) or batches of \(x, y\), got Tensor"),
        ({"data": [torch.ones(3)]}, r"a batch must be a pair \(x, y\), got 1 part; pass"),
        (
            {"data": [{"x": torch.ones(3, 4), "labels": torch.zeros(3)}]},
            r"got an unexpected keyword argument 'x'; pass nakami.View\(model, forw",
        ),
        ({"y": torch.full((12,), -100)}, "data must hold at least one target, got none"),
        ({"params": "conv*"}, r"params 'conv\*' is unknown; nearest: '0.weight'"),
    ],
)
def test_wrong_arguments(change, message):
    model, x, y, loss = case("classes")
    data = change.pop("data", (x, change.pop("y", y)))
    with pytest.raises((ValueError, TypeError), match=message):
        nakami.fisher(model, data, **{"loss": loss, **change})


def test_a_loss_that_is_not_finite_and_a_frozen_model():
    model, x, y, loss = case("classes")
    with pytest.raises(ValueError, match=r"the loss must be finite at the present weights, got"):
        nakami.ggn(model, (x * 1e300, y), lambda z, t: (z * 1e300).square().sum())
    model.requires_grad_(False)
    with pytest.raises(ValueError, match="model must have parameters that require a gradient"):
        nakami.fisher(model, (x, y), loss)
