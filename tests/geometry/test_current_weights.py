"""Readings belong to the weights they mean, also if an operator was built before training."""

import numpy as np
import pytest
import torch
from torch import nn

import nakami
from nakami.geometry import Measures, RateControl, learning_rate_report, noise_scale
from nakami.geometry.control import _sharpness

LOSS = nn.CrossEntropyLoss()


def network():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2)).double()
    net[1].num_batches_tracked += 1  # its statistics are meant
    return net


def data():
    gen = torch.Generator().manual_seed(1)
    x = torch.randn(20, 2, generator=gen, dtype=torch.float64)
    return x, (x[:, 0] > 0.3 * x[:, 1]).long()


def train(model, optimizer, x, y, steps, after=lambda loss: None):
    model.train()  # running statistics move as well
    for _ in range(steps):
        optimizer.zero_grad()
        loss = LOSS(model(x), y)
        loss.backward()
        optimizer.step()
        after(loss)


def scaled_top(model, optimizer, x, y):
    """The largest eigenvalue in the optimizer's coordinates, dense, of a fresh operator."""
    matrix = nakami.ggn(model, (x, y), LOSS).dense()
    if isinstance(optimizer, torch.optim.Adam):
        state = [optimizer.state[p] for p in model.parameters()]
        seen = 1 - 0.999 ** float(state[0]["step"])
        d = torch.cat([s["exp_avg_sq"].reshape(-1) for s in state]).div(seen).sqrt() + 1e-8
        matrix = matrix / (d[:, None] * d).sqrt()
    return float(torch.linalg.eigvalsh(matrix)[-1])


KINDS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.5, momentum=0.9),
    "adam": lambda p: torch.optim.Adam(p, lr=0.02),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_control_reports_the_sharpness_of_the_weights_at_its_measure(kind, monkeypatch):
    monkeypatch.setattr(_sharpness, "COLD", 30)  # more products than parameters: exact
    monkeypatch.setattr(_sharpness, "WARM", 30)
    model, (x, y) = network(), data()
    optimizer = KINDS[kind](model.parameters())
    rate = optimizer.param_groups[0]["lr"]
    view = nakami.View(model, batch_statistics=False)  # the running ones, which change, too
    control = RateControl(
        view, optimizer, (x, y), LOSS, rate, warmup=0, measures=Measures(budget=0.99, every=7)
    )
    control.every, control.measures = 7, Measures(budget=0.99, batch_size=10**6)
    control._worth = 1e6
    first, wanted = scaled_top(model, torch.optim.SGD(model.parameters()), x, y), []

    def after(loss):
        if control.step(loss) is not None:
            wanted.append(scaled_top(model, optimizer, x, y))

    train(model, optimizer, x, y, 25, after)
    assert len(wanted) >= 3
    assert [record.sharpness for record in control.log] == pytest.approx(wanted, rel=1e-9)
    assert wanted[-1] != pytest.approx(first, rel=0.1)  # the weights did move


@pytest.mark.parametrize("kind", KINDS)
def test_a_reading_after_training_is_that_of_the_present_weights(kind):
    model, (x, y) = network(), data()
    optimizer = KINDS[kind](model.parameters())
    halves = [(x[:10], y[:10]), (x[10:], y[10:])]
    before = learning_rate_report(model, halves, LOSS, "sgd")
    train(model, optimizer, x, y, 12)
    found = learning_rate_report(model, halves, LOSS, optimizer).limit
    assert found.sharpness == pytest.approx(scaled_top(model, optimizer, x, y), rel=1e-3)
    model.eval()
    assert found.value == pytest.approx(LOSS(model(x), y).item())
    gradients = []
    for a, b in halves:
        grads = torch.autograd.grad(LOSS(model(a), b), list(model.parameters()))
        gradients.append(torch.cat([g.reshape(-1) for g in grads]))
    assert found.noise.trace == pytest.approx(noise_scale(gradients, [10, 10]).trace)
    assert found.sharpness != pytest.approx(before.limit.sharpness, rel=0.1)
    assert found.noise.trace != pytest.approx(before.limit.noise.trace, rel=0.1)


def test_eigenvalues_and_loss_of_a_report_are_those_of_the_present_weights():
    model, (x, y) = network(), data()
    train(model, torch.optim.SGD(model.parameters(), lr=0.5), x, y, 12)
    found = learning_rate_report(model, (x, y), LOSS, "adam")  # trials end at other weights
    plain = torch.optim.SGD(model.parameters())
    assert found.eigenvalues.largest == pytest.approx(scaled_top(model, plain, x, y), rel=1e-3)
    assert found.value == pytest.approx(LOSS(model.eval()(x), y).item())
    assert found.value != pytest.approx(found.limit.value, rel=1e-3)


@pytest.mark.parametrize("number", [np.float32, np.float64, torch.tensor, int])
def test_numbers_of_numpy_and_torch_are_numbers(number):
    model, (x, y) = network(), data()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    control = RateControl(model, optimizer, (x, y), LOSS, number(1), steps=np.int64(500))
    control.step(number(2))
    assert control.target == 1.0
