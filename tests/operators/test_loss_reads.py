"""Losses that read the parameters themselves: refused, or right where forward returns the term."""

import pytest
import torch
from torch import nn
from torch.nn import functional

import nakami
from nakami.results import UsageError

MATRICES = (nakami.hessian, nakami.ggn)


class Net(nn.Module):
    """A small network that may keep, or return, a penalty on its first weights."""

    def __init__(self, returns=False):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(4, 5), nn.Linear(5, 3)
        self.returns, self.penalty = returns, 0.0
        self.double()

    def forward(self, x):
        self.penalty = self.first.weight.square().sum()
        z = self.last(self.first(x).tanh())
        return (z, self.penalty) if self.returns else z


def data(*sizes):
    gen = torch.Generator().manual_seed(1)
    return [
        (
            torch.randn(n, 4, generator=gen, dtype=torch.float64),
            torch.randint(0, 3, (n,), generator=gen),
        )
        for n in sizes
    ]


def held_list(model):
    weights = list(model.parameters())
    return lambda z, y: functional.cross_entropy(z, y) + sum(w.square().sum() for w in weights)


def by_the_model(model):
    return lambda z, y: functional.cross_entropy(z, y) + model.last.weight.square().sum()


def by_what_it_keeps(model):
    return lambda z, y: functional.cross_entropy(z, y) + 0.1 * model.penalty


def by_a_second_call(model):
    other = torch.ones(2, 4, dtype=torch.float64)
    return lambda z, y: functional.cross_entropy(z, y) + model(other).square().mean()


READS = {
    held_list: "first.weight",
    by_the_model: "last.weight",
    by_what_it_keeps: "first.weight",
    by_a_second_call: "first.weight",
}


@pytest.mark.parametrize("make", READS)
def test_a_loss_that_reads_the_parameters_itself_is_refused(make):
    model = Net()
    message = (
        "loss must read the parameters by the model's outputs alone, got one that reads "
        f"'{READS[make]}' itself; let forward return that term beside its outputs: the loss gets "
        "all of them"
    )
    for matrix in MATRICES:
        with pytest.raises(UsageError) as caught:
            matrix(model, data(6), make(model))
        assert message in str(caught.value)
    with pytest.raises(UsageError, match="by the model's outputs alone"):
        nakami.learning_rate(model, data(6), make(model))
    with pytest.raises(UsageError, match="by the model's outputs alone"):
        nakami.rate_limit(model, data(6), make(model))
    assert all(p.grad is None for p in model.parameters())


def test_the_graph_of_a_term_that_the_caller_holds_stays_usable():
    model = Net()
    model(data(6)[0][0])
    held = model.penalty
    with pytest.raises(UsageError, match="by the model's outputs alone"):
        nakami.hessian(model, data(6), lambda z, y: functional.cross_entropy(z, y) + held)
    (slope,) = torch.autograd.grad(held, model.first.weight)
    torch.testing.assert_close(slope, 2 * model.first.weight.detach())


@pytest.mark.parametrize("sizes", [(6,), (6, 6)])
def test_a_term_that_forward_returns_is_a_part_of_the_hessian(sizes):
    model, batches = Net(returns=True), data(*sizes)

    def loss(out, y):
        return functional.cross_entropy(out[0], y) + 0.1 * out[1]

    found = nakami.hessian(model, batches, loss).dense()
    names = [n for n, _ in model.named_parameters()]
    shapes = [p.shape for p in model.parameters()]

    def whole(flat):
        parts = flat.split([s.numel() for s in shapes])
        pieces = {n: p.reshape(s) for n, p, s in zip(names, parts, shapes, strict=True)}
        values = [loss(torch.func.functional_call(model, pieces, (x,)), y) for x, y in batches]
        return torch.stack(values).mean()

    flat = torch.cat([p.detach().reshape(-1) for p in model.parameters()])
    wanted = torch.autograd.functional.hessian(whole, flat)
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-12)


def test_a_loss_with_parameters_of_its_own_is_none_of_these():
    model, scale = Net(), nn.Parameter(torch.tensor(2.0, dtype=torch.float64))
    found = nakami.hessian(model, data(6), lambda z, y: functional.cross_entropy(scale * z, y))
    fixed = nakami.hessian(model, data(6), lambda z, y: functional.cross_entropy(2.0 * z, y))
    torch.testing.assert_close(found.dense(), fixed.dense())


@pytest.mark.parametrize("matrix", MATRICES)
def test_what_comes_out_holds_no_graph_of_the_loss_own_parameters(matrix):
    model, scale = Net(), nn.Parameter(torch.tensor(2.0, dtype=torch.float64))
    found = matrix(model, data(6), lambda z, y: functional.cross_entropy(scale * z, y))
    v = torch.ones(found.shape[0], dtype=torch.float64)
    _, slope = found.loss_and_gradient(v)
    made = (found @ v, found @ v[:, None], found.dense(), found.gradient(), slope)
    assert [part.requires_grad for part in made] == [False] * 5
