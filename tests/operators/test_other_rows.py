"""Outputs of another number of rows than inputs: graphs, time along axis 0, packed sequences."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import rnn
from torch.testing import assert_close

import nakami
from gauntlet import Reference
from nakami.results import UsageError


class Graphs(nn.Module):
    """One step along the edges, then the sum over the nodes of each graph."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.last = nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, x, edges, graph):
        h = self.first(x)
        h = torch.tanh(torch.zeros_like(h).index_add(0, edges[1], h[edges[0]]))
        return self.last(h.new_zeros(int(graph.max()) + 1, 5).index_add(0, graph, h))


class Steps(nn.Module):
    """The last state of a recurrent layer; time along axis 0, or packed."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.inner, self.last = nn.RNN(4, 5), nn.Linear(5, 3)

    def forward(self, x):
        return self.last(self.inner(x)[1][-1])


class Mean(nn.Module):
    """One number for all of a batch."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.inner = nn.Linear(4, 1)

    def forward(self, x):
        return self.inner(x).tanh().mean()


def graphs(count):
    """Eight nodes in some graphs, with a class for each graph."""
    gen = torch.Generator().manual_seed(count)
    x = torch.randn(8, 4, generator=gen, dtype=torch.float64)
    edges = torch.randint(0, 8, (2, 12), generator=gen)
    graph = torch.arange(8) * count // 8
    return (x, edges, graph), torch.randint(0, 3, (count,), generator=gen)


def steps(length, count):
    gen = torch.Generator().manual_seed(length)
    x = torch.randn(length, count, 4, generator=gen, dtype=torch.float64)
    return x, torch.randint(0, 3, (count,), generator=gen)


def packed(lengths):
    gen = torch.Generator().manual_seed(0)
    each = [torch.randn(n, 4, generator=gen, dtype=torch.float64) for n in lengths]
    x = rnn.pack_sequence(each, enforce_sorted=False)
    return x, torch.randint(0, 3, (len(lengths),), generator=gen)


def mean():
    x, _ = steps(6, 1)
    return x[:, 0], torch.tensor(0.3, dtype=torch.float64)


CASES = {
    "graphs, one target each": (Graphs, lambda: graphs(2), "cross_entropy"),
    "graphs whose number does not divide": (Graphs, lambda: graphs(3), "cross_entropy"),
    "time first, fewer sequences than steps": (Steps, lambda: steps(6, 4), "cross_entropy"),
    "time first, more sequences than steps": (Steps, lambda: steps(3, 4), "cross_entropy"),
    "one number": (Mean, mean, "mse"),
    "packed": (Steps, lambda: packed((2, 4, 3)), "cross_entropy"),
}
LOSSES = {"cross_entropy": functional.cross_entropy, "mse": functional.mse_loss}


def call(model, x):
    return model(*x) if type(x) is tuple else model(x)


@pytest.mark.parametrize("budget", [None, 1 << 16])
@pytest.mark.parametrize("name", CASES)
def test_matrices_beside_dense_ones(name, budget):
    make, data, loss = CASES[name]
    model, (x, y) = make().double(), data()
    wanted, plain = Reference(model, call), LOSSES[loss]
    found = nakami.ggn(model, [(x, y)], loss, memory_budget=budget).dense()
    assert_close(found, wanted.ggn(x, y, plain), rtol=1e-9, atol=1e-12)
    found = nakami.hessian(model, [(x, y)], loss, memory_budget=budget).dense()
    assert_close(found, wanted.hessian(x, y, plain), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("loss", ["cross_entropy", lambda z, y: functional.cross_entropy(z, y)])
def test_two_batches_are_weighed_by_their_targets(loss):
    model = Steps().double()
    pairs = [steps(6, 4), steps(5, 2)]
    wanted = Reference(model)
    each = [wanted.hessian(x, y, functional.cross_entropy) for x, y in pairs]
    found = nakami.hessian(model, pairs, loss).dense()
    assert_close(found, (4 * each[0] + 2 * each[1]) / 6, rtol=1e-9, atol=1e-12)


def test_targets_of_another_number_than_outputs_are_refused():
    model, (x, y) = Steps().double(), steps(6, 4)
    with pytest.raises(UsageError, match=r"must have shape \(4,\) for outputs of shape \(4, 3\)"):
        nakami.hessian(model, [(x, y[:3])], "cross_entropy")
    net = nn.Linear(4, 3).double()
    with pytest.raises(UsageError, match=r"must be 6 like the examples, got \(4,\)"):
        nakami.hessian(net, [(x[:, 0], y)], "cross_entropy")


def test_one_number_has_every_reading():
    model, (x, y) = Mean().double(), mean()
    wanted = Reference(model).ggn(x, y, functional.mse_loss)
    found = nakami.ggn(model, [(x, y)], "mse")
    (largest,) = torch.linalg.eigvalsh(wanted)[-1:]
    assert_close(found.kernel.dense(), largest.reshape(1, 1), rtol=1e-9, atol=0)
    limit = nakami.rate_limit(model, [(x, y)], "mse")
    assert limit.lambda_max == pytest.approx(float(largest), rel=1e-9)
    drawn = nakami.fisher(model, [(x, y)], "mse", samples=3).dense()
    ratio = drawn / (wanted / 2)  # of a likelihood of variance 1; one row, so a multiple of it
    assert_close(ratio, ratio[0, 0].expand_as(ratio), rtol=1e-9, atol=0)
