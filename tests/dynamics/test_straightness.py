"""Curves by depth, against circles and what a net does to them by hand."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from nakami.dynamics import straightness
from nakami.results import UsageError


def arc(points=13, degrees=120.0):
    """Points on a circle around the origin, so many degrees of it."""
    t = torch.linspace(0, math.radians(degrees), points, dtype=torch.float64)
    return torch.stack((t.cos(), t.sin()), 1)[None]


class Angle(nn.Module):
    """The angle of a point in a plane, beside numbers that stay."""

    def forward(self, x):
        return torch.stack((torch.atan2(x[:, 1], x[:, 0]), torch.ones_like(x[:, 0])), 1)


def test_a_circle_turns_and_its_angle_is_a_line():
    turned, _ = torch.linalg.qr(torch.randn(2, 2, dtype=torch.float64))
    rotation = nn.Linear(2, 2, bias=False).double()
    with torch.no_grad():
        rotation.weight.copy_(3 * turned)
    # a rotation may carry the arc over the cut of atan2, so the angle is taken first
    both = straightness(nn.Sequential(rotation, nn.Identity()), arc(), ["0"])
    unfolded = straightness(nn.Sequential(Angle(), nn.Identity()), arc(), ["0"])
    chord, way = 2 * math.sin(math.radians(60)), 12 * 2 * math.sin(math.radians(5))
    assert both.angles[:, 0] == pytest.approx([10, 10], rel=1e-9)
    assert both.ratios[:, 0] == pytest.approx([way / chord] * 2, rel=1e-9)
    assert both.lengths[:, 0] == pytest.approx([way, 3 * way], rel=1e-9)
    assert unfolded.angles[1, 0] == pytest.approx(0, abs=1e-4)
    assert unfolded.ratios[1, 0] == pytest.approx(1, rel=1e-12)
    assert unfolded.angle("input").mean == pytest.approx(10)
    assert unfolded.rows()[1]["stage"] == "0"
    assert repr(unfolded) == "Straightness(input 10.0°, 0 0.0°)"


def test_steps_without_relation_turn_by_a_right_angle():
    generator = torch.Generator().manual_seed(0)
    steps = torch.randn(4, 20, 5000, generator=generator)
    found = straightness(nn.Sequential(nn.Identity(), nn.Flatten()), steps.cumsum(1), ["1"])
    assert found.angles == pytest.approx(90 * np.ones((2, 4)), abs=1)
    assert found.ratios[0] == pytest.approx(math.sqrt(19) * np.ones(4), rel=0.1)


def test_a_curve_that_stands_still_has_no_angle():
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU()).double()
    with torch.no_grad():
        net[0].bias.fill_(-100)
    found = straightness(net, arc(), ["1"])
    assert np.isnan(found.angles[1]).all()
    assert found.lengths[1, 0] == 0


def test_wrong_use_is_one_sentence():
    net = nn.Linear(2, 2).double()
    with pytest.raises(UsageError, match=r"have the shape \(curves, points, ...\) with three"):
        straightness(net, arc()[0])
    with pytest.raises(UsageError, match=r"with three points or more, got \(1, 2, 2\); pass curv"):
        straightness(net, arc(2))
    with pytest.raises(UsageError, match="curves must be a tensor, got list; pass a tensor of sh"):
        straightness(net, [[1.0]])
