"""Unit-wise natural gradients against autograd, Monte Carlo, dense blocks and a closed inverse."""

import copy
import pickle
from statistics import median

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.testing import assert_close

from nakami.optim import KFAC, UnitwiseNaturalGradient
from nakami.optim._blocks import low_rank_solved, quasi_diagonal_solved
from nakami.results import UsageError

FORMS = ["estimated", "quasi-diagonal", "closed"]
every = pytest.mark.parametrize("form", FORMS)


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def steps(optimizer, net, x, y, count, loss=cross_entropy):
    """Makes steps; the losses before them."""
    losses = []
    for _ in range(count):
        optimizer.zero_grad()
        z = net(x)
        optimizer.observe(z, y)
        losses.append(loss(z, y))
        losses[-1].backward()
        optimizer.step()
    return [float(value.detach()) for value in losses]


def test_one_input_a_unit_is_solved_by_the_inverse_of_its_block():
    g = drawn(5, 100, 2)  # gradients of examples, weight and bias
    blocks = torch.einsum("uni,unj->uij", g, g) / 100
    squares, mixed = blocks.diagonal(dim1=1, dim2=2), blocks[:, 1:, 0].expand(-1, 2)
    grad = drawn(5, 2, seed=1)
    for damping in (1e-300, 0.1):
        found = quasi_diagonal_solved(grad, squares, mixed, damping)
        whole = blocks + damping * torch.eye(2, dtype=torch.float64)
        a, b, d = whole[:, 0, 0], whole[:, 0, 1], whole[:, 1, 1]
        inverse = torch.stack([d, -b, -b, a], 1).reshape(-1, 2, 2) / (a * d - b**2)[:, None, None]
        wanted = (inverse @ grad[:, :, None])[:, :, 0]
        assert float(((found - wanted) / wanted).abs().max()) < 4e-16 * 4
        assert not torch.equal(found, grad / (squares + damping))


def example_gradients(net, x, y, layer):
    """Of each example the gradient of a layer by cotangents ``y``, bias last, (n, o, i + 1)."""
    found = []
    for one, target in zip(x, y, strict=True):
        net.zero_grad()
        (net(one[None]) * target).sum().backward()
        flat = layer.weight.grad.reshape(len(layer.weight), -1)
        found.append(torch.cat([flat, layer.bias.grad[:, None]], dim=1).clone())
    net.zero_grad()
    return torch.stack(found)


def test_weights_that_follow_the_bias_are_solved_in_single_precision():
    # inputs that never change: F_jj F_00 = F_0j^2
    x, size = drawn(200, 1).abs().float() * 3e2, torch.logspace(0, 8, 200)[:, None]
    squares, mixed = torch.cat([x**2, x**0], dim=1) * size, torch.cat([x, x**0], dim=1) * size
    grad = drawn(200, 2, seed=1).float()
    moved = quasi_diagonal_solved(grad, squares, mixed, 1e-3)
    assert (moved.isfinite()).all()
    assert ((moved * grad).sum(1) > 0).all()
    plain = (squares[:, 0] + 1e-3) * (squares[:, 1] + 1e-3) - mixed[:, 0] ** 2
    assert (plain <= 0).any()  # rounding makes it so


class Spread(nn.Module):
    """A convolution and its mean over places: one example uses each weight many times."""

    def __init__(self):
        super().__init__()
        self.conv, self.out = nn.Conv1d(2, 3, 3), nn.Linear(3, 2)

    def forward(self, x):
        return self.out(torch.tanh(self.conv(x)).mean(2))


def test_quasi_diagonal_holds_the_moments_of_examples_gradients():
    torch.manual_seed(0)
    net, x = Spread().double(), drawn(6, 2, 8)
    own = copy.deepcopy(net)
    optimizer = UnitwiseNaturalGradient(net, "mse", lr=0.0, form="quasi-diagonal", refresh=1,
                                        decay=0.9999, seed=3)  # fmt: skip
    generator = torch.Generator().manual_seed(3)
    wanted = {own.conv: [], own.out: []}
    for _ in range(3):
        optimizer.observe(net(x), torch.zeros(6, 2, dtype=torch.float64))
        optimizer.step()
        signs = 2.0 * torch.randint(0, 2, (6, 2), generator=generator, dtype=torch.int8) - 1
        for layer, each in wanted.items():  # the loss is the mean of 12 squares: d^2/dz^2 = 2 / 12
            each.append(example_gradients(own, x, 2**0.5 * signs, layer))
    for name, layer in (("conv", own.conv), ("out", own.out)):
        state, g = optimizer.state[net.get_submodule(name).weight], torch.cat(wanted[layer])
        samples = 3 * 12
        assert_close(state["squares"], g.square().sum(0) / samples, rtol=1e-3, atol=0)
        mixed = (g * g[..., -1:]).sum(0) / samples
        assert_close(state["mixed"], mixed, rtol=1e-3, atol=1e-3 * float(mixed.abs().max()))


def outputs_after_steps(scale, offset, damping):
    """Of a net whose inputs are ``scale x + offset`` and whose first layer undoes this."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    x, y = drawn(50, 4), torch.arange(50) % 3
    with torch.no_grad():
        net[0].weight /= scale
        net[0].bias -= net[0].weight @ offset
    optimizer = UnitwiseNaturalGradient(net, "cross_entropy", lr=0.3, form="quasi-diagonal",
                                        damping=damping, kl_clip=None)  # fmt: skip
    steps(optimizer, net, scale * x + offset, y, 3)
    return net(scale * x + offset).detach()


def test_steps_do_not_depend_on_the_scale_and_offset_of_inputs():
    found = {}
    for damping in (1e-200, 0.1):
        plain = outputs_after_steps(drawn(4).fill_(1.0), drawn(4).fill_(0.0), damping)
        scale = torch.tensor([0.1, 3.0, -2.0, 20.0], dtype=torch.float64)
        other = outputs_after_steps(scale, drawn(4, seed=2), damping)
        found[damping] = float((other - plain).abs().max())
    assert found[1e-200] < 1e-11
    assert found[0.1] > 1e-3  # damping is in the units of the weights


def estimated(units, n, seed=0):
    """Weights, and moments as they occur: of squares and z drawn together."""
    squares, z = drawn(units, 40, seed=seed).square(), drawn(units, 40, seed=seed + 1)
    A = torch.stack([(squares * z**j).mean(1) for j in range(3)])
    mean, variance = drawn(n, seed=seed + 2), drawn(n, seed=seed + 3).square()
    return drawn(units, n, seed=seed + 4), A, mean, variance


def dense_block(w, bias, A, mean, variance):
    """``S F_y S^T`` with the square root of the covariance: another way than by the columns V."""
    n = len(w)
    S = torch.zeros(n + 1, n + 1, dtype=torch.float64)
    S[:n, :n], S[:n, n], S[n, n] = variance.sqrt().diag(), mean, 1.0
    turned = torch.zeros(n + 1, dtype=torch.float64)
    turned[:n] = variance.sqrt() * w / (variance.sqrt() * w).norm().clamp_min(1e-300)
    e_0 = torch.eye(n + 1, dtype=torch.float64)[n]
    F = A[0] * torch.eye(n + 1, dtype=torch.float64)
    F += (A[2] - A[0]) * torch.outer(turned, turned)
    F += A[1] * (torch.outer(turned, e_0) + torch.outer(e_0, turned))
    F = S @ F @ S.T
    return F if bias else F[:n, :n]


@pytest.mark.parametrize("bias", [True, False])
def test_the_inverse_times_the_block_is_the_identity(bias):
    weight, A, mean, variance = estimated(4, 6)
    weight[3], variance[2] = 0.0, 0.0  # a unit without weights, an input that never changes
    for unit in range(4):
        F = dense_block(weight[unit], bias, A[:, unit], mean, variance)
        damped = F + 0.03 * torch.eye(len(F), dtype=torch.float64)
        same = [weight[unit].expand(len(F), -1), A[:, unit, None].expand(-1, len(F))]
        found = low_rank_solved(damped, *same, mean, variance, 0.03)
        assert_close(found, torch.eye(len(F), dtype=torch.float64), rtol=0, atol=1e-12)


def test_for_standard_inputs_it_is_the_closed_inverse():
    weight, A, _, _ = estimated(4, 6)
    grad, damping = drawn(4, 7, seed=9), 0.05
    found = low_rank_solved(
        grad, weight, A, torch.zeros(6).double(), torch.ones(6).double(), damping
    )
    (A_0, A_1, A_2), unit = A, weight / weight.norm(dim=1, keepdim=True)
    A_0, A_2 = A_0 + damping, A_2 + damping
    a, g_0, D = (unit * grad[:, :6]).sum(1), grad[:, 6], A_0 * A_2 - A_1**2
    wanted = (grad[:, :6] - a[:, None] * unit) / A_0[:, None]
    wanted += ((A_0 * a - A_1 * g_0) / D)[:, None] * unit
    wanted = torch.cat([wanted, ((A_2 * g_0 - A_1 * a) / D)[:, None]], dim=1)
    assert_close(found, wanted, rtol=1e-12, atol=1e-12)


class Perceptron(nn.Module):
    """Units whose slopes are those of their own activation: ``d^2 = relu'(u)^2`` on average."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(6, 3)

    def forward(self, x):
        return torch.relu(self.layer(x))


def test_for_normal_inputs_it_is_the_dense_block():
    torch.manual_seed(0)
    net, count = Perceptron().double(), 40_000
    mean, deviation = drawn(6, seed=1), drawn(6, seed=2).abs() + 0.2
    x = mean + deviation * drawn(count, 6, seed=3)
    optimizer = UnitwiseNaturalGradient(net, "mse", lr=0.0, refresh=1, decay=0.5)
    with torch.no_grad():
        net.layer.bias -= net.layer.weight @ mean - 0.3
    for half in x.chunk(2):
        optimizer.observe(net(half), half.new_zeros(len(half), 3))
        optimizer.step()
    state = optimizer.state[net.layer.weight]
    assert_close(state["mean"], mean, rtol=0, atol=0.05)
    assert_close(state["variance"], deviation.square(), rtol=0.05, atol=0)
    own = drawn(400_000, 6, seed=4) * deviation + mean  # other inputs than those it saw
    for unit in range(3):
        w, b = net.layer.weight[unit].detach(), net.layer.bias[unit].detach()
        tilde = torch.cat([own, torch.ones(len(own), 1, dtype=torch.float64)], dim=1)
        on = tilde[own @ w + b > 0]
        wanted = 2 * on.T @ on / len(own) / 3  # the mean of squares over 3 outputs
        found = dense_block(w, True, state["A"][:, unit], state["mean"], state["variance"])
        assert torch.linalg.norm(found - wanted) < 0.03 * wanted.norm()
        assert torch.linalg.norm(wanted.diagonal().diag() - wanted) > 0.2 * wanted.norm()


def test_means_and_variances_of_inputs_are_those_of_all_batches():
    net = nn.Linear(3, 2).double()
    optimizer = UnitwiseNaturalGradient(net, "mse", lr=0.0, refresh=1, decay=1 - 1e-9)
    batches = [drawn(20, 3, seed=i) + 1e6 + i for i in range(4)]
    for x in batches:
        optimizer.observe(net(x), x.new_zeros(20, 2))
        optimizer.step()
    state, whole = optimizer.state[net.weight], torch.cat(batches)
    assert_close(state["mean"], whole.mean(0), rtol=1e-12, atol=0)
    assert_close(state["variance"], whole.var(0, unbiased=False), rtol=1e-7, atol=0)


def small(seed=0, bias=True):
    torch.manual_seed(seed)
    layers = [nn.Linear(4, 5, bias=bias), nn.Tanh(), nn.LayerNorm(5), nn.Linear(5, 3)]
    return nn.Sequential(*layers).double(), drawn(60, 4), torch.arange(60) % 3


@every
def test_a_saved_state_goes_on_in_the_same_bits(form):
    net, x, y = small()
    optimizer = UnitwiseNaturalGradient(net, "cross_entropy", form=form, refresh=3)
    steps(optimizer, net, x, y, 7)
    saved = pickle.loads(pickle.dumps((net.state_dict(), optimizer.state_dict())))
    steps(optimizer, net, x, y, 6)
    again, _, _ = small(seed=1)
    second = UnitwiseNaturalGradient(again, "cross_entropy", form=form, refresh=3)
    again.load_state_dict(saved[0])
    second.load_state_dict(saved[1])
    steps(second, again, x, y, 6)
    for a, b in zip(net.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
    other = FORMS[FORMS.index(form) - 1]
    third = UnitwiseNaturalGradient(again, "cross_entropy", form=other)
    with pytest.raises(
        UsageError, match=rf'be a UnitwiseNaturalGradient\(form="{other}"\)\'s, got'
    ):
        third.load_state_dict(saved[1])
    with pytest.raises(UsageError, match="state_dict must be a KFAC's, got a Unitwise"):
        KFAC(again, "cross_entropy").load_state_dict(saved[1])


def test_without_a_bias_quasi_diagonal_is_the_diagonal():
    net, x, y = small(bias=False)
    optimizer = UnitwiseNaturalGradient(net, "cross_entropy", lr=0.1, form="quasi-diagonal",
                                        kl_clip=None, momentum=0.0)  # fmt: skip
    before = net[0].weight.detach().clone()
    steps(optimizer, net, x, y, 1)
    moved = net[0].weight.grad / (optimizer.state[net[0].weight]["squares"] + 3e-3)
    assert_close(net[0].weight.detach(), before - 0.1 * moved, rtol=0, atol=1e-14)


@every
def test_convolutions_and_gated_layers_learn(form):
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(2, 4, 3, padding=1)
            self.gru, self.out = nn.GRU(4, 6, batch_first=True), nn.Linear(6, 2, bias=False)

        def forward(self, x):
            return self.out(self.gru(self.conv(x).relu_().mT)[0][:, -1])

    torch.manual_seed(0)
    net, x = Both(), torch.randn(64, 2, 8)
    y = (x[:, 0].mean(1) > 0).long()
    optimizer = UnitwiseNaturalGradient(net, "cross_entropy", form=form, refresh=2, kl_clip=1e-2)
    assert optimizer.matrices == [
        "conv.weight",
        "gru.weight_ih_l0",
        "gru.weight_hh_l0",
        "out.weight",
    ]
    losses = steps(optimizer, net, x, y, 40)
    # single steps jump, and where follows from a processor's rounding
    assert median(losses[20:]) < 0.5 * losses[0]


def test_wrong_use_is_said_in_one_sentence():
    net, x, y = small()
    with pytest.raises(
        UsageError, match="form must be one of estimated, quasi-diagonal, closed, got 'full'"
    ):
        UnitwiseNaturalGradient(net, "mse", form="full")
    optimizer = UnitwiseNaturalGradient(net, "cross_entropy")
    cross_entropy(net(x), y).backward()
    with pytest.raises(UsageError, match="UnitwiseNaturalGradient must observe the model before"):
        optimizer.step()
    with pytest.raises(UsageError, match="damping must be a number above 0, got -1"):
        UnitwiseNaturalGradient(net, "mse", damping=-1)
