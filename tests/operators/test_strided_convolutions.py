"""The faster reverse pass of strided convolutions against torch's own."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

import nakami
from nakami.operators.autodiff._overrides import StridedConvolutions, _StridedConvolution

CASES = {
    "AlexNet's first": (nn.Conv2d(3, 8, 11, stride=4, padding=2), (3, 31, 37)),
    "kernel = stride": (nn.Conv2d(3, 8, 4, stride=4), (3, 18, 16)),
    "rest of a stride": (
        nn.Conv2d(1, 4, (3, 5), stride=2, padding=(0, 2), bias=False),
        (1, 20, 15),
    ),
    "circular": (nn.Conv2d(2, 4, 5, stride=2, padding=2, padding_mode="circular"), (2, 12, 13)),
    "words": (nn.Conv2d(2, 4, 3, stride=2, padding="valid"), (2, 12, 12)),
    "grouped": (nn.Conv2d(4, 4, 3, stride=2, groups=2), (4, 9, 9)),
    "dilated": (nn.Conv2d(2, 4, 3, stride=2, dilation=2), (2, 13, 13)),
    "two strides": (nn.Conv2d(2, 4, 3, stride=(2, 3)), (2, 13, 13)),
    "many channels": (nn.Conv2d(6, 4, 3, stride=2), (6, 9, 9)),
}
REWRITTEN = {"AlexNet's first", "kernel = stride", "rest of a stride", "circular"}


@pytest.mark.parametrize("name", CASES)
def test_the_reverse_products_are_those_of_the_plain_convolution(name, monkeypatch):
    layer, shape = CASES[name]
    layer = layer.double()
    x = torch.randn(1, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    taken = []
    apply = _StridedConvolution.apply
    monkeypatch.setattr(_StridedConvolution, "apply", lambda *a: taken.append(1) or apply(*a))
    op = nakami.jacobian(layer, x)
    u = torch.randn(op.shape[0], 3, dtype=torch.float64)
    plain = torch.autograd.functional.jacobian(layer, x).reshape(op.shape)
    assert bool(taken) == (name in REWRITTEN)
    torch.testing.assert_close(op.T @ u, plain.T @ u)
    torch.testing.assert_close(op @ (op.T @ u), plain @ (plain.T @ u))


def test_values_are_the_networks_own_bit_for_bit():
    layer, shape = CASES["AlexNet's first"]
    layer, x = layer.float(), torch.randn(2, *shape)
    with StridedConvolutions():
        new = functional.conv2d(x, layer.weight.detach(), layer.bias.detach(), 4, 2)
    assert torch.equal(new, functional.conv2d(x, layer.weight, layer.bias, 4, 2))


def test_gradients_by_the_weights_are_left_to_torch():
    layer, shape = CASES["AlexNet's first"]
    x = torch.randn(1, *shape, dtype=torch.float64)
    op = nakami.jacobian(layer.double(), x, wrt="parameters")
    rows = torch.autograd.grad(layer(x).reshape(-1)[5], list(layer.parameters()))
    expected = torch.cat([g.reshape(-1) for g in rows])
    u = torch.zeros(op.shape[0], dtype=torch.float64)
    u[5] = 1
    torch.testing.assert_close(op.T @ u, expected)


POINTWISE = {
    "shortcut": (nn.Conv2d(6, 4, 1, stride=2), True),
    "grouped, two strides": (nn.Conv2d(6, 4, 1, stride=(2, 3), groups=2, bias=False), True),
    "padded": (nn.Conv2d(6, 4, 1, stride=2, padding=1), False),
    "no stride": (nn.Conv2d(6, 4, 1), False),
}


@pytest.mark.parametrize("name", POINTWISE)
def test_strided_convolutions_by_one_pixel_take_the_pixels_first(name):
    layer, rewritten = POINTWISE[name]
    strides, plain = [], functional.conv2d

    class Noted(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            if func is plain:
                strides.append(args[3] if len(args) > 3 else (1, 1))
            return func(*args, **(kwargs or {}))

    model = nn.Sequential(layer, nn.ReLU(), nn.Flatten(), nn.LazyLinear(3)).double()
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(5, 6, 9, 8, dtype=torch.float64, generator=generator)
    y = torch.randn(5, 3, dtype=torch.float64, generator=generator)
    model(x)
    with Noted():
        op = nakami.ggn(model, (x, y), "mse")
        found = op.root.dense()
    weights = {k: p.detach() for k, p in model.named_parameters()}
    rows = torch.func.jacrev(lambda w: torch.func.functional_call(model, w, (x,)))(weights)
    dense = torch.cat([rows[k].reshape(15, -1) for k in op.names], 1)
    torch.testing.assert_close(found, (2 / 15) ** 0.5 * dense)
    torch.testing.assert_close(nakami.trace(op).value, float(found.square().sum()))
    assert ((1, 1) in strides) == (rewritten or name == "no stride")
