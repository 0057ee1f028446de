"""The three-stage network: its objective by dense matrices, and that stages learn."""

import pytest
import torch
from torch.testing import assert_close

from nakami.results import UsageError
from nakami.training import Unsupervised, fit
from nakami.zoo import three_stage


def drawn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def small():
    return three_stage.make((1, 14, 14), fields=(3, 3), maps=(2, 3)).double()


def test_the_objective_of_a_stage_is_that_of_its_dense_matrix():
    stage, x = small().stages[0], drawn(2, 1, 14, 14)
    w = torch.autograd.functional.jacobian(stage.filters, x[:1]).reshape(-1, 196)
    for row, each in zip(stage.objective(x), x.flatten(1), strict=True):
        y = w @ each
        misfit = (w.T @ y - each).square().sum()
        maps = y.reshape(2, 12, 12).unfold(1, 2, 2).unfold(2, 2, 2)
        energies = (three_stage.EPS + maps.square().sum((-2, -1))).sqrt().sum()
        assert_close(row, (misfit + 0.1 * energies) / 196)


def test_the_joint_objective_is_the_sum_of_the_stages():
    net, x = small(), drawn(3, 1, 14, 14)
    one, two = net.stages
    seen = net.contrast(x)
    assert_close(net.objective(x), one.objective(seen) + two.objective(one(seen)))
    assert_close(net(x), two(one(seen)).flatten(1))


def test_first_weights_keep_the_energy_of_white_inputs():
    filters = three_stage.make().stages[0].filters
    x = torch.randn(20, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    back = filters.transpose(filters(x)).detach()
    assert 0.8 < float((back * x).sum() / x.square().sum()) < 1.2


def test_a_stage_learns_to_give_back_and_joint_learning_goes_on():
    net = small().float()
    g = torch.Generator().manual_seed(1)
    x = torch.randn(40, 1, 5, 5, generator=g)
    x = torch.nn.functional.interpolate(x, size=(14, 14), mode="bilinear")
    stage, seen = net.stages[0], net.seen(x)
    adam = torch.optim.Adam(stage.parameters(), 0.01)
    losses = fit(Unsupervised(stage, adam, stage.objective), (seen,), epochs=30, batch=20)
    assert losses[-1] < 0.5 * losses[0]
    adam = torch.optim.Adam(net.parameters(), 0.003)
    joint = fit(Unsupervised(net, adam, net.objective), (x,), epochs=10, batch=20)
    assert joint[-1] < joint[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"maps": (8, 16)}, r"maps must name as many stages as fields, got \(8, 16\)"),
        ({"shape": (28, 28)}, r"shape must be channels, height and width, got \(28, 28\)"),
        ({"cost": -1}, "cost must be a number from 0 on, got -1"),
        ({"pool": 30}, "fields must leave 30 pixels or more a side to pool in stage 1, of 28"),
    ],
)
def test_wrong_use_is_refused_in_a_sentence(options, message):
    with pytest.raises(UsageError, match=message):
        three_stage.make(**options)
