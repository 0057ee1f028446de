"""Critical sharpness against closed forms, a fine scan, and the largest eigenvalue."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

import nakami
from nakami.geometry import CriticalEnding
from nakami.results import UsageError


def regression(seed=0, n=40, bias=False):
    """A linear model, whose squared error is exactly quadratic, and its Hessian."""
    g = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 5, generator=g, dtype=torch.float64) * torch.logspace(-0.5, 0.5, 5)
    y = torch.randn(n, 1, generator=g, dtype=torch.float64)
    model = nn.Linear(5, 1, bias=bias).double()
    with torch.no_grad():
        model.weight.copy_(torch.randn(1, 5, generator=g, dtype=torch.float64))
    return model, x, y, 2 * x.T @ x / n


def gradient(model, x, y):
    return torch.autograd.grad(F.mse_loss(model(x), y), model.weight)[0][0]


def test_gradient_descent_on_a_quadratic_is_the_curvature_along_the_gradient():
    model, x, y, hessian = regression()
    g = gradient(model, x, y)
    wanted = float(g @ hessian @ g / (g @ g))
    found = nakami.critical_sharpness(model, (x, y), "mse", tol=1e-4)
    assert found.value == pytest.approx(wanted, rel=1e-4)
    assert found.value < float(torch.linalg.eigvalsh(hessian)[-1])
    (low, high) = found.brackets[0]
    assert low < 2 / wanted < high
    assert (found.converged, found.n_samples, found.error) == (True, 40, None)
    assert "rises from" in found.reason
    at_once = nakami.critical_sharpness(model, (x, y), "mse")
    assert at_once.cost <= 1 + 9 / 3
    assert at_once.value == pytest.approx(wanted, rel=0.06)


@pytest.mark.parametrize("name", ["adam", "momentum", "rmsprop", "muon"])
def test_other_optimizers_step_their_own_way(name):
    model, x, y, hessian = regression(1)
    moved = copy.deepcopy(model)
    kinds = {
        "adam": lambda p: torch.optim.Adam(p, lr=1.0),
        "momentum": lambda p: torch.optim.SGD(p, lr=1.0, momentum=0.9),
        "rmsprop": lambda p: torch.optim.RMSprop(p, lr=1.0),
        "muon": lambda p: torch.optim.Muon(p, lr=1.0),  # no limit of it is known
    }
    optimizer, mine = kinds[name](moved.parameters()), kinds[name](model.parameters())
    for net, steps in ((moved, optimizer), (model, mine)):  # a state that is not empty
        for group in steps.param_groups:
            group["lr"] = 1e-3
        for _ in range(3):
            steps.zero_grad()
            F.mse_loss(net(x), y).backward()
            steps.step()
    g = gradient(model, x, y)
    before = moved.weight.detach()[0].clone()
    for group in optimizer.param_groups:
        group["lr"] = 1.0
    optimizer.zero_grad()
    F.mse_loss(moved(x), y).backward()
    optimizer.step()
    way = before - moved.weight.detach()[0]
    wanted = float(way @ hessian @ way / (g @ way))
    held = copy.deepcopy(mine.state_dict())
    found = nakami.critical_sharpness(model, (x, y), "mse", mine, tol=1e-3)
    assert found.value == pytest.approx(wanted, rel=1e-3)
    after = mine.state_dict()
    assert torch.equal(held["state"][0][next(iter(held["state"][0]))],
                       after["state"][0][next(iter(after["state"][0]))])  # fmt: skip


def test_relative_sharpness_follows_other_data_along_the_same_step():
    model, x, y, _ = regression(2)
    x2 = x + 0.3 * torch.randn(40, 5, generator=torch.Generator().manual_seed(9)).double()
    hessian = 2 * x2.T @ x2 / 40
    g, g2 = gradient(model, x, y), gradient(model, x2, y)
    wanted = float(g @ hessian @ g / (g2 @ g))
    found = nakami.critical_sharpness(model, (x, y), "mse", of=(x2, y), tol=1e-3)
    assert wanted > 0
    assert found.value == pytest.approx(wanted, rel=1e-3)
    away = 2 * model(x).detach() - y  # whose gradient is the opposite
    against = nakami.critical_sharpness(model, (x, y), "mse", of=(x, away))
    assert (against.rate, against.value) == (0.0, math.inf)
    assert against.outcome.kind is CriticalEnding.UPHILL
    assert not against.converged
    assert "raises the loss at any rate on one batch of 1" in against.reason


def test_batches_give_a_standard_error_and_a_network_agrees_with_a_scan():
    g = torch.Generator().manual_seed(0)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 3))
    x = torch.randn(4, 32, 6, generator=g)
    y = torch.randint(3, (4, 32), generator=g)
    held = copy.deepcopy(model.state_dict())
    found = nakami.critical_sharpness(model, list(zip(x, y, strict=True)), "cross_entropy")
    for xs, ys, rate in zip(x, y, found.rates, strict=True):
        copied = copy.deepcopy(model).double()
        start = F.cross_entropy(copied(xs.double()), ys)
        slopes = torch.autograd.grad(start, list(copied.parameters()))
        weights = [p.detach().clone() for p in copied.parameters()]
        for r in np.linspace(0.01, 2, 200) * rate:
            with torch.no_grad():
                for p, w, s in zip(copied.parameters(), weights, slopes, strict=True):
                    p.copy_(w - r * s)
                if F.cross_entropy(copied(xs.double()), ys) > start:
                    break
        assert rate == pytest.approx(r, rel=0.07)
    logs = np.log(found.rates)
    assert found.rate == pytest.approx(float(np.exp(logs.mean())))
    assert found.error == pytest.approx(float(logs.std(ddof=1) / 2))
    assert all(torch.equal(held[key], part) for key, part in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_a_loss_that_only_falls_is_said():
    model = nn.Linear(2, 1, bias=False).double()
    x = torch.ones(3, 2, dtype=torch.float64)

    def endless(z, y):
        return -z.mean()

    found = nakami.critical_sharpness(model, (x, x[:, :1]), endless)
    assert (found.rate, found.value) == (math.inf, 0.0)
    assert found.outcome.kind is CriticalEnding.ENDLESS
    assert "still falls at the highest rate" in found.reason


def test_bad_input_is_one_sentence():
    model, x, y, _ = regression()
    with pytest.raises(UsageError, match="of must have as many batches as data, 1, got 2"):
        nakami.critical_sharpness(model, (x, y), "mse", of=[(x, y), (x, y)])
    with pytest.raises(UsageError, match="tol must"):
        nakami.critical_sharpness(model, (x, y), "mse", tol=0)
    with pytest.raises(UsageError, match="optimizer 'lbfgs' is unknown"):
        nakami.critical_sharpness(model, (x, y), "mse", "lbfgs")
