"""Units held on the sides of another run: in a network of straight pieces, its Jacobian there."""

import pytest
import torch
from torch import nn
from torch.nn import functional

import nakami
from nakami.operators import FunctionalModel, PatternJacobian, pattern_of
from nakami.results import UsageError


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def unpooled(x):
    values, places = functional.max_pool2d(x, 2, return_indices=True)
    return functional.max_unpool2d(values, places, 2)


def in_place(x):
    y = 2 * x
    y.clamp_(max=1)
    return torch.relu_(y * 1.5)


# of a state (1, 3, 4, 4) each, made of straight pieces
PIECES = {
    "ReLU": nn.ReLU(),
    "ReLU in place": nn.ReLU(inplace=True),
    "in place": in_place,
    "ReLU6": nn.ReLU6(),
    "hardtanh": nn.Hardtanh(-0.3, 0.4),
    "hardsigmoid": lambda x: functional.hardsigmoid(5 * x),
    "softshrink": nn.Softshrink(0.2),
    "leaky": nn.LeakyReLU(0.1),
    "PReLU": nn.PReLU(3),
    "threshold": nn.Threshold(0.1, 0.1),
    "abs": lambda x: x.abs() - abs(x - 0.2),
    "clamp": lambda x: x.clamp(-0.1, 0.5) + torch.clamp(x, min=0.2) + x.clamp_max(0.1),
    "where": lambda x: torch.where(x > 0.1, 2 * x, -x) + x.where(x > 0, 0.5 * x),
    "pool": lambda x: functional.max_pool2d(x, 2),
    "pool, torch": lambda x: torch.max_pool2d(x, 3, 2, 1),
    "pool, one axis": lambda x: functional.max_pool1d(x.flatten(2), 4),
    "pool, three axes": lambda x: functional.max_pool3d(x[:, None], (3, 2, 2)),
    "pool, adaptive": nn.AdaptiveMaxPool2d(2),
    "pool, overlapping": nn.MaxPool2d(3, stride=1, padding=1, dilation=1, ceil_mode=True),
    "unpooled": unpooled,
}


@pytest.mark.parametrize("name", PIECES)
def test_the_jacobian_is_that_of_the_run_whose_sides_are_held(name):
    torch.manual_seed(0)
    piece = PIECES[name] if isinstance(PIECES[name], nn.Module) else Function(PIECES[name])
    net = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1), piece, nn.Flatten(1), nn.LazyLinear(4))
    here, there = torch.randn(2, 1, 2, 4, 4).double() * 2
    with torch.no_grad():
        net(here.float())
    net = net.double()
    network = FunctionalModel(net)
    x, other = network.example(here, batch=True), network.example(there, batch=True)
    places = network.stages(x)
    pattern = pattern_of(network, other, "output")
    flipped = pattern.differing(pattern_of(network, x, "output"))
    assert sum(int(units.sum()) for units in flipped) > 0
    held = PatternJacobian(pattern, flipped, network, x, places, "output", "input").dense()
    wanted, own = (nakami.jacobian(net, one).dense() for one in (there, here))
    torch.testing.assert_close(held, wanted, rtol=1e-9, atol=1e-12)
    assert float((own - wanted).abs().max()) > 1e-3  # the two sides differ
    nothing = [torch.zeros_like(units) for units in flipped]
    free = PatternJacobian(pattern, nothing, network, x, places, "output", "input").dense()
    torch.testing.assert_close(free, own)


def test_functions_without_kinks_have_no_other_side():
    net = nn.Sequential(nn.Linear(3, 3), nn.GELU(), nn.Softplus(), nn.SiLU(), nn.Tanh()).double()
    network = FunctionalModel(net)
    x = network.example(torch.randn(1, 3).double(), batch=True)
    near = network.example(x.tree + 1e-7, batch=True)
    network.stages(x)
    patterns = [pattern_of(network, one, "output") for one in (x, near)]
    assert patterns[0].units == 12
    assert not any(units.any() for units in patterns[0].differing(patterns[1]))


def test_other_functions_cannot_be_compared():
    network = FunctionalModel(
        Function(lambda x: x.relu() if x.sum() > 0 else x.abs().sqrt().relu())
    )
    up, down = (network.example(torch.full((1, 2), s), batch=True) for s in (1.0, -1.0))
    network.stages(up)
    with pytest.raises(UsageError, match="model must pass the same functions in float32 and"):
        pattern_of(network, up, "output").differing(pattern_of(network, down, "output"))
