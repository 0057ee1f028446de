"""A View says once how a model is called; every function that takes a model takes one."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

import nakami
from networks import Pair

X = torch.randn(1, 5, generator=torch.Generator().manual_seed(0))


def test_a_view_gives_the_matrices_of_the_model_called_by_hand():
    net = Pair()
    view = nakami.View(
        net, forward=lambda m, x: m(2 * x), select=lambda out: out[1], dtype="float64"
    )
    op = nakami.jacobian(view, X)
    wanted = torch.autograd.functional.jacobian(lambda x: net.double()(2 * x)[1], X.double())
    assert op.dtype == torch.float64
    assert_close(op.dense(), wanted.reshape(2, 5))
    assert [s.name for s in nakami.stages(view, X)][-1] == "output"
    F = nakami.fisher(view, (X, torch.zeros(1, 2)), "mse")
    assert F.dtype == torch.float64


def test_the_model_is_seen_as_it_is_now():
    net = nn.Linear(5, 2)
    view = nakami.View(net)
    with torch.no_grad():
        net.weight.mul_(2)
    assert_close(nakami.jacobian(view, X).dense(), net.weight.detach())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "half"}, "dtype must be torch.float32 or torch.float64, got 'half'"),
        ({"device": "moon"}, "device must be one that holds numbers on this machine, got 'moon'"),
        ({"forward": 3}, "forward must be"),
        ({"select": 1.5}, "select must be a name or a function of the output, got 1.5"),
        ({"batch_statistics": "yes"}, "batch_statistics must be True or False, got 'yes'"),
    ],
)
def test_wrong_options_are_refused_at_once(options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        nakami.View(nn.Linear(2, 2), **options)


def test_no_module():
    with pytest.raises(TypeError, match=r"model must be a torch\.nn\.Module, got function"):
        nakami.View(lambda x: x)
