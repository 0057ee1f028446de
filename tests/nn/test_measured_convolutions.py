"""Convolutions are set to the faster way by measuring, and nothing else changes."""

import copy

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from nakami.nn import FFTConv2d, measure_convolutions
from nakami.results import UsageError


class Net(nn.Module):
    """Two convolutions of far different kernels, one called twice, with state around them."""

    def __init__(self):
        super().__init__()
        self.small = FFTConv2d(24, 24, 3, padding=1)
        self.norm = nn.BatchNorm2d(24)
        self.large = FFTConv2d(24, 24, 31, padding=15, groups=24)
        self.drop = nn.Dropout(0.5)
        self.unused = FFTConv2d(1, 1, 3)

    def forward(self, x, scale):
        return self.large(self.drop(self.large(self.norm(self.small(x))))) * scale


@pytest.fixture(scope="module")
def measured():
    torch.manual_seed(0)
    net = Net()
    before, x = copy.deepcopy(net), torch.randn(2, 24, 40, 48)
    state = torch.get_rng_state()
    seconds = measure_convolutions(net, x, torch.ones(()), repeats=3)
    assert torch.equal(state, torch.get_rng_state())
    return net, before, x, seconds


def test_the_way_is_that_of_less_time_and_large_kernels_go_by_transforms(measured):
    net, _, _, seconds = measured
    assert list(seconds) == ["small", "large"]
    for name, ways in seconds.items():
        assert sorted(ways) == ["direct", "fft"]
        assert all(0 < s < 60 for s in ways.values())
        assert net.get_submodule(name).method == min(ways, key=ways.get)
    assert seconds["large"]["direct"] > 5 * seconds["large"]["fft"]  # 30 or more where measured
    assert (net.large.method, net.small.method) == ("fft", "direct")


def test_nothing_else_changes(measured):
    net, before, x, _ = measured
    assert net.training
    assert net.unused.method == "auto"
    for name, value in before.state_dict().items():
        assert torch.equal(net.state_dict()[name], value)  # running means among them
    assert all(p.grad is None for p in net.parameters())
    assert not any(m._forward_pre_hooks for m in net.modules())
    assert_close(net.eval()(x, 2.0), before.eval()(x, 2.0), rtol=0, atol=1e-4)


def test_a_single_layer_without_a_backward_pass_in_half_precision():
    layer = FFTConv2d(2, 3, 5, dtype=torch.bfloat16)
    seconds = measure_convolutions(layer, torch.zeros(2, 9, 9, dtype=torch.bfloat16),
                                   backward=False, repeats=1)  # fmt: skip
    assert list(seconds) == [""]
    assert layer.method in ("fft", "direct")


def test_what_is_no_such_network_is_refused():
    with pytest.raises(UsageError, match="model must call an FFTConv2d, got none called; put"):
        measure_convolutions(nn.Conv2d(1, 1, 3), torch.zeros(1, 1, 5, 5))
    with pytest.raises(UsageError, match="repeats must be a whole number from 1 on"):
        measure_convolutions(FFTConv2d(1, 1, 3), torch.zeros(1, 1, 5, 5), repeats=0)
    with pytest.raises(UsageError, match="model must be a torch module"):
        measure_convolutions("net", torch.zeros(1, 1, 5, 5))
