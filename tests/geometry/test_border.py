"""The border is exact at tiny residual: shrinks at 0.98 of it, grows at 1.02 as predicted."""

import numpy as np
import pytest
import torch
from torch import nn

from borders import fitted, frozen, growth_before, limits, losses
from companions import growth
from wide_networks import LAWS, draw

ROUNDING = 1e-28  # of a squared error in float64
SGD = {
    "sgd": {},
    "momentum 0.5": {"momentum": 0.5},
    "momentum 0.9": {"momentum": 0.9},
    "dampened": {"momentum": 0.9, "dampening": 0.6},
    "nesterov": {"momentum": 0.9, "nesterov": True},
}


def check_border(model, x, y, loss, make, start, groups=1):
    """Two runs of torch's optimizer, beside and beyond the limit of nakami."""
    found = limits(model, (x, y), loss, make(model), tol=1e-10)
    assert found.converged
    assert len(found.limits) == groups
    below = losses(model, x, y, loss, make, [0.98 * rate for rate in found.limits], 400)
    assert below[-1] < below[0]
    assert below[-50:].max() <= max(ROUNDING, below[-100:-50].max())
    above = losses(model, x, y, loss, make, [1.02 * rate for rate in found.limits], 400)
    wanted = growth(found.rule, 1.02 * found.limit, found.sharpness)
    assert growth_before(above, 1e6 * start) == pytest.approx(wanted, rel=1e-3)
    return found, wanted


@pytest.mark.parametrize("activation", [nn.Tanh, nn.ReLU])
@pytest.mark.parametrize("name", SGD)
def test_sgd_and_its_momenta(name, activation):
    model, x, y = fitted(activation)
    loss = nn.MSELoss()

    def make(net):
        return torch.optim.SGD(net.parameters(), lr=0.1, **SGD[name])

    _, wanted = check_border(model, x, y, loss, make, 1e-18)
    known = {"sgd": 1.04**2, "momentum 0.9": 1.5975, "nesterov": 1.1178}
    assert wanted == pytest.approx(known.get(name, wanted), rel=1e-4)


@pytest.mark.parametrize("beta", [0.5, 0.9])
@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW])
def test_adam_with_frozen_denominators(kind, beta):
    model, x, y = fitted()
    gen = torch.Generator().manual_seed(1)
    spread = [torch.randn(p.shape, generator=gen, dtype=p.dtype).exp() for p in model.parameters()]

    def make(net):
        optimizer = kind(net.parameters(), lr=0.1, betas=(beta, 0.999), weight_decay=0.0)
        return frozen(optimizer, dict(zip(net.parameters(), spread, strict=True)))

    found, _ = check_border(model, x, y, nn.MSELoss(), make, 1e-18)
    assert found.preconditioner == "the optimizer's state"


@pytest.mark.parametrize(
    ("phi", "name"), [("linear", "sgd"), ("relu", "nesterov"), ("tanh", "momentum 0.9")]
)
def test_wide_networks_of_four_layers(phi, name):
    rng, steps = np.random.default_rng(4), {"linear": nn.Identity, "relu": nn.ReLU, "tanh": nn.Tanh}
    layers = []
    for weight, bias in draw((40, 40, 40, 40, 1), *LAWS[phi], rng):
        layer = nn.Linear(*weight.shape[::-1], dtype=torch.float64)
        layer.weight.data, layer.bias.data = torch.tensor(weight), torch.tensor(bias)
        layers += [layer, steps[phi]()]
    model = nn.Sequential(*layers[:-1])
    x = torch.tensor(rng.standard_normal((12, 40)))
    y = model(x).detach() + 1e-9 * torch.tensor(rng.standard_normal((12, 1)))

    def make(net):
        return torch.optim.SGD(net.parameters(), lr=0.1, **SGD[name])

    check_border(model, x, y, nn.MSELoss(), make, 1e-18)


class Complex(nn.Module):
    """Two complex matrices with a tanh of each part between them; real inputs and outputs."""

    def __init__(self):
        super().__init__()
        gen = torch.Generator().manual_seed(3)
        self.first, self.last = (
            nn.Parameter(torch.randn(*s, generator=gen, dtype=torch.complex128) / 2)
            for s in ((6, 5), (5, 3))
        )

    def forward(self, x):
        z = x.to(torch.complex128) @ self.first
        return (torch.complex(z.real.tanh(), z.imag.tanh()) @ self.last).real


@pytest.mark.parametrize("adaptive", [False, True])
def test_complex_parameters_step_as_pairs(adaptive):
    model, gen = Complex(), torch.Generator().manual_seed(1)
    x = torch.randn(15, 6, generator=gen, dtype=torch.float64)
    y = model(x).detach() + 1e-9 * torch.randn(15, 3, generator=gen, dtype=torch.float64)
    parts = [
        torch.randn(*p.shape, 2, generator=gen, dtype=torch.float64).exp()
        for p in model.parameters()
    ]

    def make(net):
        if not adaptive:
            return torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
        optimizer = torch.optim.Adam(net.parameters(), lr=0.1, betas=(0.9, 0.999))
        state = frozen(optimizer, dict(zip(net.parameters(), parts, strict=True))).state
        for p in net.parameters():
            state[p]["exp_avg_sq"] = torch.view_as_complex(state[p]["exp_avg_sq"])
        return optimizer

    check_border(model, x, y, nn.MSELoss(), make, 1e-18)


def test_groups_with_rates_and_momenta_of_their_own():
    model, x, y = fitted()

    def make(net):
        return torch.optim.SGD(
            [
                {"params": net[0].parameters(), "lr": 0.02, "momentum": 0.5},
                {"params": net[2].parameters(), "lr": 0.1, "momentum": 0.9},
            ]
        )

    found = limits(model, (x, y), nn.MSELoss(), make(model), tol=1e-10)
    assert found.limits == pytest.approx((0.2 * found.limit, found.limit))
    below = losses(model, x, y, nn.MSELoss(), make, [0.98 * r for r in found.limits], 600)
    above = losses(model, x, y, nn.MSELoss(), make, [1.02 * r for r in found.limits], 600)
    assert below[-1] < below[0]
    assert below[-50:].max() <= max(ROUNDING, below[-100:-50].max())
    assert above[-1] > 1e4 * above[0]


def test_soft_targets_of_cross_entropy():
    model, x, _ = fitted()
    gen = torch.Generator().manual_seed(2)
    y = (model(x) + 1e-6 * torch.randn(15, 3, generator=gen, dtype=torch.float64)).softmax(1)
    y, loss = y.detach(), nn.CrossEntropyLoss()
    entropy = -float((y * y.log()).sum(1).mean())

    def divergence(z, target):
        return loss(z, target) - entropy

    def make(net):
        return torch.optim.SGD(net.parameters(), lr=0.1)

    found = limits(model, (x, y), loss, tol=1e-10)
    below = losses(model, x, y, divergence, make, [0.98 * found.limit], 300)
    above = losses(model, x, y, divergence, make, [1.02 * found.limit], 300)
    assert below[-1] < 1e-12
    assert growth_before(above, 1e-8) == pytest.approx(1.04**2, rel=1e-3)


def test_a_wrong_limit_is_seen():
    model, x, y = fitted()

    def make(net):
        return torch.optim.SGD(net.parameters(), lr=0.1)

    found = limits(model, (x, y), nn.MSELoss())
    seen = losses(model, x, y, nn.MSELoss(), make, [1.05 * found.limit], 300)
    wrong = growth(found.rule, 1.02 * found.limit, found.sharpness)
    assert growth_before(seen, 1e-12) != pytest.approx(wrong, rel=1e-3)
