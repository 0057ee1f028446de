"""Fisher, Gauss-Newton, empirical Fisher and Hessian against dense float64 ones built by hand."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.testing import assert_close

import nakami
from checks import check_operator


class Tokens(nn.Module):
    """Logits for each token: ``(n, classes, length)``."""

    def __init__(self):
        super().__init__()
        self.table, self.out = nn.Embedding(5, 4), nn.Linear(4, 3)

    def forward(self, x):
        return self.out(self.table(x).cumsum(1).tanh()).movedim(-1, 1)


def case(name):
    """Model, inputs, targets, loss."""
    gen = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    x = torch.randn(12, 6, generator=gen, dtype=torch.float64)
    plain = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3))
    if name == "tokens":
        x = torch.randint(0, 5, (6, 4), generator=gen)
        y = torch.randint(0, 3, (6, 4), generator=gen)
        y[0, 0] = -100  # ignored
        return Tokens().double(), x, y, nn.CrossEntropyLoss()
    if name == "cnn":
        x = torch.randn(5, 1, 6, 6, generator=gen, dtype=torch.float64)
        net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3))
        return net.double(), x, torch.randint(0, 3, (5,), generator=gen), nn.CrossEntropyLoss()
    if name == "squared":
        y = torch.randn(12, 3, generator=gen, dtype=torch.float64)
        return plain.double(), x, y, nn.MSELoss()
    if name == "bernoulli":
        y = torch.rand(12, 3, generator=gen, dtype=torch.float64)
        return plain.double(), x, y, nn.BCEWithLogitsLoss()
    y = torch.randint(0, 3, (12,), generator=gen)
    loss = nn.CrossEntropyLoss(reduction="sum") if name == "sum" else nn.CrossEntropyLoss()
    return plain.double(), x, y, loss


CASES = ("classes", "sum", "squared", "bernoulli", "tokens", "cnn")


class Dense:
    """The same matrices by torch.autograd.functional, output by output."""

    def __init__(self, model, x, y, loss):
        names = [n for n, _ in model.named_parameters()]
        shapes = [p.shape for p in model.parameters()]
        self.flat = torch.cat([p.detach().reshape(-1) for p in model.parameters()])

        def outputs(flat):
            parts = flat.split([s.numel() for s in shapes])
            pieces = {n: p.reshape(s) for n, p, s in zip(names, parts, shapes, strict=True)}
            return torch.func.functional_call(model, pieces, (x,))

        self.y, self.loss = y, loss
        z = outputs(self.flat)
        jac = torch.autograd.functional.jacobian(outputs, self.flat)
        if isinstance(loss, nn.CrossEntropyLoss):  # tokens and examples alike: (samples, classes)
            z, jac = z.movedim(1, -1), jac.movedim(1, -2)
            seen = (y != -100).reshape(-1)
            z, jac = z.reshape(-1, z.shape[-1])[seen], jac.reshape(-1, *jac.shape[-2:])[seen]
            self.y = y.reshape(-1)[seen]
        self.z, self.jac, self.outputs = z, jac, outputs

    def fisher(self):
        p = self.z.softmax(1)
        if isinstance(self.loss, nn.CrossEntropyLoss):
            middle = torch.diag_embed(p) - p[:, :, None] * p[:, None]
        elif isinstance(self.loss, nn.MSELoss):
            middle = torch.eye(self.z.shape[1]).double().expand(len(p), -1, -1)
        else:
            s = self.z.sigmoid()
            middle = torch.diag_embed(s * (1 - s))
        return torch.einsum("tap,tab,tbq->pq", self.jac, middle, self.jac) / len(self.z)

    def own(self, mean):
        """The Fisher matrix in the loss's own reduction, the Gauss-Newton matrix."""
        n, c = self.z.shape
        if isinstance(self.loss, nn.MSELoss):
            return 2 * mean / c
        if isinstance(self.loss, nn.BCEWithLogitsLoss):
            return mean / c
        return mean * n if self.loss.reduction == "sum" else mean

    def empirical(self):
        if isinstance(self.loss, nn.CrossEntropyLoss):
            slope = self.z.softmax(1) - functional.one_hot(self.y, self.z.shape[1])
        elif isinstance(self.loss, nn.MSELoss):
            slope = self.z - self.y
        else:
            slope = self.z.sigmoid() - self.y
        each = torch.einsum("tap,ta->tp", self.jac, slope)
        return each.T @ each / len(each)

    def hessian(self, y):
        return torch.autograd.functional.hessian(lambda f: self.loss(self.outputs(f), y), self.flat)


@pytest.mark.parametrize("name", CASES)
def test_every_kind_against_dense(name):
    model, x, y, loss = case(name)
    dense = Dense(model, x, y, loss)
    wanted = {
        "fisher": dense.fisher(),
        "ggn": dense.own(dense.fisher()),
        "empirical": dense.empirical(),
        "hessian": dense.hessian(y),
    }
    for kind, matrix in wanted.items():
        op = nakami.fisher(model, (x, y), loss, kind)
        check_operator(op, matrix)
        assert op.n_samples == len(dense.z)
        assert op.value == pytest.approx(float(loss(model(x), y).detach()))
    slope = torch.autograd.functional.jacobian(lambda f: loss(dense.outputs(f), y), dense.flat)
    assert_close(op.gradient(), slope)


def test_the_comparison_can_fail():
    model, x, y, loss = case("classes")
    matrix = Dense(model, x, y, loss).fisher()
    with pytest.raises(AssertionError):
        check_operator(nakami.fisher(model, (x, y), loss, "empirical"), matrix)


@pytest.mark.parametrize("budget", [None, 3000])
@pytest.mark.parametrize("name", ["classes", "tokens", "squared"])
def test_batches_and_budgets_change_nothing(name, budget):
    model, x, y, loss = case(name)
    whole = nakami.fisher(model, (x, y), loss, "ggn")
    parts = [(x[:3], y[:3]), (x[3:4], y[3:4]), (x[4:], y[4:])]
    op = nakami.fisher(model, iter(parts), loss, "ggn", memory_budget=budget)
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
    with pytest.raises(ValueError, match=r"loss must be a plain negative log-likelihood for kind="):
        nakami.fisher(model, (x, y), own)
    dense = Dense(model, x, y, nn.CrossEntropyLoss())
    for loss in (weighted.double(), own):
        op = nakami.fisher(model, (x, y), loss, "hessian")
        f = lambda flat, loss=loss: loss(dense.outputs(flat), y)  # noqa: E731
        check_operator(op, torch.autograd.functional.hessian(f, dense.flat))
        inner = torch.autograd.functional.hessian(lambda z, loss=loss: loss(z, y), dense.z)
        matrix = torch.einsum("tap,tasb,sbq->pq", dense.jac, inner, dense.jac)
        check_operator(nakami.fisher(model, (x, y), loss, "ggn"), matrix)


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
        ({"kind": "natural"}, "kind must be one of fisher, ggn, empirical, hessian, got 'natural'"),
        ({"loss": "hinge"}, "loss 'hinge' is unknown; nearest: 'cross_entropy'"),
        ({"loss": 3}, "loss must be a torch loss module, its name or a function"),
        ({"loss": nn.MSELoss(reduction="none")}, "loss must have reduction 'mean' or 'sum', got"),
        ({"loss": "mse"}, r"the targets of a batch must have the shape of the outputs, \(12, 3\)"),
        ({"y": torch.full((12,), 3)}, r"the targets of a batch must be classes from 0 to 2, got 3"),
        ({"y": torch.zeros(12, 7)}, r"targets of a batch must have shape \(12,\) for outputs of"),
        ({"y": torch.zeros(11)}, "the targets of a batch must be 12 like the examples, got"),
        ({"data": []}, "data must hold at least one batch, got an empty iterable"),
        ({"data": torch.ones(3)}, r"data must be \(x, y\) or batches of \(x, y\), got Tensor"),
        ({"data": [torch.ones(3)]}, r"a batch must be a pair \(x, y\), got Tensor"),
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
        nakami.fisher(model, (x * 1e300, y), lambda z, t: (z * 1e300).square().sum(), "ggn")
    model.requires_grad_(False)
    with pytest.raises(ValueError, match="model must have parameters that require a gradient"):
        nakami.fisher(model, (x, y), loss)
