"""Pools and contrast normalisation in 16 bits, under autocast, and at pictures of zeros."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from nakami.nn import FFTConv2d, GaussianPool2d, L2Pool2d, LocalContrastNorm2d, LocallyConnected2d

LAYERS = [L2Pool2d(2), GaussianPool2d(3, 2), GaussianPool2d(2, power=1), LocalContrastNorm2d(5)]
LOW = {torch.bfloat16: 2**-8, torch.float16: 2**-11}  # half of a unit in the last place of 1


def pictures():
    return torch.randn(4, 3, 14, 15, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("dtype", LOW, ids=str)
@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_sixteen_bits_are_the_rounded_result_of_float64(layer, dtype):
    x = pictures().to(dtype)
    exact = layer(x.double())
    y = layer(x)
    assert y.dtype == dtype
    assert_close(y.double(), exact, rtol=1.01 * LOW[dtype], atol=1e-6)
    with torch.autocast("cpu", torch.bfloat16):
        under = layer(x)
    assert torch.equal(under, y)


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_autocast_changes_no_more_than_the_rounding_of_what_comes_in(layer):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 3, 3), nn.ReLU(), layer).requires_grad_(False)
    plain = net(pictures())
    with torch.autocast("cpu", torch.bfloat16):
        cast = net(pictures())
    assert float((cast - plain).norm() / plain.norm()) < 0.01


def test_large_and_small_values_of_float16_neither_overflow_nor_vanish():
    for layer in (L2Pool2d(2), GaussianPool2d(2)):
        x = torch.full((1, 1, 4, 4), 300.0, dtype=torch.float16)
        assert torch.equal(layer(x), x[..., :2, :2])
        small = torch.full((1, 1, 2, 2), 2e-3, dtype=torch.float16)
        assert float(layer(small)) == pytest.approx((4e-6 + 1e-8) ** 0.5, rel=2e-3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_gradients_at_zeros_are_finite(dtype):
    for layer in LAYERS:
        x = pictures().to(dtype)
        x[0], x[1, :, :6] = 0, 0
        x.requires_grad_()
        layer(x).square().sum().backward()
        assert x.grad.isfinite().all()


@pytest.mark.parametrize(("floor", "size"), [(None, 1.0), (0.0, 1.0), (0.25, 0.25)])
def test_a_black_picture_has_the_gradient_of_its_centred_values(floor, size):
    norm = LocalContrastNorm2d(5, floor=floor).double()
    x = torch.zeros(2, 3, 9, 9, dtype=torch.float64)
    x[1] = pictures()[0, :, :9, :9].double()
    x.requires_grad_()
    probe = torch.randn(3, 9, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    y = norm(x)
    assert not y[0].any()
    (y[0] * probe).sum().backward()
    z = x.detach()[:1].requires_grad_()
    ((z - norm._mean(z)) * probe / size).sum().backward()
    assert_close(x.grad[0], z.grad[0])
    assert not x.grad[1].any()


def test_export_keeps_the_number_of_examples_open():
    layers = [LocallyConnected2d(3, 2, 5, input_size=(14, 15)), FFTConv2d(3, 2, 5, method="fft")]
    for layer in [*LAYERS, *layers]:
        open_batch = ({0: torch.export.Dim("examples")},)
        exported = torch.export.export(layer.eval(), (torch.cat([pictures()] * 3),),
                                       dynamic_shapes=open_batch)  # fmt: skip
        assert_close(exported.module()(pictures()), layer(pictures()))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
def test_a_traced_fourier_convolution_serves_other_sizes():
    layer = FFTConv2d(3, 2, 5, padding=2, method="fft")
    traced = torch.jit.trace(layer, pictures())
    x = pictures()[:2, :, :9, :11]
    assert_close(traced(x), layer(x))
