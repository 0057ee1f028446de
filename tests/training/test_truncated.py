"""Truncated back-propagation: the whole gradient where nothing is cut, and how much is lost."""

import pytest
import torch
from torch.testing import assert_close

from nakami.results import UsageError
from nakami.training import TruncatedBPTT, fit
from nakami.zoo.rnnlm import CELLS, RecurrentLM

T, N, WORDS = 12, 3, 7


def text(seed=0):
    gen = torch.Generator().manual_seed(seed)
    words = torch.randint(WORDS, (T + 1, N), generator=gen)
    return words[:-1], words[1:]


def model(cell="tanh", scale=1.0, layers=1):
    made = RecurrentLM(WORDS, 8, layers, cell, dtype=torch.float64)
    with torch.no_grad():
        for name, weight in made.named_parameters():
            if "weight_hh" in name:
                weight.mul_(scale)
    return made


def gradient(net, data, batches, **options):
    """The summed gradient over mini-batches in order, without a step."""
    method, found = TruncatedBPTT(net, torch.optim.SGD(net.parameters(), 0.0), **options), []
    method.epoch(0)

    def descend(loss, _):
        found.append(torch.autograd.grad(loss, list(net.parameters())))
        return loss.detach()

    for rows in torch.arange(T).split(T // batches):
        method.step(tuple(part[rows] for part in data), descend)
    return torch.cat([sum(parts).flatten() / batches for parts in zip(*found, strict=True)])


def whole(net, data):
    x, y = (part.T for part in data)
    loss = net.loss(net.unroll(x)[0], y)
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(net.parameters()))])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("window", [None, T, T + 5])
def test_nothing_cut_is_the_whole_gradient(cell, window):
    net, data = model(cell, layers=2), text()
    assert_close(gradient(net, data, 1, window=window), whole(net, data), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("cell", ["tanh", "lstm"])
@pytest.mark.parametrize("window", [1, 2, 5])
def test_the_gradient_of_each_output_goes_back_so_many_steps(cell, window):
    net, data = model(cell), text()
    x, y = (part.T for part in data)
    state, loss, states = net.start(N), 0.0, []
    for t in range(T):
        states.append(state)
        first = max(0, t - window + 1)
        outputs, _ = net.unroll(x[:, first : t + 1], states[first].detach())
        loss = loss + net.loss(outputs[:, -1:], y[:, t : t + 1]) / T
        state = net.unroll(x[:, t : t + 1], state)[1].detach()
    wanted = torch.autograd.grad(loss, list(net.parameters()))
    wanted = torch.cat([g.flatten() for g in wanted])
    for batches in (1, 2, 3, 12):  # where a mini-batch ends decides nothing
        assert_close(gradient(net, data, batches, window=window), wanted, rtol=1e-11, atol=1e-14)


def test_what_is_lost_falls_with_the_window_in_a_contractive_net():
    net, data = model(scale=0.35), text()
    exact = whole(net, data)
    lost = [
        float((gradient(net, data, 1, window=w) - exact).norm() / exact.norm()) for w in (1, 2, 4)
    ]
    assert 1e-2 < lost[0] < 0.5  # the sheet's example: 9e-2, 9e-3, 1e-3
    assert lost[1] < lost[0] / 2
    assert lost[2] < lost[1] / 4
    chunks = gradient(net, data, 3)  # the same steps back at most
    assert float((chunks - exact).norm() / exact.norm()) > lost[2]


def test_states_are_carried_on_and_begin_anew_with_an_epoch():
    net, data = model("gru"), text()
    x, y = (part.T for part in data)
    sgd = torch.optim.SGD(net.parameters(), 0.0)
    losses = fit(TruncatedBPTT(net, sgd), data, epochs=2, batch=5)
    wanted = float(net.loss(net.unroll(x)[0], y).detach())
    assert losses == pytest.approx([wanted, wanted], rel=1e-12)


def test_a_long_gradient_is_shortened():
    net, data = model(), text()
    before = [p.detach().clone() for p in net.parameters()]
    fit(TruncatedBPTT(net, torch.optim.SGD(net.parameters(), 1.0), most=0.01), data, epochs=1)
    moved = torch.cat([(p - q).flatten() for p, q in zip(net.parameters(), before, strict=True)])
    assert float(moved.detach().norm()) == pytest.approx(0.01, rel=1e-3)


def test_wrong_settings_are_refused():
    net = model()
    sgd = torch.optim.SGD(net.parameters(), 0.1)
    with pytest.raises(UsageError, match="window must be a whole number from 1 on, got 0"):
        TruncatedBPTT(net, sgd, window=0)
    with pytest.raises(UsageError, match="most must be a number above 0, got -1"):
        TruncatedBPTT(net, sgd, most=-1)
