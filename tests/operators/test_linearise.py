"""Products from recorded steps: what the network writes in place must not add up."""

import pytest
import torch

import nakami
from nakami.operators.autodiff._linearise import linearised
from networks import build
from own_models import OWN


@pytest.mark.parametrize("name", ["in-place residual", "graph convolution", "circular padding"])
def test_a_product_does_not_depend_on_those_before_it(name):
    factory, shape = OWN[name]
    for seed in range(3):
        torch.manual_seed(seed)
        net, x = factory().double(), torch.randn(1, *shape, dtype=torch.float64)
        op = nakami.jacobian(net, x)
        jac = torch.autograd.functional.jacobian(lambda z, net=net: net(z).reshape(-1), x)
        for _ in range(8):
            torch.testing.assert_close(op.dense(), jac.reshape(op.shape), rtol=1e-10, atol=1e-12)


def test_a_route_that_gives_nan_is_not_taken(monkeypatch):
    net, x = build("mlp")
    push = lambda v: net(x).reshape(-1).detach() * torch.nan  # noqa: E731
    monkeypatch.setattr("nakami.operators.autodiff._strategies.linearised", lambda *args: push)
    assert nakami.jacobian(net, x).route == "forward mode"


POINT = torch.linspace(0.3, 2.0, 6, dtype=torch.float64)


def over_a_constant(x):
    y = x.sin()
    z = y * x
    y.mul_(3)  # what z was made of must be kept as it was
    return z + y


def through_a_buffer(x):
    whole = torch.full((3, 6), 2.0, dtype=x.dtype)
    row = whole[1]  # a view from before the buffer takes part
    whole[1] = x.square()
    whole[2] += row
    return (whole.sum(0) + row.exp()) * whole[0]


def onto_itself(x):
    x.mul_(2)
    x[1:].add_(x[:-1].clone())
    return x * x


def by_a_branch(x):
    return x.square() if float(x.detach().sum()) > 0 else x


def with_several_outputs(x):
    values, places = x.sin().sort()
    top, rest = values.split([2, 4])
    return torch.cat([top * rest[:2], rest[places[:3] % 4], x.unbind()[0][None]])


def by_second_derivatives(x):
    return torch.func.grad(lambda z: (z.square() * z.sin()).sum())(x)


def by_complex_pairs(x):
    turned = torch.view_as_complex(x.view(3, 2)) * torch.polar(x[:3].detach(), x[3:].detach())
    return torch.view_as_real(turned).flatten() * x


def step_by_step(x):
    state, states = torch.zeros(2, dtype=x.dtype), torch.empty(3, 2, dtype=x.dtype)
    for t in range(3):
        state = torch.tanh(0.5 * state + x.view(3, 2)[t])
        states[t] = state
    states[:, 0] *= x[0]
    return states.cumsum(0).flatten()


def with_zeros(x):
    zeros = torch.zeros_like(x)
    y = x.sin()
    z = y + zeros
    y.mul_(2)  # z must not follow
    a = x.cos() + zeros
    a[2:].mul_(3)  # nobody else knows the cosine
    b = x.exp()
    c = b + zeros
    c[:2].mul_(5)  # b must not follow
    return y * z + a * b + c


def past_copies(x):
    y = x.sin()
    doubled, before, copied = y.clone(), y.clone(), y.to(y.dtype, copy=True)
    same = y.expand(6).view(6)  # sees what is written to y, unlike the copies
    doubled.mul_(2)
    y.add_(x)
    return doubled * before + same * copied


def a_constant(x):
    return torch.ones(3, dtype=x.dtype) + x.detach()[:3]


@pytest.mark.parametrize(
    "function",
    [
        over_a_constant,
        through_a_buffer,
        onto_itself,
        by_a_branch,
        with_several_outputs,
        by_second_derivatives,
        by_complex_pairs,
        step_by_step,
        with_zeros,
        past_copies,
        a_constant,
    ],
)
def test_recorded_steps_give_the_derivative_every_time(function):
    def fresh(x):
        return function(x.clone() if function is onto_itself else x)

    units = torch.eye(6, dtype=torch.float64)
    jac = torch.stack([torch.func.jvp(fresh, (POINT,), (unit,))[1] for unit in units], 1)
    push = linearised(fresh, POINT.clone())
    v = torch.randn(6, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    given = v.clone()
    for _ in range(3):
        torch.testing.assert_close(torch.vmap(push, 1, 0)(v).T, jac @ v)
        torch.testing.assert_close(push(v[:, 0]), jac @ v[:, 0])
    assert torch.equal(v, given)


def test_directions_are_not_written_to():
    v = torch.ones(6, dtype=torch.float64)
    push = linearised(onto_itself, POINT.clone())
    first, second = push(v), push(v)
    assert torch.equal(first, second)
    assert torch.equal(v, torch.ones_like(v))


def test_zeros_of_a_convolution_are_left_out():
    # Its derivative by the weights, of a direction that does not move them, is a tensor of zeros.
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(1, 3, 3), torch.nn.ReLU(inplace=True), torch.nn.Conv2d(3, 2, 3)
    )
    x = torch.randn(1, 1, 9, 9)
    push = linearised(lambda v: net(v.reshape(x.shape)).reshape(-1), x.reshape(-1))
    with torch.autograd.profiler.profile() as profile:
        push(torch.zeros(81))
    seen = [event.name for event in profile.function_events]
    assert "aten::convolution" in seen
    assert "aten::add" not in seen


def test_copies_and_like_views_are_left_out():
    def function(x):
        y = x.clone().view(6).expand(6).to(x.dtype, copy=True)
        return torch.mm(y[None].clone(), torch.ones(6, 2, dtype=x.dtype)).expand(1, 2)[0]

    push = linearised(function, POINT.clone())
    with torch.autograd.profiler.profile() as profile:
        image = push(POINT)
    torch.testing.assert_close(image, POINT.sum().expand(2))
    seen = [event.name for event in profile.function_events]
    assert "aten::mm" in seen
    assert {"aten::clone", "aten::copy_", "aten::expand", "aten::view"}.isdisjoint(seen)


def test_a_direction_whose_numbers_are_read_has_no_recorded_steps():
    class Reads(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def jvp(ctx, v):
            return v * float(v.norm() > 0)

    with pytest.raises(NotImplementedError, match="reads numbers off a direction"):
        linearised(Reads.apply, POINT)
