"""Units seen through the Jacobian and through a deconvolutional network, each made by hand."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import nakami
from nakami import dynamics
from nakami.results import UsageError


def pictures(n=4):
    return torch.randn(n, 2, 8, 8, generator=torch.Generator().manual_seed(1)).double()


class Net(nn.Module):
    """Two convolutions with pooling between them."""

    def __init__(self, inplace=False):
        super().__init__()
        torch.manual_seed(0)
        self.first, self.relu = nn.Conv2d(2, 5, 3), nn.ReLU(inplace)
        self.pool = nn.MaxPool2d(2)
        self.second = nn.Conv2d(5, 4, 2)
        self.requires_grad_(False).double()

    def forward(self, x):
        return functional.relu(self.second(self.pool(self.relu(self.first(x)))))


def by_hand(net, x, unit, flat):
    """The projection of Zeiler and Fergus: unpool, rectify, filter transposed."""
    a = functional.relu(net.first(x[None]))
    pooled, switches = functional.max_pool2d(a, 2, return_indices=True)
    signal = torch.zeros_like(net.second(pooled))
    signal.reshape(1, signal.shape[1], -1)[0, unit, flat] = 1
    back = functional.conv_transpose2d(signal.clamp_min(0), net.second.weight)
    back = functional.max_unpool2d(back, switches, 2, output_size=a.shape[-2:])
    return functional.conv_transpose2d(back.clamp_min(0), net.first.weight).reshape(-1)


@pytest.mark.parametrize("inplace", [False, True])
def test_projections_are_those_of_a_network_run_backwards_by_hand(inplace):
    net, x = Net(inplace), pictures()
    run = nakami.xray(net, x, stages=["output"])
    found = dynamics.units(net, x, run, units=[2, 0])
    assert found.settings["rectified"] == 2
    for i in range(len(x)):
        state = net(x[i : i + 1])[0].reshape(4, -1)
        jacobian = torch.autograd.functional.jacobian(net, x[i : i + 1]).reshape(-1, x[0].numel())
        for u, unit in enumerate((2, 0)):
            top, flat = state[unit].max(0)
            assert found.arrays["activation"][i, u] == pytest.approx(float(top))
            assert found.arrays["place"][i, u] == int(flat)
            row = jacobian.reshape(4, -1, x[0].numel())[unit, flat]
            np.testing.assert_allclose(found.arrays["exact"][i, u], row, atol=1e-6)
            if float(top) == 0:
                continue
            projected = by_hand(net, x[i], unit, flat)
            np.testing.assert_allclose(found.arrays["deconvolved"][i, u], projected, atol=1e-6)
            wanted = functional.cosine_similarity(row, projected, dim=0)
            assert found.arrays["cosine"][i, u] == pytest.approx(float(wanted))
            assert abs(float(wanted)) < 0.999  # here the two differ
    order = np.argsort(-found.arrays["activation"][:, 0])
    assert found.best(2, 2) == order[:2].tolist()


def test_without_relus_the_two_are_the_same():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    x = torch.randn(3, 6).double()
    found = dynamics.units(net, x, nakami.xray(net, x), count=2)
    assert found.settings["rectified"] == 0
    np.testing.assert_allclose(found.arrays["exact"], found.arrays["deconvolved"], atol=1e-7)
    np.testing.assert_allclose(found.arrays["cosine"], 1)
    strongest = net(x).amax(0).argsort(descending=True)[:2]
    assert list(found.units) == strongest.tolist()


def test_units_that_are_off_have_no_row():
    net = Net()
    net.second.bias[1] = -100
    x = pictures(2)
    found = dynamics.units(net, x, nakami.xray(net, x, stages=["output"]), units=[1])
    assert (found.arrays["exact"] == 0).all()
    assert np.isnan(found.arrays["cosine"]).all()
    assert math.isnan(found.rows()[0]["cosine"])


def test_bad_units_are_refused_and_pieces_come_back(tmp_path):
    net, x = Net(), pictures(2)
    run = nakami.xray(net, x, stages=["pool", "output"], out=tmp_path)
    with pytest.raises(UsageError, match="units must be numbers from 0 to 3, got"):
        dynamics.units(net, x, run, units=[4])
    with pytest.raises(UsageError, match="count must be"):
        dynamics.units(net, x, run, count=0)
    with pytest.raises(UsageError, match="pool"):
        dynamics.units(net, x, run, "poool")
    first = dynamics.units(net, x, run, "pool", count=3)
    again = nakami.load(tmp_path).experiments["units"]
    assert again.rows() == first.rows()
    with pytest.raises(UsageError, match="unit '99' is unknown"):
        again.cosine(99)
    assert (again.arrays["exact"] == first.arrays["exact"]).all()


def test_the_guided_projection_is_gated_and_rectified():
    net, x = Net(), pictures(2)
    found = dynamics.units(net, x, nakami.xray(net, x, stages=["output"]), units=[2])
    for i in range(2):
        first = net.first(x[i : i + 1])
        pooled, switches = functional.max_pool2d(functional.relu(first), 2, return_indices=True)
        last = net.second(pooled)
        signal = torch.zeros_like(last)
        signal.reshape(1, 4, -1)[0, 2, found.arrays["place"][i, 0]] = 1
        back = functional.conv_transpose2d(signal * (last > 0), net.second.weight)
        back = functional.max_unpool2d(back, switches, 2, output_size=first.shape[-2:])
        back = back.clamp_min(0) * (first > 0)
        wanted = functional.conv_transpose2d(back, net.first.weight).reshape(-1)
        np.testing.assert_allclose(found.arrays["guided"][i, 0], wanted, atol=1e-6)


def test_row_deconvolution_and_guided_coincide_where_all_signals_are_positive():
    """Positive weights and inputs: no ReLU is off, and nothing on the way back is negative."""
    net, x = Net(), pictures(3).abs()
    with torch.no_grad():
        for p in net.parameters():
            p.abs_()
    found = dynamics.units(net, x, nakami.xray(net, x, stages=["output"]), units=[0, 3])
    for name in ("deconvolved", "guided"):
        np.testing.assert_allclose(found.arrays[name], found.arrays["exact"], rtol=1e-6)
    np.testing.assert_allclose(found.arrays["cosine_guided"], 1)
    with torch.no_grad():
        net.second.weight[0, 2] *= -1  # one negative signal, and they part
    found = dynamics.units(net, x, nakami.xray(net, x, stages=["output"]), units=[0])
    assert (found.arrays["cosine"] < 0.9999).all()


def test_a_hidden_part_changes_the_unit_as_a_run_without_it_does():
    net, x = Net(), pictures(1)
    run = nakami.xray(net, x, stages=["output"])
    found = dynamics.units(net, x, run, units=[1], occlude=3)
    place = found.arrays["place"][0, 0]
    plain = net(x)[0, 1].reshape(-1)[place]
    for i, rows in enumerate([(0, 2), (3, 5), (6, 8)]):
        for j, columns in enumerate([(0, 2), (3, 5), (6, 8)]):
            hidden = x.clone()
            mean = x.mean((2, 3), keepdim=True)[0]
            hidden[0, :, slice(*rows), slice(*columns)] = mean
            change = net(hidden)[0, 1].reshape(-1)[place] - plain
            assert found.arrays["occlusion"][0, 0, i, j] == pytest.approx(float(change), abs=1e-6)
    assert "occlusion" not in dynamics.units(net, x, run, units=[1], occlude=0).arrays
    with pytest.raises(UsageError, match="occlude must be a whole number from 0 to 64, got -1"):
        dynamics.units(net, x, run, occlude=-1)
