"""The closed form of a unit's Fisher block against quadrature, Monte Carlo and dense blocks."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import integrate, special
from torch import nn
from torch.nn import functional
from torch.testing import assert_close

from nakami.optim import UnitwiseNaturalGradient
from nakami.optim._slope_moments import Activation, slope_moments
from nakami.results import RunError


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def density(u):
    return np.exp(-(u**2) / 2) / math.sqrt(2 * math.pi)


# what torch runs, its name here, its slope in NumPy, and where that jumps
CASES = [
    (lambda u: u, "linear", lambda u: 1.0, ()),
    (torch.relu, "relu", lambda u: float(u > 0), (0.0,)),
    (nn.ReLU(inplace=True), "relu", lambda u: float(u > 0), (0.0,)),
    (nn.LeakyReLU(0.2), "leaky_relu", lambda u: 1.0 if u > 0 else 0.2, (0.0,)),
    (nn.ReLU6(), "hardtanh", lambda u: float(0 < u < 6), (0.0, 6.0)),
    (nn.Hardtanh(-0.5, 1.5), "hardtanh", lambda u: float(-0.5 < u < 1.5), (-0.5, 1.5)),
    (torch.erf, "erf", lambda u: 2 / math.pi**0.5 * np.exp(-(u**2)), ()),
    (lambda u: torch.erf(u / 2**0.5), "erf(0.707107 u)", lambda u: 2 * density(u), ()),
    (torch.special.ndtr, "erf(0.707107 u)", density, ()),
    (lambda u: torch.relu(-2.0 * u), "relu(-2 u)", lambda u: -2.0 * (u < 0), (0.0,)),
    (torch.tanh, "tanh", lambda u: 1 / np.cosh(u) ** 2, ()),
    (torch.sigmoid, "sigmoid", lambda u: special.expit(u) * special.expit(-u), ()),
    (functional.gelu, "gelu", lambda u: special.ndtr(u) + u * density(u), ()),
    (functional.silu, "silu", lambda u: special.expit(u) * (1 + u * special.expit(-u)), ()),
    (functional.softplus, "softplus", special.expit, ()),
    (lambda u: torch.sin(3 * u), "sin(3 u)", lambda u: 3 * np.cos(3 * u), ()),
]
named = pytest.mark.parametrize(("phi", "name", "slope", "jumps"), CASES, ids=[c[1] for c in CASES])


class Two(nn.Module):
    """Units behind which each output reads each activity: their slopes do not depend on them."""

    def __init__(self, phi, width=4):
        super().__init__()
        self.first, self.phi, self.last = nn.Linear(3, width), phi, nn.Linear(width, 2)

    def forward(self, x):
        return self.last(self.phi(self.first(x)))


def closed(net, **settings):
    return UnitwiseNaturalGradient(net, "mse", lr=0.0, form="closed", refresh=1, **settings)


def observed(net, x):
    optimizer = closed(net)
    optimizer.observe(
        net(x), torch.zeros(len(x), net[-1].out_features if isinstance(net, nn.Sequential) else 2)
    )
    optimizer.step()
    return optimizer


@named
def test_moments_are_those_of_quadrature_at_the_weights_and_inputs(phi, name, slope, jumps):
    torch.manual_seed(0)
    net, x = Two(phi).double(), 0.7 * drawn(50, 3) + 0.4
    with torch.no_grad():  # narrow, wide, far off
        net.first.weight[1] *= 12
        net.first.bias[2] = -8.0
    optimizer = observed(net, x)
    first = name if phi is not CASES[0][0] else None  # two layers in a row: not elementwise
    assert optimizer.activations == {
        **({"first.weight": first} if first else {}),
        "last.weight": "linear",
    }
    if not first:
        return
    mean, variance = x.mean(0), x.var(0, unbiased=False)
    found, beta = (optimizer.state[net.first.weight][key] for key in ("A", "beta"))
    for unit in range(4):
        w, b = net.first.weight[unit].detach(), net.first.bias[unit].detach()
        h, s = float(w @ mean + b), float((w.square() @ variance).sqrt())
        at = sorted({-12.0, 12.0, *(min(max((j - h) / s, -12.0), 12.0) for j in jumps)})
        for j in range(3):
            square = lambda z, j=j, h=h, s=s: slope(s * z + h) ** 2 * z**j * density(z)  # noqa: E731
            wanted = sum(
                integrate.quad(square, a, b, epsabs=1e-13, limit=200)[0]
                for a, b in itertools.pairwise(at)
            )
            # of phi's own output, before what torch makes of it: Phi(u) = erf / 2 + 1 / 2
            scale = 4.0 if phi is torch.special.ndtr else 1.0
            assert float(found[j, unit] / beta[unit]) == pytest.approx(scale * wanted, abs=1e-9)


def test_slopes_of_outputs_are_the_weights_behind_them():
    torch.manual_seed(0)
    net, x = Two(nn.Tanh()).double(), drawn(20_000, 3)
    optimizer = observed(net, x)
    # the loss is the mean of squares over 2 outputs: d^2 = 2, samples = 2 n
    wanted = net.last.weight.detach().square().sum(0)
    assert_close(optimizer.state[net.first.weight]["beta"], wanted, rtol=0.05, atol=0)
    assert_close(
        optimizer.state[net.last.weight]["A"][0], torch.ones(2).double(), rtol=0.05, atol=0
    )


def unit_error(net, layer, x, state):
    """Relative distances of the blocks in ``state`` from those of all examples' gradients."""
    u = [x]
    for module in net:
        u.append(module(u[-1]))
    place = list(net).index(layer)
    total = 0.0
    samples = u[-1].numel()
    for k in range(u[-1].shape[1]):
        (d,) = torch.autograd.grad(u[-1][:, k].sum(), u[place + 1], retain_graph=True)
        total = total + 2 * d.square() / samples
    tilde = torch.cat([u[place], torch.ones(len(x), 1, dtype=x.dtype)], dim=1).detach()
    dense = torch.einsum("nu,ni,nj->uij", total, tilde, tilde)
    A, m, v = state["A"], state["mean"], state["variance"]
    w = layer.weight.detach()
    s = v * w / (w.square() @ v).sqrt()[:, None]
    s, m = torch.cat([s, s.new_zeros(len(s), 1)], 1), torch.cat([m, m.new_ones(1)])
    outer = lambda a, b: a[..., :, None] * b[..., None, :]  # noqa: E731
    block = A[0, :, None, None] * torch.cat([v, v.new_zeros(1)]).diag()
    block = block + (A[2] - A[0])[:, None, None] * outer(s, s) + A[0, :, None, None] * outer(m, m)
    block = block + A[1, :, None, None] * (outer(s, m) + outer(m, s))
    return (block - dense).flatten(1).norm(dim=1) / dense.flatten(1).norm(dim=1)


@pytest.mark.parametrize("phi", [nn.Tanh(), nn.ReLU()])
def test_it_is_the_dense_block_of_a_wide_random_net_and_not_of_a_narrow_one(phi):
    errors = {}
    for width in (3, 200):
        generator = torch.Generator().manual_seed(1)
        sizes = (4, width, width, 40)  # outputs: a unit's slope is an average over them
        layers = [nn.Linear(a, b).double() for a, b in itertools.pairwise(sizes)]
        for layer in layers:
            nn.init.normal_(layer.weight, std=layer.weight.shape[1] ** -0.5, generator=generator)
            nn.init.normal_(layer.bias, std=0.3, generator=generator)
        net = nn.Sequential(layers[0], phi, layers[1], phi, layers[2])
        x = 0.8 * drawn(1500, 4) + 0.5
        state = observed(net, x).state[layers[0].weight]
        errors[width] = float(unit_error(net, layers[0], x, state).mean())
    assert errors[200] < 0.12
    assert errors[3] > 1.5 * errors[200]


def test_dead_still_and_saturated_units_are_damped():
    net = Two(nn.ReLU()).double()
    with torch.no_grad():
        net.first.weight[0] = 0.0  # no weights: the slope at the bias
        net.first.bias[0] = 1.0
        net.first.weight[1] = 0.0
        net.first.bias[1] = -1.0
        net.first.bias[2] = -1e4  # dead for every input
    optimizer = observed(net, drawn(100, 3))
    A, beta = (optimizer.state[net.first.weight][key] for key in ("A", "beta"))
    assert_close(A[:, 0], beta[0] * torch.tensor([1.0, 0.0, 1.0]).double())
    assert A[:, 1].tolist() == A[:, 2].tolist() == [0.0, 0.0, 0.0]
    own = torch.randn(4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    matrix = optimizer._taps.matrices["first.weight"]
    moved = optimizer._solved(matrix, own, 0.5)
    assert_close(moved[1:3], own[1:3] / 0.5)
    assert bool(moved.isfinite().all())
    far = torch.tensor([1e3], dtype=torch.float64)
    assert slope_moments(Activation("tanh"), far / 1e3, far).abs().max() == 0  # saturated
    wide = slope_moments(Activation("tanh"), far, 0 * far)[0] * far * (2 * math.pi) ** 0.5
    assert float(wide) == pytest.approx(4 / 3, rel=1e-5)  # the integral of sech^4
    with pytest.raises(RunError, match=r"deviation of 1\.01e\+03, beyond the 1000 of the closed"):
        slope_moments(Activation("tanh"), 1.01 * far, far)


def test_layers_without_a_known_activation_have_the_estimated_block():
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 3)
            self.conv, self.norm = nn.Conv1d(1, 3, 2), nn.LayerNorm(3)
            self.shrink, self.out = nn.Parameter(torch.tensor(2.0)), nn.Linear(3, 2)

        def forward(self, x):
            x = torch.tanh(self.conv(x[:, None])).mean(2)
            x = torch.relu(self.norm(self.a(x)))  # a norm between
            u = self.b(x)
            x = u * torch.sigmoid(u)  # used twice
            x = torch.tanh(self.shrink * self.c(x))  # a factor that learns
            return self.out(x).reshape(-1, 1, 2) * 0.5

    torch.manual_seed(0)
    net, x = Mixed().double(), drawn(30, 3)
    optimizer = closed(net)
    assert optimizer.activations == {}
    optimizer.observe(net(x), torch.zeros(30, 1, 2).double())
    optimizer.step()
    assert optimizer.activations == {"conv.weight": "tanh", "out.weight": "linear"}
    other = UnitwiseNaturalGradient(net, "mse", lr=0.0, refresh=1)
    other.observe(net(x), torch.zeros(30, 1, 2).double())
    other.step()
    for layer in (net.a, net.b, net.c):
        assert_close(optimizer.state[layer.weight]["A"], other.state[layer.weight]["A"])
    for layer in (net.conv, net.out):
        first, second = (o.state[layer.weight] for o in (optimizer, other))
        assert_close(first["mean"], second["mean"])
        assert float((first["A"][0] / second["A"][0] - 1).abs().max()) < 0.5
