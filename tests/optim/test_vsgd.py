"""vSGD beside its recursion in NumPy, number by number, and its curvature beside a matrix."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

import nakami
from nakami.optim import VSGD
from nakami.results import UsageError

FORMS = ("local", "block", "global")


def reference(form, blocks, gradients, curvatures, slow=10, caution=10.0, floor=0.1):
    """The moves of each step; ``blocks`` says which numbers share what, ``(steps, n)`` the rest."""
    n = gradients.shape[1]
    groups = {
        "local": [[i] for i in range(n)],
        "block": [list(b) for b in blocks],
        "global": [list(range(n))],
    }[form]
    g_avg, h_avg, moves = np.zeros(n), np.zeros(n), []
    v_avg, memory = np.zeros(len(groups)), np.ones(len(groups))
    for t, (g, h) in enumerate(zip(gradients, curvatures, strict=True), start=1):
        move = np.zeros(n)
        for k, own in enumerate(groups):
            if t <= slow:
                memory[k] = t
            for i in own:
                g_avg[i] += (g[i] - g_avg[i]) / memory[k]
                h_avg[i] += (abs(h[i]) - h_avg[i]) / memory[k]
            v_avg[k] += (sum(g[i] ** 2 for i in own) - v_avg[k]) / memory[k]
            if t == slow:
                v_avg[k] *= caution
                h_avg[own] *= caution
        for k, own in enumerate(groups):
            if t > slow:
                share = sum(g_avg[i] ** 2 for i in own) / v_avg[k]
                (block,) = (list(b) for b in blocks if own[0] in b)
                least = floor * h_avg[block].mean() if form == "local" else 0.0
                rate = share / max(least, *(h_avg[i] for i in own))
                move[own] = -rate * g[own]
                memory[k] = (1 - share) * memory[k] + 1
        moves.append(move)
    return np.stack(moves)


def weights():
    return [nn.Parameter(torch.zeros(n, dtype=torch.float64)) for n in (3, 2)]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "settings", [{}, {"slow_start": 3, "caution": 5.0, "lr": 0.5}, {"floor": 2.0, "caution": 1}]
)
def test_steps_are_those_of_the_recursion(form, settings):
    draw = np.random.default_rng(0)
    gradients = draw.normal([1.0, 0.1, -3.0, 0.5, 0.0], size=(40, 5))
    curvatures = draw.normal([1.0, 2.0, 0.5, 5.0, -1.0], size=(40, 5))
    own = {{"slow_start": "slow"}.get(k, k): v for k, v in settings.items() if k != "lr"}
    wanted = reference(form, [range(3), range(3, 5)], gradients, curvatures, **own)
    parts = weights()
    optimizer, path = VSGD(parts, "mse", form, **settings), []
    for g, h in zip(gradients, curvatures, strict=True):
        for p, grad, curvature in zip(parts, np.split(g, [3]), np.split(h, [3]), strict=True):
            p.grad = torch.from_numpy(grad)
            optimizer.take_curvature([(p, torch.from_numpy(curvature))])
        optimizer.step()
        path.append(torch.cat(parts).detach())
    wanted = settings.get("lr", 1.0) * torch.from_numpy(wanted).cumsum(0)
    assert_close(torch.stack(path), wanted, rtol=1e-11, atol=1e-13)
    with pytest.raises(AssertionError, match="not close"):
        assert_close(torch.stack(path), 1.001 * wanted, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("loss", ["mse", "cross_entropy", "bce_with_logits"])
def test_what_is_observed_is_in_the_mean_the_diagonal_of_the_gauss_newton_matrix(loss):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 3)).double()
    x = torch.randn(6, 3, dtype=torch.float64)
    y = torch.randint(0, 3, (6,)) if loss == "cross_entropy" else torch.rand(6, 3).double()
    wanted = nakami.ggn(model, (x, y), loss).dense().diagonal()
    optimizer, draws = VSGD(model.parameters(), loss), []
    outputs = model(x)
    for _ in range(600):
        optimizer.observe(outputs, y)
        draws.append(torch.cat([h.flatten() for _, h in optimizer._observed()]))
    draws = torch.stack(draws)
    error = draws.std(0) / len(draws) ** 0.5
    assert float(((draws.mean(0) - wanted) / error).abs().max()) < 4.5
    assert float((wanted / error).max()) > 20  # so that a factor would be seen


def test_a_noisy_quadratic_is_descended_by_a_rate_that_falls():
    gen = torch.Generator().manual_seed(0)
    w = nn.Parameter(torch.full((20,), 5.0, dtype=torch.float64))
    optimizer = VSGD([w], "mse", caution=2)
    for _ in range(1500):
        w.grad = 2 * (w.detach() - 0.5 * torch.randn(20, generator=gen, dtype=torch.float64))
        optimizer.take_curvature([(w, torch.full_like(w, 2.0))])
        optimizer.step()
    state = optimizer.state[w]
    rates = state["grad_avg"] ** 2 / (2 * state["square_avg"])
    assert float(w.detach().square().mean()) < 2e-3  # of the noise's 0.25
    assert float(rates.median()) < 0.02
    assert float(state["memory"].median()) > 100


def trained(steps, optimizer, model, x, y):
    for _ in range(steps):
        optimizer.zero_grad()
        outputs = model(x)
        optimizer.observe(outputs, y)
        loss = nn.functional.mse_loss(outputs, y)
        loss.backward()
        optimizer.step()
    return float(loss.detach())


@pytest.mark.parametrize("form", FORMS)
def test_a_model_is_trained_and_a_saved_state_goes_on_to_the_same_bits(form):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
    x = torch.randn(40, 3)
    y = x.sum(1, keepdim=True).sin()
    first = float(nn.functional.mse_loss(model(x), y).detach())
    optimizer = VSGD(model.parameters(), "mse", form, lr=0.1)
    trained(30, optimizer, model, x, y)
    other = copy.deepcopy(model)
    loaded = VSGD(other.parameters(), nn.MSELoss(), form, lr=9.0)
    loaded.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    ends = [trained(60, *pair, x, y) for pair in ((optimizer, model), (loaded, other))]
    assert ends[0] == ends[1] < 0.5 * first
    assert_close(other.state_dict(), model.state_dict(), rtol=0, atol=0)


def test_weights_without_gradients_stay_and_groups_have_rates_of_their_own():
    parts = weights()
    optimizer = VSGD([{"params": parts[:1], "lr": 0.0}, {"params": parts[1:]}], "mse", slow_start=1)
    for _ in range(3):
        for p in parts:
            p.grad = torch.ones_like(p)
        optimizer.take_curvature([(p, torch.ones_like(p)) for p in parts])
        optimizer.step()
    assert not parts[0].any()
    assert parts[1].all()
    parts[1].grad, before = None, parts[1].detach().clone()
    optimizer.step()
    assert torch.equal(parts[1].detach(), before)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"form": "layer"}, r"form must be one of local, block, global, got 'layer'; \"local\" is"),
        ({"lr": -1}, r"lr must be a number from 0 on, got -1; pass lr=1e-3\."),
        ({"slow_start": 0}, r"slow_start must be a whole number from 1 on, got 0; 10 is the def"),
        ({"caution": 0.5}, r"caution must be a number from 1 on, got 0\.5; leave it out\."),
        ({"floor": -1}, r"floor must be a number from 0 on, got -1; 0\.1 is the default\."),
        ({"eps": 0}, r"eps must be a number above 0, got 0; 1e-1?\d is the default\."),
        ({"loss": lambda z, y: z.sum()}, r"loss must have a Hessian of known root, got .*; pass "),
    ],
)
def test_wrong_arguments_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        VSGD(weights(), **{"loss": "mse", **settings})


def test_a_step_without_curvature_and_wrong_outputs_are_named():
    model, x = nn.Linear(3, 1), torch.ones(2, 3)
    optimizer = VSGD(model.parameters(), "mse")
    model(x).sum().backward()
    with pytest.raises(ValueError, match=r"VSGD must observe the model before its first step; "):
        optimizer.step()
    with pytest.raises(ValueError, match=r"outputs must be a tensor with its graph, got one with"):
        optimizer.observe(model(x).detach(), x[:, :1])
    with pytest.raises(ValueError, match=r"state_dict must be a VSGD's, got .*; pass what state_"):
        optimizer.load_state_dict(torch.optim.SGD(model.parameters()).state_dict())
    half = nn.Linear(3, 1).bfloat16()
    optimizer = VSGD(half.parameters(), "mse")
    half(x.bfloat16()).sum().backward()
    with pytest.raises(ValueError, match=r"be dense, in float32 or float64, got torch\.bfloat16"):
        optimizer.step()


def test_observing_too_late_and_a_missing_loss_are_said():
    net = torch.nn.Linear(3, 2)
    optimizer = VSGD(net.parameters(), "mse")
    outputs = torch.nn.Sequential(net, torch.nn.Tanh())(torch.ones(4, 3))
    outputs.square().mean().backward()
    with pytest.raises(
        UsageError, match="outputs must have their graph still, got a freed one; call"
    ):
        optimizer.observe(outputs, torch.zeros(4, 2))
    with pytest.raises(UsageError, match="loss must be given, for its Hessian, got none; pass"):
        VSGD(net.parameters(), lr=1.0)
