"""Networks that are read with a warning, or refused with the reason."""

import pytest
import torch
from torch import nn

import nakami
from nakami.results import NakamiWarning, UsageError
from own_functions import Applied, StraightThrough


class WrongForward(StraightThrough):
    @staticmethod
    def forward(x):
        return torch.sin(x)

    @staticmethod
    def jvp(ctx, tangent):
        return 3 * tangent


def test_a_straight_through_gradient_warns():
    with pytest.warns(NakamiWarning, match="J is no derivative of the network"):
        nakami.jacobian(Applied(StraightThrough), torch.ones(1, 40))


def test_two_directions_that_disagree_climb_down():
    with pytest.warns(NakamiWarning, match="J is no derivative of the network"):
        op = nakami.jacobian(Applied(WrongForward), torch.full((1, 4), 1.1).double())
    assert op.route == "double reverse"


class Cut(nn.Module):
    """A network whose author switched gradients off."""

    def __init__(self, how):
        super().__init__()
        self.linear, self.how = nn.Linear(4, 3), how

    def forward(self, x):
        if self.how == "detach":
            return self.linear(x).detach()
        with torch.no_grad():
            return self.linear(x)


@pytest.mark.parametrize("how", ["detach", "no_grad"])
def test_a_cut_gradient_is_said(how):
    with pytest.raises(UsageError, match="the gradient of this network is cut: it moves"):
        nakami.jacobian(Cut(how), torch.ones(1, 4))


def test_a_constant_network_has_the_zero_jacobian():
    net = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    nn.init.constant_(net[0].bias, -100.0)
    op = nakami.jacobian(net, torch.ones(1, 4))
    assert torch.equal(op.dense(), torch.zeros(3, 4))
    assert torch.equal(op @ torch.ones(4, 2), torch.zeros(3, 2))
    assert float(nakami.svd(op).values.max()) == 0


@pytest.mark.parametrize(
    "net", [nn.Sequential(nn.LazyLinear(3)), nn.Sequential(nn.Linear(4, 3, device="meta"))]
)
def test_weights_without_numbers_are_refused(net):
    with pytest.raises(UsageError, match=r"weight '0.weight' must hold numbers, got none so far"):
        nakami.jacobian(net, torch.ones(1, 4))


def test_a_scripted_module_is_refused():
    with pytest.warns(DeprecationWarning, match="jit.script"):
        net = torch.jit.script(nn.Sequential(nn.Linear(4, 3)))
    with pytest.raises(UsageError, match=r"got a scripted one; pass the module it was scripted"):
        nakami.jacobian(net, torch.ones(1, 4))


@pytest.mark.parametrize(
    ("function", "dtype"), [(torch.fft.rfft, "complex64"), (torch.argmax, "int64")]
)
def test_an_output_that_is_not_real_is_refused(function, dtype):
    net = nn.Sequential(nn.Linear(4, 3))
    with pytest.raises(TypeError, match=rf"output must hold a floating tensor, got torch.{dtype}"):
        nakami.jacobian(nakami.View(net, forward=lambda m, x: function(m(x))), torch.ones(1, 4))


class Slope(nn.Module):
    """The gradient of an energy, taken by autograd in its own forward."""

    def __init__(self):
        super().__init__()
        self.energy = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 1))

    def forward(self, x):
        with torch.enable_grad():
            x = x if x.requires_grad else x.requires_grad_()
            return torch.autograd.grad(self.energy(x).sum(), x, create_graph=True)[0]


def test_a_state_that_cannot_be_held_is_said():
    with pytest.raises(
        UsageError, match=r"start must be a stage that can be held, got 'energy\.1'"
    ):
        nakami.jacobian(Slope(), torch.ones(1, 4), start="energy.1")


class Bottom(nn.Module):
    """Cannot be differentiated at all."""

    def forward(self, x):
        return torch.from_numpy(x.detach().numpy() * 2)


def test_what_cannot_be_differentiated_is_said():
    with pytest.raises(UsageError, match=r"no way to differentiate this network works \(reverse"):
        nakami.jacobian(Bottom(), torch.ones(1, 4))


def test_a_derivative_that_is_nan_is_called_so():
    class Root(nn.Module):
        def forward(self, x):
            return torch.where(x > 0, x.sqrt(), torch.zeros_like(x))

    class Inside(nn.Module):
        def forward(self, x):
            return torch.where(x > 0, torch.where(x > 0, x, 1).sqrt(), 0)

    x = torch.tensor([[4.0, 0.0]], dtype=torch.float64)
    with pytest.raises(UsageError, match=r"derivative of this network is NaN .* where\(\) around"):
        nakami.jacobian(Root(), x)
    want = torch.tensor([[0.25, 0.0], [0.0, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(nakami.jacobian(Inside(), x).dense(), want)


def test_outputs_that_are_not_finite_are_called_so():
    class Log(nn.Module):
        def forward(self, x):
            return torch.log(x)

    with pytest.raises(UsageError, match="model must give finite outputs"):
        nakami.jacobian(Log(), torch.tensor([[4.0, 0.0]]))
