"""The last rungs: products by plain autograd, for networks that function transforms cannot take."""

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

import nakami
from checks import check_operator, parameter_reference
from gauntlet import Reference
from nakami.results import UsageError
from own_functions import Applied
from own_models import Cube
from pages import route_in_docs
from plain_models import PLAIN, OldCube, OnceCube, Saving, pair

pytestmark = pytest.mark.filterwarnings(
    "ignore:None of the inputs have requires_grad=True. Gradients will be None:UserWarning"
)


def by_hand(net, x):
    jac = torch.autograd.functional.jacobian(lambda z: net(z).reshape(-1), x)
    return jac.reshape(jac.shape[0], -1)


def trace(net):
    """All that a measurement may not touch."""
    return [
        *(torch.get_rng_state(), [m.training for m in net.modules()]),
        *(v.to_dense().clone() for v in net.state_dict().values()),
        *((p.grad, p.requires_grad) for p in net.parameters()),
        *(len(m._backward_hooks) + len(m._backward_pre_hooks) for m in net.modules()),
    ]


def same(before, after):
    return all(
        torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b
        for a, b in zip(before, after, strict=True)
    )


@pytest.mark.parametrize("name", PLAIN)
def test_module(name):
    net, twin, x = pair(name)
    before = trace(net)
    op = nakami.jacobian(net, x)
    check_operator(op, by_hand(twin, x))
    assert op.route == route_in_docs()[name]
    assert same(before, trace(net))
    assert not getattr(net, "seen", [])


@pytest.mark.parametrize("name", PLAIN)
def test_parameters(name):
    net, twin, x = pair(name)
    before = trace(net)
    op = nakami.jacobian(net, x, wrt="parameters")
    check_operator(op, parameter_reference(twin, x))
    assert same(before, trace(net))


@pytest.mark.parametrize("way", ["old", "once", "kept", "recomputed"])
def test_stages(way):
    net, x = Saving(way).double(), torch.randn(1, 4).double()
    twin = Saving("plain").double()
    twin.load_state_dict(net.state_dict())
    for start, to in ((None, ("inner", "output")), ("inner.1", "output")):
        if way in ("kept", "recomputed") and start == "inner.1":
            with pytest.raises(UsageError, match="no way to differentiate this network works"):
                nakami.jacobian(net, x, to, start)
            continue
        if way == "recomputed" and start is None:
            to = "output"  # no gradient passes inside
        op, like = (nakami.jacobian(n, x, to, start) for n in (net, twin))
        check_operator(op, like.dense())
        assert op.shape == like.shape


@pytest.mark.parametrize("way", ["old", "once", "kept", "reentrant"])
def test_curvature(way):
    net, twin = Saving(way).double(), Saving("plain").double()
    twin.load_state_dict(net.state_dict())
    data = torch.randn(5, 4).double(), torch.tensor([0, 2, 1, 1, 0])
    before = trace(net)
    found, wanted = (nakami.fisher(n, data, "cross_entropy") for n in (net, twin))
    check_operator(found, wanted.dense())
    torch.testing.assert_close(found.kernel.dense(), wanted.kernel.dense())
    assert nakami.trace(found).value == pytest.approx(nakami.trace(wanted).value)
    torch.testing.assert_close(found.gradient(), wanted.gradient())
    assert same(before, trace(net))


NO_HESSIAN = {
    "function differentiable once": "no way to differentiate this network works",
    "NumPy function": "comes out asymmetric",
    "reentrant checkpoint": "no way to differentiate this network works",
    "backward that runs a module again": "comes out asymmetric",
}


@pytest.mark.parametrize("name", PLAIN)
def test_hessian(name):
    net, twin, x = pair(name)
    y, before = torch.full_like(twin(x).detach(), 0.3), trace(net)
    if name in NO_HESSIAN:
        with pytest.raises(UsageError, match=NO_HESSIAN[name]):
            nakami.norm(nakami.hessian(net, [(x, y)], "mse"))
    else:
        found = nakami.hessian(net, [(x, y)], "mse").dense()
        wanted = Reference(twin).hessian(x, y, nn.functional.mse_loss)
        torch.testing.assert_close(found, wanted, rtol=1e-8, atol=1e-10)
    assert same(before, trace(net))


class Alone(Cube):
    """Its backward looks at numbers, which no batch of cotangents allows."""

    @staticmethod
    def backward(ctx, grad):
        assert grad.detach().sum().item() < 1e9
        return Cube.backward(ctx, grad)


class Clipped(OldCube):
    @staticmethod
    def backward(ctx, grad):
        return grad.clamp(-0.01, 0.01)


class Broken(OldCube):
    @staticmethod
    def backward(ctx, grad):
        raise KeyError("key")


def test_a_backward_that_cannot_be_batched_goes_column_by_column():
    x = torch.randn(1, 4).double()
    op = nakami.jacobian(Applied(Alone), x)
    check_operator(op, torch.diag(3 * x[0] ** 2))
    assert op.route == "double reverse, transposed by plain autograd"


@pytest.mark.parametrize(
    ("net", "cause"),
    [
        (
            Applied(Clipped),
            r"plain autograd: <u, J v> and <J\^T u, v> differ by 0\..*rows kept: <u",
        ),
        (Applied(Broken), "plain autograd: KeyError: 'key'"),
    ],
)
def test_a_backward_that_is_no_derivative_is_refused(net, cause):
    with pytest.raises(UsageError, match=rf"no way to differentiate this network works.*{cause}"):
        nakami.jacobian(net, torch.ones(1, 4))


def test_rows_beyond_the_budget_are_not_kept():
    cause = (
        "its gradient cannot be differentiated again; rows kept: 40 rows of 40 numbers are beyond"
    )
    with pytest.raises(UsageError, match=cause):
        nakami.jacobian(Applied(OnceCube), torch.ones(1, 40), memory_budget=16384)


@pytest.mark.parametrize("way", ["reentrant", "recomputed"])
def test_weights_inside_are_read_though_nothing_before_them_moves(way):
    net, x = Saving(way).double(), torch.randn(1, 4).double()
    op = nakami.jacobian(net, x, wrt="parameters", params="inner.*")
    twin = Saving("plain").double()
    twin.load_state_dict(net.state_dict())
    check_operator(op, parameter_reference(twin, x, op.names))


def test_weights_that_a_reentrant_checkpoint_drops_are_refused():
    inner = nn.Linear(4, 3)
    net = nn.Sequential(nn.Embedding(5, 4), inner)
    with pytest.raises(UsageError, match="plain autograd: UserWarning: None of the inputs have"):
        nakami.jacobian(
            nakami.View(net, forward=lambda m, x: checkpoint(m[1], m[0](x), use_reentrant=True)),
            torch.tensor([[1, 2]]), wrt="parameters", params="1.*",
        )  # fmt: skip
