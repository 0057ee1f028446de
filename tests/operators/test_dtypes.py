"""Half precision, float32 inside float64, complex weights: computed in what, and what is said."""

import pytest
import torch
from torch import nn
from torch.nn import functional

import nakami
from checks import check_operator
from nakami.results import UsageError
from networks import build
from own_models import FourierOperator


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32_and_said(dtype):
    net, x = build("mlp")
    net = net.to(dtype)
    op = nakami.jacobian(net, x.to(dtype))
    assert op.dtype == torch.float32
    name = str(dtype).removeprefix("torch.")
    assert op.route == f"linearised, {name} weights computed in float32"
    net = net.eval().double()
    jac = torch.autograd.functional.jacobian(lambda z: net(z), x.to(dtype).double())
    check_operator(op, jac.reshape(op.shape).float(), rtol=1e-4, atol=1e-6)


class Coarse(nn.Module):
    """Normalises in float32 whatever comes in, as published language models do."""

    def __init__(self):
        super().__init__()
        self.enter, self.leave = nn.Linear(5, 6), nn.Linear(6, 4)

    def forward(self, x):
        h = self.enter(x)
        return self.leave(functional.rms_norm(h.float(), (6,)).to(h.dtype).tanh())


def test_float32_inside_float64_is_said():
    torch.manual_seed(0)
    net, x = Coarse().double(), torch.linspace(-1, 1, 5, dtype=torch.float64)[None]
    op = nakami.jacobian(net, x)
    assert op.route == "linearised, in part in float32"
    jac = torch.autograd.functional.jacobian(net, x).reshape(4, 5)
    check_operator(op, jac, rtol=1e-5, atol=1e-6)


class Mixed(nn.Module):
    """Its middle state is of another dtype than the rest."""

    def __init__(self):
        super().__init__()
        self.enter, self.leave = nn.Linear(5, 6), nn.Linear(6, 4)
        self.middle = nn.Tanh()

    def forward(self, x):
        return self.leave(self.middle(self.enter(x).float()).to(x.dtype))


def test_a_state_of_another_dtype_can_be_start_and_end():
    torch.manual_seed(0)
    net, x = Mixed().double(), torch.linspace(-1, 1, 5, dtype=torch.float64)[None]
    whole = torch.autograd.functional.jacobian(net, x).reshape(4, 5)
    first, second = nakami.jacobian(net, x, to="middle"), nakami.jacobian(net, x, start="middle")
    assert first.dtype == second.dtype == torch.float64
    torch.testing.assert_close(second @ first.dense(), whole, rtol=1e-5, atol=1e-6)


def test_complex_weights_follow_the_dtype():
    torch.manual_seed(0)
    net, x = FourierOperator().double(), torch.linspace(-1, 1, 12, dtype=torch.float64)[None, None]
    exact = nakami.jacobian(net, x).dense()
    net = net.float()
    net.weight.data = net.weight.data.to(torch.complex64)
    op = nakami.jacobian(nakami.View(net, dtype=torch.float64), x.float())
    assert op.dtype == torch.float64
    torch.testing.assert_close(op.dense(), exact, rtol=1e-4, atol=1e-6)


class Halves(nn.Module):
    """Casts to the dtype its author gave it."""

    def __init__(self):
        super().__init__()
        self.enter, self.leave = nn.Linear(4, 3).half(), nn.Linear(3, 2)

    def forward(self, x):
        return self.leave(self.enter(x.half()).float())


def test_a_cast_that_meets_recast_weights_is_said():
    with pytest.raises(UsageError, match=r"computed in torch\.float32: take casts out of its forw"):
        nakami.jacobian(Halves(), torch.ones(1, 4))
