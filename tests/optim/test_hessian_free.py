"""Hessian-free optimization against dense solves, a known minimum, and SGD at the same cost."""

import copy
import itertools
import pickle

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss
from torch.testing import assert_close

import nakami
from nakami.optim import HessianFree, NaturalGradient
from nakami.optim._conjugate_gradients import conjugate_gradients
from nakami.results import RunError, UsageError, UsageTypeError


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def train(optimizer, net, x, y, loss, count=1):
    for _ in range(count):
        optimizer.zero_grad()
        z = net(x)
        optimizer.observe(z, y)
        loss(z, y).backward()
        optimizer.step()


def flat(net):
    return torch.cat([p.detach().reshape(-1) for p in net.parameters()])


def quadratic(n=12, spread=3):
    generator = torch.Generator().manual_seed(0)
    basis, _ = torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=torch.float64))
    matrix = basis @ torch.logspace(0, spread, n, dtype=torch.float64).diag() @ basis.T
    return matrix, drawn(n, seed=1), drawn(n, seed=2)


@pytest.mark.parametrize("scaled", [False, True])
def test_conjugate_gradients_reach_the_solution_of_a_dense_solve(scaled):
    matrix, g, start = quadratic()
    scale = 1 / matrix.diagonal() if scaled else 1.0
    path = conjugate_gradients(lambda v: matrix @ v, g, start, scale, 200, 1e-14)
    assert_close(path.kept[-1], -torch.linalg.solve(matrix, g), rtol=1e-6, atol=1e-8)
    q = [float(g @ d + d @ matrix @ d / 2) for d in path.kept]
    assert all(b < a + 1e-12 * abs(a) for a, b in itertools.pairwise(q))
    assert path.reason in ("solved", "little progress")


def test_they_stop_by_the_rule_of_the_source():
    matrix, g, _ = quadratic(200, 2)
    path = conjugate_gradients(lambda v: matrix @ v, g, torch.zeros_like(g), 1.0, 1000, 5e-4)
    # another way: the least of q in each Krylov space, and where the rule holds first
    q, space = [0.0], g[:, None] / g.norm()
    for _ in range(path.iterations):
        inner = space.T @ matrix @ space
        b = space.T @ g
        q.append(-float(b @ torch.linalg.solve(inner, b)) / 2)
        new = matrix @ space[:, -1]
        for _ in range(2):
            new = new - space @ (space.T @ new)
        space = torch.cat([space, new[:, None] / new.norm()], dim=1)
    stops = []
    for i in range(1, len(q)):
        k = max(10, i // 10)
        stops.append(i > k and q[i] < 0 and (q[i] - q[i - k]) / q[i] < k * 5e-4)
    assert stops == [False] * (path.iterations - 1) + [True]
    assert path.reason == "little progress"
    assert path.iterations < 150
    assert len(path.kept) < 25  # at 1.3 times more each


def test_negative_curvature_ends_them():
    matrix, g, _ = quadratic()
    zero = torch.zeros_like(g)
    path = conjugate_gradients(lambda v: -(matrix @ v), g, zero, 1.0, 50, 1e-4)
    assert path.reason == "no positive curvature"
    assert float(path.kept[-1] @ g) < 0
    assert conjugate_gradients(lambda v: v * torch.nan, g, zero, 1.0, 5, 1e-4).reason == (
        "not finite"
    )


@pytest.mark.parametrize("matrix", ["ggn", "hessian"])
def test_one_step_solves_a_linear_regression(matrix):
    x, truth = drawn(60, 5) * torch.logspace(-1, 1, 5).double() + 2, drawn(5, 2, seed=1)
    y = x @ truth + drawn(60, 2, seed=2)
    net = nn.Linear(5, 2).double()
    optimizer = HessianFree(net, "mse", damping=1e-10, tolerance=1e-12, matrix=matrix)
    train(optimizer, net, x, y, mse_loss)
    tilde = torch.cat([x, torch.ones(60, 1).double()], dim=1)
    wanted = torch.linalg.lstsq(tilde, y).solution
    found = torch.cat([net.weight.detach(), net.bias.detach()[:, None]], dim=1).T
    assert_close(found, wanted, rtol=1e-5, atol=1e-6)
    assert optimizer.last.ratio == pytest.approx(1.0, abs=1e-6)
    assert optimizer.last.rate == 1.0
    assert optimizer.param_groups[0]["damping"] == pytest.approx(1e-10 / 1.5)
    assert optimizer.last.after == pytest.approx(float(mse_loss(net(x), y).detach()))


def small(seed=0):
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))
    return net.double(), drawn(40, 4), torch.arange(40) % 3


@pytest.mark.parametrize("preconditioner", [None, "diagonal"])
def test_a_step_on_gauss_newton_is_the_exact_natural_gradient(preconditioner):
    net, x, y = small()
    own = copy.deepcopy(net)
    train(NaturalGradient(own, "cross_entropy", damping=0.5, weight_decay=0.1, kl_clip=None), own,
          x, y, cross_entropy)  # fmt: skip
    optimizer = HessianFree(net, "cross_entropy", damping=0.4, weight_decay=0.1, tolerance=1e-13,
                            preconditioner=preconditioner)  # fmt: skip
    before = copy.deepcopy(net)
    train(optimizer, net, x, y, cross_entropy)
    # (B + 0.1 + 0.4) d = -(g + 0.1 w); backtracking may stop where the loss is lower
    assert optimizer.last.rate == 1.0
    end = torch.cat([optimizer.state[p]["solution"].reshape(-1) for p in net.parameters()])
    assert_close(flat(before) + end, flat(own), rtol=1e-6, atol=1e-8)
    value = float(cross_entropy(net(x), y).detach()) + 0.05 * float(flat(net).square().sum())
    assert optimizer.last.after == pytest.approx(value)
    assert value < optimizer.last.loss


def test_damping_follows_the_ratio_and_no_step_raises_the_loss():
    net, x, y = small()
    optimizer = HessianFree(net, "cross_entropy", damping=1e-6, iterations=10)
    losses, seen = [float(cross_entropy(net(x), y).detach())], set()
    for _ in range(8):
        damping = optimizer.param_groups[0]["damping"]
        before = flat(net)
        train(optimizer, net, x, y, cross_entropy)
        losses.append(float(cross_entropy(net(x), y).detach()))
        last, now = optimizer.last, optimizer.param_groups[0]["damping"]
        wanted = damping
        if last.ratio < 0.25:
            wanted = damping * 1.5
        elif last.ratio > 0.75:
            wanted = damping / 1.5
        seen.add(now / damping)
        assert now == pytest.approx(wanted)
        assert (last.rate == 0) == torch.equal(before, flat(net))
    assert all(b <= a for a, b in itertools.pairwise(losses))
    assert len(seen) > 1
    assert losses[-1] < 0.7 * losses[0]


def autoencoder():
    torch.manual_seed(0)
    sizes, layers = (10, 10, 8, 6, 2, 6, 8, 10, 10), []
    for n, m in itertools.pairwise(sizes):
        layers += [nn.Linear(n, m), nn.Tanh()]
    net = nn.Sequential(*layers[:-1])
    code = torch.rand(60, 2, generator=torch.Generator().manual_seed(0)) * 2 - 1
    lift = torch.randn(2, 10, generator=torch.Generator().manual_seed(1))
    return net, torch.sin(2 * code @ lift)


@pytest.mark.slow
def test_a_deep_autoencoder_ends_lower_than_with_sgd_after_as_many_products():
    net, x = autoencoder()
    optimizer, work = HessianFree(net, "mse", damping=1e-3, iterations=30), 0
    while work < 300:
        train(optimizer, net, x, x, mse_loss)
        work += optimizer.last.products + 1
    own, _ = autoencoder()
    descent = torch.optim.SGD(own.parameters(), lr=1.0)  # 0.3 and 3 end higher, 6 runs away
    for _ in range(work):
        descent.zero_grad()
        loss = mse_loss(own(x), x)
        loss.backward()
        descent.step()
    assert optimizer.last.after < 0.7 * float(loss.detach())


def test_a_saved_state_goes_on_in_the_same_bits_and_nothing_else_is_touched():
    net, x, y = small()
    build = lambda net: HessianFree(net, "cross_entropy", preconditioner="diagonal")  # noqa: E731
    optimizer = build(net)
    torch.manual_seed(5)
    train(optimizer, net, x, y, cross_entropy, 1)
    assert torch.equal(torch.rand(1), torch.rand(1, generator=torch.Generator().manual_seed(5)))
    saved = pickle.loads(pickle.dumps((net.state_dict(), optimizer.state_dict())))
    train(optimizer, net, x, y, cross_entropy, 1)
    again, _, _ = small(seed=1)
    second = build(again)
    again.load_state_dict(saved[0])
    second.load_state_dict(saved[1])
    train(second, again, x, y, cross_entropy, 1)
    assert torch.equal(flat(net), flat(again))
    assert second.last == optimizer.last
    with pytest.raises(UsageError, match="state_dict must be a HessianFree's, got a NaturalGradi"):
        second.load_state_dict(NaturalGradient(net, "mse").state_dict())


def test_the_warm_start_is_a_share_of_the_last_solution():
    net, x, y = small()
    cold = copy.deepcopy(net)
    first = HessianFree(net, "cross_entropy", iterations=1, warm=0.5)
    other = HessianFree(cold, "cross_entropy", iterations=1, warm=0.0)
    train(first, net, x, y, cross_entropy)
    train(other, cold, x, y, cross_entropy)
    assert torch.equal(flat(net), flat(cold))
    old = torch.cat([first.state[p]["solution"].reshape(-1) for p in net.parameters()])
    damping, op = first.param_groups[0]["damping"], nakami.ggn(net, (x, y), "cross_entropy")
    B, g = op.dense() + damping * torch.eye(len(old)).double(), op.gradient()
    train(first, net, x, y, cross_entropy)
    r = B @ (0.5 * old) + g  # one step of steepest descent from there
    wanted = 0.5 * old - (r @ r) / (r @ B @ r) * r
    found = torch.cat([first.state[p]["solution"].reshape(-1) for p in net.parameters()])
    assert_close(found, wanted, rtol=1e-8, atol=1e-10)


def test_losses_of_ones_own_are_taken():
    net, x, y = small()
    own = lambda z, y: z.square().mean() + cross_entropy(z, y)  # noqa: E731
    for matrix in ("ggn", "hessian"):
        optimizer = HessianFree(net, own, matrix=matrix)
        before = float(own(net(x), y).detach())
        train(optimizer, net, x, y, own)
        assert float(own(net(x), y).detach()) < before
    with pytest.raises(UsageError, match="preconditioner must be left out where the matrix has no"):
        HessianFree(net, own, preconditioner="diagonal")


WRONG = [
    ({"matrix": "fisher"}, r"matrix must be one of ggn, hessian, got 'fisher'; \"ggn\" is the"),
    ({"damping": 0}, r"damping must be a number above 0, got 0"),
    ({"factor": 0.5}, r"factor must be a number from 1 on, got 0\.5; 1\.5 is the default"),
    ({"warm": 1}, r"warm must be from 0 on and below 1, got 1; 0\.95 is the default"),
    ({"iterations": 0}, r"iterations must be a whole number from 1 on, got 0"),
    ({"tolerance": 0}, r"tolerance must be a number above 0, got 0"),
    ({"preconditioner": "kfac"}, r"preconditioner must be one of diagonal, got 'kfac'; leave it"),
    ({"lr": -1}, r"lr must be a number from 0 on, got -1"),
]


def test_wrong_use_is_said_in_one_sentence():
    net, x, y = small()
    for settings, message in WRONG:
        with pytest.raises(UsageError, match=message):
            HessianFree(net, "mse", **settings)
    optimizer = HessianFree(net, "cross_entropy")
    with pytest.raises(UsageError, match="HessianFree must observe the model before each st"):
        optimizer.step()
    with pytest.raises(UsageError, match="parameter groups must be one, the model's: they are so"):
        optimizer.add_param_group({"params": [nn.Parameter(torch.ones(2))]})
    with pytest.raises(UsageError, match="loss must be given, got none"):
        HessianFree(net)
    with pytest.raises(UsageTypeError, match="model must be a torch module, got generator"):
        HessianFree(net.parameters(), "mse")
    before = flat(net)
    with pytest.raises(RunError, match="HessianFree met gradients that are not finite; lower"):
        train(optimizer, net, x, y, lambda z, y: cross_entropy(z, y) * torch.nan)
    assert torch.equal(before, flat(net))
