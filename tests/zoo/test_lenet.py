"""LeNet's choices of pooling and normalisation: the same sizes and weights, other functions."""

import itertools

import pytest
import torch
from torch.nn import functional as F
from torch.testing import assert_close

from nakami import nn as ours
from nakami.results import UsageError
from nakami.zoo import cnn, lenet

every = pytest.mark.parametrize(
    ("pooling", "normalisation"), list(itertools.product(lenet.POOLINGS, lenet.LEAST))
)


def x(*shape):
    return torch.rand(3, *shape, generator=torch.Generator().manual_seed(0))


@every
@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 18, 21)])
def test_all_have_the_same_weights_and_shapes(pooling, normalisation, shape):
    plain = lenet.make(shape, 7)
    net = lenet.make(shape, 7, pooling=pooling, normalisation=normalisation)
    assert_close(dict(net.state_dict()), dict(plain.state_dict()), rtol=0, atol=0)
    out = net(x(*shape))
    assert out.shape == (3, 7)
    other = (pooling, normalisation) != ("max", "none")
    assert ((out - plain(x(*shape))).abs().max() > 1e-3) == other


def test_the_first_half_is_the_formula():
    net = lenet.make(pooling="l2", normalisation="response")
    assert [name for name, _ in net.named_children()][:5] == [
        "conv1",
        "relu1",
        "norm1",
        "pool1",
        "conv2",
    ]
    a = F.conv2d(x(1, 28, 28), net.conv1.weight, net.conv1.bias).relu()
    near = F.pad(a.square(), (0, 0, 0, 0, 2, 2)).unfold(1, 5, 1).sum(-1)  # five maps around each
    b = a / (2 + 1e-4 * near) ** 0.75
    wanted = (F.avg_pool2d(b.square(), 2) + 1e-8).sqrt()
    assert_close(net[:4](x(1, 28, 28)), wanted, rtol=1e-5, atol=1e-6)
    assert isinstance(lenet.make(normalisation="contrast").norm2, ours.LocalContrastNorm2d)


def test_without_shared_weights_each_place_has_its_own():
    net = lenet.make((1, 20, 19), 3, sharing="local", maps=(2, 4), units=5)
    assert net(x(1, 20, 19)).shape == (3, 3)
    assert isinstance(net.conv2, ours.LocallyConnected2d)
    assert net.conv2.weight.shape == (4 * 3 * 4, 2, 5, 5)
    assert abs(float(net.conv1.weight.detach().std()) - (2 / 25) ** 0.5) < 0.01
    shared = lenet.make((1, 20, 19), 3, maps=(2, 4), units=5)
    with torch.no_grad():  # the same filters everywhere: the convolution
        for name in ("conv1", "conv2"):
            local, conv = (each.get_submodule(name) for each in (net, shared))
            places = len(local.weight) // len(conv.weight)
            local.weight.copy_(conv.weight.repeat(places, 1, 1, 1))
            local.bias.copy_(conv.bias.repeat(places))
    rest = {k: v for k, v in shared.state_dict().items() if "conv" not in k}
    net.load_state_dict(rest, strict=False)
    assert_close(net(x(1, 20, 19)), shared(x(1, 20, 19)), rtol=1e-5, atol=1e-6)


def test_the_convolutional_network_is_its_usual_form():
    assert_close(dict(cnn.make().state_dict()), dict(lenet.make().state_dict()), rtol=0, atol=0)
    assert repr(cnn.make()) == repr(lenet.make())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (1, 15, 28)}, r"shape must be \(channels, .* 16 pixels .* got \(1, 15, 28\)"),
        ({"shape": (1, 17, 17), "normalisation": "contrast"}, "18 pixels or more"),
        ({"units": 0}, "units must be a whole number from 1 on, got 0"),
        ({"classes": "ten"}, "classes must be a whole number from 1 on, got 'ten'"),
        ({"shape": 28}, r"shape must be \(channels, .* got 28; for example"),
        ({"maps": (20,)}, r"maps must be those of both convolutions, got \(20,\)"),
        ({"pooling": "mean"}, "pooling must be one of max, average, l2, gaussian, got 'mean'"),
        ({"normalisation": "batch"}, "normalisation must be one of none, .* got 'batch'"),
    ],
)
def test_wrong_use(options, message):
    with pytest.raises(UsageError, match=message):
        lenet.make(**options)
