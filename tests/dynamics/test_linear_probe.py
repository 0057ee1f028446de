"""Linear classifiers by depth, against SciPy's minimiser, a closed form, and what depth undoes."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from torch import nn

import nakami
from nakami.dynamics import linear_probe
from nakami.results import UsageError


def xor(n, seed, noise=0.1):
    """Four clouds at the corners of a square; corners that face each other are of one class."""
    generator = torch.Generator().manual_seed(seed)
    corners = torch.randint(0, 2, (n, 2), generator=generator)
    x = corners.float() * 2 - 1 + noise * torch.randn(n, 2, generator=generator)
    return x, (corners[:, 0] + corners[:, 1]) % 2


def unfolding():
    """Its hidden units are the two diagonals' distances, by which the classes are told."""
    net = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 2))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0, 1], [-1, -1], [1, -1], [-1, 1]]))
        net[0].bias.zero_()
    return net


def test_depth_unfolds_what_no_line_divides():
    found = linear_probe(unfolding(), xor(400, 0), xor(1000, 1), ["1"])
    assert found.stages == ("input", "1")
    assert found.error[0] > 0.3
    assert found.error[1] == 0  # clouds ten deviations apart
    assert found.converged.all()
    assert found.standard_error[0] == pytest.approx(
        math.sqrt(found.error[0] * (1 - found.error[0]) / 1000)
    )
    assert found.rows()[1]["stage"] == "1"
    assert repr(found).startswith("LinearProbe(input ")


def test_the_fit_is_that_of_another_minimiser():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(90, 3, generator=generator, dtype=torch.float64)
    y = (x @ torch.randn(3, 3, generator=generator, dtype=torch.float64)).argmax(1)
    y[::7] = 0
    net, level = nn.Sequential(nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)).double(), 0.02
    found = linear_probe(net, (x, y), (x, y), ["1"], penalties=[level])
    for stage, states in enumerate((x, net[1](net[0](x)).detach())):
        z = states.numpy()
        z = (z - z.mean(0)) / z.std(0)

        def lost(flat, z=z, penalty=level):
            w = flat.reshape(3, -1)
            logits = z @ w[:, :-1].T + w[:, -1]
            top = logits.max(1, keepdims=True)
            total = (top + np.log(np.exp(logits - top).sum(1, keepdims=True)))[:, 0]
            value = (total - logits[np.arange(len(z)), y]).mean()
            return value + penalty / 2 * (w[:, :-1] ** 2).sum()

        best = minimize(lost, np.zeros(3 * (z.shape[1] + 1)), method="BFGS", options={"gtol": 1e-7})
        assert found.cross_entropy[stage] == pytest.approx(lost(best.x, penalty=0), rel=1e-3)
        w = best.x.reshape(3, -1)
        wrong = (z @ w[:, :-1].T + w[:, -1]).argmax(1) != y.numpy()
        assert found.error[stage] == pytest.approx(wrong.mean(), abs=1 / len(z))


def test_the_penalty_is_chosen_where_it_helps():
    # two entries tell the classes, 60 are noise: of 60 examples a weak penalty learns the noise
    generator = torch.Generator().manual_seed(0)

    def drawn(n):
        x = torch.randn(n, 62, generator=generator)
        return x, (x[:, 0] + x[:, 1] + torch.randn(n, generator=generator) > 0).long()

    train, test = drawn(60), drawn(4000)
    net = nn.Sequential(nn.Linear(62, 3), nn.Tanh())
    weak = linear_probe(net, train, test, ["1"], penalties=[1e-4])
    chosen = linear_probe(net, train, test, ["1"], penalties=[1e-4, 1e-2, 1.0])
    assert chosen.penalty[0] > weak.penalty[0] == 1e-4
    assert chosen.cross_entropy[0] < weak.cross_entropy[0]
    assert weak.train_error[0] == 0


def test_it_leaves_no_trace_and_is_the_same_again():
    net = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.ReLU()).train()
    net(torch.randn(8, 2))
    before = {k: v.clone() for k, v in net.state_dict().items()}
    random = torch.random.get_rng_state()
    found = [linear_probe(net, xor(60, 0), xor(50, 1), penalties=[0.01, 0.1]) for _ in range(2)]
    assert net.training
    assert torch.equal(torch.random.get_rng_state(), random)
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    assert np.array_equal(found[0].error, found[1].error)


def test_dead_entries_and_single_stages():
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    with torch.no_grad():
        net[0].bias[1] = -100.0  # never on
    found = linear_probe(net, xor(60, 0), xor(50, 1), "1")
    assert np.isfinite(found.cross_entropy).all()


def test_it_can_be_called_in_inference_mode():
    net, data, test = unfolding(), xor(40, 0), xor(30, 1)
    expected = linear_probe(net, data, test)
    with torch.inference_mode():
        inside = [tuple(part.clone() for part in parts) for parts in (data, test)]
        for given in ((data, test), inside):
            assert np.array_equal(linear_probe(net, *given).error, expected.error)


X, Y = xor(20, 0)


@pytest.mark.parametrize(
    ("data", "test", "words"),
    [
        (X, (X, Y), "data must be a pair of tensors, got Tensor; pass data=(inputs, labels)"),
        ((X, Y.float()), (X, Y), "data must hold one whole number, its class, for each example"),
        ((X, Y[:5]), (X, Y), "data must hold as many labels as inputs, one at least, got 20 inp"),
        ((X, Y - 1), (X, Y), "data must hold classes from 0 on, got -1; leave out examples wit"),
        ((X, Y * 10**9), (X, Y), "data must hold classes below its number of examples, 20, got 10"),
        ((X, Y), (X[:, :1], Y), "test must hold inputs of the shape of data, (2,), got (1,)"),
        ((X[:1], Y[:1] * 0), (X, Y * 0), "data must hold two examples to choose a penalty by, got"),
        ((X, Y), (X, Y + 1), "test must hold classes of data, got class 2, where data have 0 t"),
    ],
)
def test_wrong_use_is_one_sentence(data, test, words):
    with pytest.raises(UsageError) as told:
        linear_probe(unfolding(), data, test)
    assert words in str(told.value)


def test_penalties_and_networks_that_are_refused():
    with pytest.raises(UsageError, match="penalties must be numbers above 0, got 0"):
        linear_probe(unfolding(), (X, Y), (X, Y), penalties=[0])
    with pytest.raises(UsageError, match="penalties must hold one at least"):
        linear_probe(unfolding(), (X, Y), (X, Y), penalties=[])
    view = nakami.View(unfolding(), forward=lambda model, x: model(x - x.mean(0)))
    with pytest.raises(UsageError, match="model must see each example alone, got rows that see"):
        linear_probe(view, (X, Y), (X, Y))
