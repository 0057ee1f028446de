"""Products from a folded graph: what the network writes in place must not add up."""

import pytest
import torch

import nakami
from networks import build
from own_models import OWN


@pytest.mark.parametrize("name", ["in-place residual", "graph convolution", "circular padding"])
def test_a_product_does_not_depend_on_those_before_it(name):
    factory, shape = OWN[name]
    for seed in range(3):
        torch.manual_seed(seed)
        net, x = factory().double(), torch.randn(1, *shape, dtype=torch.float64)
        op = nakami.jacobian(net, x)
        jac = torch.autograd.functional.jacobian(lambda z, net=net: net(z).reshape(-1), x)
        for _ in range(8):
            torch.testing.assert_close(op.dense(), jac.reshape(op.shape), rtol=1e-10, atol=1e-12)


def test_a_route_that_gives_nan_is_not_taken(monkeypatch):
    net, x = build("mlp")
    nan = (None, lambda v: net(x).reshape(-1).detach() * torch.nan)
    monkeypatch.setattr(torch.func, "linearize", lambda *args: nan)
    assert nakami.jacobian(net, x).route == "forward mode"
