"""Second derivatives that torch has wrong or not at all, against differences of gradients."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.testing import assert_close

import nakami
from nakami.operators.model._composites import Composites

X = torch.randn(9, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
T = torch.randn(9, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
Y = torch.randint(3, (9,), generator=torch.Generator().manual_seed(2))


def network(middle):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), middle, nn.Tanh(), nn.Linear(5, 3)).double()


def differences(op, step=1e-5):
    point = torch.cat([w.reshape(-1) for w in op.weights.values()])
    ways = step * torch.eye(len(point)).double()
    rows = [(op.gradient(point + w) - op.gradient(point - w)) / (2 * step) for w in ways]
    return torch.stack(rows)


LOSSES = {
    "mse": functional.mse_loss,
    "half of it": lambda z, t: 0.5 * functional.mse_loss(z, t),
    "a sum": lambda z, t: nn.MSELoss(reduction="sum")(z, t),
    "huber": nn.HuberLoss(delta=0.3),
}


@pytest.mark.parametrize("name", LOSSES)
def test_losses_of_ones_own(name):
    model, loss = network(nn.Linear(5, 5)), LOSSES[name]
    op = nakami.hessian(model, (X, T), loss)
    assert_close(op @ torch.eye(op.shape[0]).double(), differences(op), rtol=1e-6, atol=1e-7)
    assert op.value == pytest.approx(float(loss(model(X), T).detach()), rel=1e-12)
    if name == "mse":
        wanted = nakami.eigh(nakami.ggn(model, (X, T), nn.MSELoss()), 1).values
        assert_close(nakami.eigh(nakami.ggn(model, (X, T), loss), 1).values, wanted)


def test_weight_norm():
    model = network(nn.utils.parametrizations.weight_norm(nn.Linear(5, 5)))
    op = nakami.hessian(model, (X, Y), nn.CrossEntropyLoss())
    found = op @ torch.eye(op.shape[0]).double()
    assert_close(found, differences(op), rtol=1e-6, atol=1e-7)
    assert_close(found, found.T)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_composites_are_the_functions(reduction):
    weight = torch.rand(9, 3).double()
    for call in (
        lambda: functional.mse_loss(X[:, :3], T, reduction=reduction),
        lambda: functional.mse_loss(X[:, :3], T, reduction=reduction, weight=weight),
        lambda: functional.huber_loss(X[:, :3], T, reduction=reduction, delta=0.4),
        lambda: torch._weight_norm(X, X[:, :1].abs(), 0),
    ):
        wanted = call()
        with Composites():
            assert_close(call(), wanted)


class _Neighbours(torch.autograd.Function):
    """Products of neighbours; half of the backward's derivative is cut."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x):
        return x * x.roll(-1, -1)

    @staticmethod
    def setup_context(ctx, inputs, output):
        ctx.save_for_backward(inputs[0])

    @staticmethod
    def backward(ctx, u):
        (x,) = ctx.saved_tensors
        return u * x.roll(-1, -1).detach() + (u * x).roll(1, -1)


class Neighbours(nn.Module):
    def forward(self, x):
        return _Neighbours.apply(x)


def test_an_asymmetric_hessian_is_refused():
    op = nakami.hessian(network(Neighbours()), (X, Y), nn.CrossEntropyLoss())
    with pytest.raises(ValueError, match=r"comes out asymmetric .* take nakami\.ggn"):
        op @ torch.ones(op.shape[0], 1).double()


def test_classes_are_whole_numbers():
    with pytest.raises(TypeError, match=r"must be int64 classes, got float64; use y.long\(\)"):
        nakami.fisher(network(nn.Tanh()), (X, Y.double()), nn.CrossEntropyLoss())


def test_a_loss_returns_a_tensor():
    with pytest.raises(TypeError, match="loss must return a tensor, got float"):
        nakami.ggn(network(nn.Tanh()), (X, Y), lambda z, y: 3.0)


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0, float("inf")])
@pytest.mark.parametrize("rows", [3, 30])
def test_distances_to_prototypes(p, rows):
    """torch's own has no second derivative, and its first is wrong under ``vmap``."""

    class Prototypes(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.enter, self.far = nn.Linear(6, 4), nn.Parameter(torch.randn(rows, 4))

        def forward(self, x):
            return -torch.cdist(self.enter(x), self.far, p)

    net, x = Prototypes().double(), torch.randn(1, 6, dtype=torch.float64)
    step = 1e-6 * torch.eye(6, dtype=x.dtype)
    want = ((net(x + step) - net(x - step)) / 2e-6).detach().T
    torch.testing.assert_close(nakami.jacobian(net, x).dense(), want, rtol=1e-6, atol=1e-8)


class Distances(nn.Module):
    """Between the three pairs that each row holds."""

    def forward(self, x):
        pairs = torch.cat([x, x[:, :1]], 1).reshape(-1, 3, 2)
        return torch.stack([torch.pdist(row) for row in pairs])


@pytest.mark.parametrize("middle", [nn.Hardsigmoid(), nn.Hardsigmoid(inplace=True), Distances()])
def test_functions_without_a_second_derivative(middle):
    torch.manual_seed(0)
    narrow = nn.Linear(3 if isinstance(middle, Distances) else 5, 3)
    model = nn.Sequential(nn.Linear(6, 5), middle, nn.Tanh(), narrow).double()
    op = nakami.hessian(model, (X, Y), nn.CrossEntropyLoss())
    found = op @ torch.eye(op.shape[0]).double()
    assert_close(found, differences(op), rtol=1e-6, atol=1e-7)
    jac = nakami.jacobian(model, X[:1]).dense()
    wanted = torch.autograd.functional.jacobian(model, X[:1]).reshape(jac.shape)
    assert_close(jac, wanted, rtol=1e-7, atol=0)  # torch has 1/6 in float32
    at_ends = torch.tensor([[-3.0, 3.0, -4.0, 4.0, 0.5]]).double()
    with Composites():
        here = functional.hardsigmoid(at_ends)
    assert_close(here, functional.hardsigmoid(at_ends))


def test_operations_that_vmap_takes_row_by_row_do_not_flood_the_terminal(capfd):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 10), nn.GLU(), nn.Mish(), nn.Linear(5, 3)).double()
    op = nakami.hessian(model, (X, Y), nn.CrossEntropyLoss())
    assert_close(op.dense(), differences(op), rtol=1e-6, atol=1e-7)
    nakami.norm(nakami.jacobian(model, X[:1]))
    shown = capfd.readouterr()
    assert "performance" not in shown.err + shown.out
