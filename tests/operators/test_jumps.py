"""Networks that jump at the point they are read at: no step follows their J, and that is said."""

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

import nakami
from checks import seen

DTYPES = (torch.float64, torch.float32)


class Gate(nn.Module):
    """Scaled by how many entries are positive."""

    def forward(self, x):
        return x * (x > 0).to(x.dtype).sum()


class Experts(nn.Module):
    """The better of two experts, by a router that starts at zero."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.experts = nn.ModuleList(nn.Linear(3, 3) for _ in range(2))
        self.router = nn.Linear(3, 2)
        for weight in self.router.parameters():
            nn.init.zeros_(weight)

    def forward(self, x):
        shares = self.router(x).softmax(-1)
        chosen = shares.argmax(-1)
        pairs = zip(chosen, x, shares, strict=True)
        return torch.stack([self.experts[int(k)](row) * share[k] for k, row, share in pairs])


def orthogonal():
    torch.manual_seed(0)
    return nn.Sequential(parametrizations.orthogonal(nn.Linear(3, 2)), nn.Tanh())


CASES = {
    "gate": (Gate, {}),
    "experts at equal scores": (Experts, {"wrt": "parameters"}),
    "signs kept as whole numbers": (orthogonal, {"wrt": "parameters"}),
}


def move(net, x, what, step):
    """How far the output goes by a step of some length, the farther of both ways."""
    moved = list(net.parameters()) if what else [x]
    generator = torch.Generator().manual_seed(0)
    ways = [torch.randn(w.shape, generator=generator, dtype=torch.float64).to(w) for w in moved]
    found = []
    with torch.no_grad():
        here = net(x)
        for side in (step, -step):
            for weight, way in zip(moved, ways, strict=True):
                weight += side * way
            found.append(float((net(x) - here).norm() / here.norm()))
            for weight, way in zip(moved, ways, strict=True):
                weight -= side * way
    return max(found)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_a_jump_is_said(name, dtype):
    make, options = CASES[name]
    net, x = make().to(dtype), torch.tensor([[1.0, 0.0, 2.0]], dtype=dtype)
    found = seen(lambda: nakami.jacobian(net, x, **options))
    assert len(found) == 1
    assert "the network jumps at this very point (by 0." in found[0]
    assert "so that no step follows J" in found[0]
    net, x = make().double(), x.double()
    assert move(net, x, options, 1e-10) > 0.1


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", CASES)
def test_beside_the_jump_nothing_is_said(name, dtype):
    make, options = CASES[name]
    net, x = make().to(dtype), torch.tensor([[1.0, 0.5, 2.0]], dtype=dtype)
    if name == "experts at equal scores":
        net.router.bias.data[0] = 0.3
    if name == "signs kept as whole numbers":
        options = {}
    assert not seen(lambda: nakami.jacobian(net, x, **options))
    net, x = net.double(), x.double()
    assert move(net, x, options, 1e-10) < 1e-8


def test_curvature_says_so_too():
    net = orthogonal().double()
    x, y = torch.ones(2, 3, dtype=torch.float64), torch.zeros(2, 2, dtype=torch.float64)
    found = seen(lambda: nakami.norm(nakami.hessian(net, [(x, y)], "mse")))
    assert len(found) == 1
    assert "the network jumps at this very point" in found[0]


def test_a_kink_is_no_jump_of_the_network():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).double()
    nn.init.zeros_(net[0].bias)
    x, y = torch.zeros(2, 3, dtype=torch.float64), torch.ones(2, 2, dtype=torch.float64)
    assert not seen(lambda: nakami.norm(nakami.hessian(net, [(x, y)], "mse")))
