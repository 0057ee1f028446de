"""What a model writes while it runs is right for us and leaves no trace for its user."""

import pickle

import pytest
import torch
from torch import nn

import nakami

X = torch.rand(6, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
Y = torch.tensor([0, 1, 1, 0, 1, 0])


class Writes(nn.Module):
    """Normalises its input in place, always or where it is large."""

    def __init__(self, always=True):
        super().__init__()
        torch.manual_seed(0)
        self.always, self.enter, self.leave = always, nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x):
        if self.always or x.max() > 0.9:
            x -= 0.5
            x /= 0.25
        return self.leave(torch.tanh(self.enter(x)))


class Plain(Writes):
    def forward(self, x):
        return super().forward(x.clone())


class Keeps(nn.Module):
    """Keeps a table of positions, states, a count and a list, as many models do."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.linear, self.table, self.state = nn.Linear(3, 3), None, None
        self.calls, self.seen, self.named = 0, [], {}

    def forward(self, x):
        if self.table is None:
            self.table = torch.cos(torch.arange(x.shape[-1], dtype=x.dtype))
        self.calls += 1
        self.state = self.linear(x) * self.table
        self.seen.append(self.state)
        self.named["last"] = self.state
        self.register_buffer("made", self.table)
        return self.state


def sgd(model):
    return torch.optim.SGD(model.parameters(), lr=0.1)


READINGS = {
    "jacobian": lambda m: nakami.jacobian(m, X[:1]).dense(),
    "by parameters": lambda m: nakami.jacobian(m, X[:1], wrt="parameters").dense(),
    "by a stage": lambda m: nakami.jacobian(m, X[:1], ["enter", "leave"]).dense(),
    "fisher": lambda m: nakami.fisher(m, (X, Y), "cross_entropy").dense(),
    "hessian": lambda m: nakami.hessian(m, (X, Y), "cross_entropy").dense(),
    "trace": lambda m: nakami.trace(nakami.ggn(m, (X, Y), "cross_entropy")).value,
    "limit": lambda m: nakami.rate_limit(m, (X, Y), "cross_entropy", sgd(m)).limit,
    "rate": lambda m: nakami.learning_rate(m, (X, Y), "cross_entropy", sgd(m)).advised,
    "xray": lambda m: torch.tensor(nakami.xray(m, X[:2]).spectra[0].values),
}


@pytest.mark.parametrize("reading", READINGS)
@pytest.mark.parametrize("always", [True, False])
def test_a_model_that_writes_to_its_input(reading, always):
    before = X.clone()
    net, plain = (kind(always).double() for kind in (Writes, Plain))
    got, want = READINGS[reading](net), READINGS[reading](plain)
    torch.testing.assert_close(got, want, rtol=1e-9, atol=1e-12)
    assert torch.equal(X, before)


def test_the_plain_one_is_right():
    net = Plain().double()
    want = torch.autograd.functional.jacobian(lambda v: net(v)[0], X[:1])[:, 0]
    torch.testing.assert_close(nakami.jacobian(net, X[:1]).dense(), want, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kept", [False, True])
def test_what_a_model_keeps_is_what_it_kept(kept):
    net = Keeps()
    if kept:
        net(X[:1].float())
        net.state = net.named["last"] = net.seen[0] = net.state.detach()
    before, had = pickle.dumps(net), {**vars(net), "seen": list(net.seen)}
    nakami.jacobian(nakami.View(net, dtype="float64"), X[:1].float()).dense()
    nakami.trace(nakami.fisher(nakami.View(net, dtype="float64"), (X, Y), "cross_entropy"))
    assert pickle.dumps(net) == before
    assert all(vars(net)[name] is value for name, value in had.items() if name != "seen")
    assert net(X[:1].float()).dtype == torch.float32
    assert net.calls == 1 + kept


def test_a_product_of_a_model_that_was_called_meanwhile():
    net = Keeps().double()
    op = nakami.jacobian(net, X[:1])
    want = op.dense()
    for _ in range(3):
        net(X[:1])
    assert torch.equal(op.dense(), want)
    torch.testing.assert_close(nakami.jacobian(net, X[:1]).dense(), want, rtol=1e-12, atol=1e-14)
