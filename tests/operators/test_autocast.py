"""Autocast, inside a forward or around a call, changes no number: it is lifted, and said."""

import types

import pytest
import torch
from torch import nn
from torch.nn import functional

import nakami
from gauntlet import Reference
from nakami.results import UsageError
from nakami.spectra import LinearOperator


class Net(nn.Module):
    def __init__(self, inside):
        super().__init__()
        self.a, self.b, self.inside = nn.Linear(4, 5), nn.Linear(5, 3), inside

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.inside):
            h = functional.gelu(self.a(x))
            with torch.autocast("cpu", enabled=False):
                h = h.to(self.b.weight)
            return self.b(h)


def made(inside):
    torch.manual_seed(0)
    model, x, y = Net(inside), torch.randn(6, 4), torch.randint(0, 3, (6,))
    reference = Reference(Net(False).double())
    reference.point = torch.cat([p.detach().double().reshape(-1) for p in model.parameters()])
    return model, x, y, reference


@pytest.mark.parametrize("around", [False, True])
@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("kind", ["ggn", "hessian"])
def test_matrices_and_spectra(kind, inside, around):
    model, x, y, reference = made(inside)
    loss = functional.cross_entropy
    want = getattr(reference, kind)(x.double(), y, loss)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=around):
        op = getattr(nakami, kind)(model, (x, y), loss)
        found = op @ torch.eye(op.shape[0])
        top, trace = nakami.eigh(op, 1).values, nakami.trace(op).value
        route = op.route
        assert (model(x).dtype == torch.bfloat16) == inside  # as it was
        assert torch.is_autocast_enabled("cpu") == around
    torch.testing.assert_close(found.double(), want, rtol=1e-4, atol=1e-6)
    assert float(top[0]) == pytest.approx(float(torch.linalg.eigvalsh(want)[-1]), rel=1e-4)
    assert trace == pytest.approx(float(want.trace()), rel=1e-4)
    assert not inside or "autocast lifted" in route
    assert op.value == pytest.approx(reference.value(x.double(), y, loss), rel=1e-5)


READ = {
    "gradient": lambda op: op.gradient(),
    "gradient elsewhere": lambda op: op.gradient(torch.ones(op.shape[0])),
    "moved": lambda op: torch.tensor(op.moved(torch.ones(op.shape[0])).value),
    "at_current_weights": lambda op: op.at_current_weights().dense(),
    "layer": lambda op: op.layer("a.*").dense(),
    "unit_blocks": lambda op: op.unit_blocks("a"),
    "trace_by_parameter": lambda op: torch.tensor(list(op.trace_by_parameter().values())),
    "second_moment": lambda op: torch.tensor(op.second_moment().value),
    "root": lambda op: op.root.T.dense(),
    "kernel": lambda op: op.kernel.dense(),
    "products of the kernel": lambda op: op.kernel @ torch.eye(op.kernel.shape[0]),
}


@pytest.mark.parametrize("what", READ)
def test_all_that_an_operator_gives(what):
    model, x, y, _ = made(False)
    want = READ[what](nakami.ggn(model, (x, y), "cross_entropy"))
    op = nakami.ggn(model, (x, y), "cross_entropy")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = READ[what](op)
    assert torch.equal(found, want)


def controlled(model, data):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    control = nakami.RateControl(model, optimizer, data, "cross_entropy", 0.1, steps=300)
    for _ in range(12):
        control.step(1.0)
    return [record.sharpness for record in control.log]


READINGS = {
    "initialisation": lambda m, x, y: nakami.initialisation(m, x).as_dict(),
    "learning_rate": lambda m, x, y: nakami.learning_rate(m, (x, y), "cross_entropy", "adam"),
    "rate_limit": lambda m, x, y: nakami.rate_limit(m, (x, y), "cross_entropy", "adam"),
    "rate control": lambda m, x, y: controlled(m, (x, y)),
    "xray": lambda m, x, y: nakami.xray(m, x[:1]).rows(),
}


@pytest.mark.parametrize("what", READINGS)
def test_readings(what):
    want = READINGS[what](*made(False)[:3])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = READINGS[what](*made(False)[:3])
    assert repr(found) == repr(want)


def test_every_operator_lifts_autocast_in_its_public_methods():
    def below(kind):
        return {kind, *(k for direct in kind.__subclasses__() for k in below(direct))}

    for kind in below(LinearOperator) - {LinearOperator}:
        for name, value in vars(kind).items():
            read = getattr(value, "fget", None) or getattr(value, "func", value)
            if not name.startswith("_") and isinstance(read, types.FunctionType):
                assert read.__wrapped__.__name__ == name, f"{kind.__name__}.{name}"


@pytest.mark.parametrize("around", [False, True])
def test_jacobians(around):
    model, x, _, _ = made(True)
    double = Net(False).double()
    double.load_state_dict(model.state_dict())
    want = torch.autograd.functional.jacobian(double, x[:1].double()).reshape(3, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=around):
        found = nakami.svd(nakami.jacobian(model, x[:1]))
    torch.testing.assert_close(
        found.values.double(), torch.linalg.svdvals(want), rtol=1e-5, atol=1e-7
    )


@pytest.mark.parametrize("layout", [torch.strided, torch.jagged])
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_nested_tensors_are_refused(layout):
    parts = [torch.ones(5, 3), torch.ones(4, 3)]
    x, model = torch.nested.nested_tensor(parts, layout=layout), nn.Linear(3, 2)
    with pytest.raises(UsageError, match="x must be one block of numbers, got a nested tensor"):
        nakami.ggn(model, (x, torch.ones(2, 2)), "mse")
    with pytest.raises(UsageError, match="x must be one block of numbers, got a nested tensor"):
        nakami.jacobian(model, x)
    with pytest.raises(UsageError, match="targets of a batch must be one block of numbers, got"):
        nakami.ggn(model, (torch.ones(2, 3), x), "mse")


@pytest.mark.parametrize("channels", [1, 4])
def test_prelu_at_zero_has_one_derivative(channels):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.PReLU(channels), nn.Linear(4, 2)).double()
    x, y = torch.zeros(5, 3).double(), torch.ones(5, 2).double()
    for kind in ("ggn", "hessian"):
        model[0].bias.data.fill_(-1e-12)  # where torch's own derivatives are symmetric
        want = getattr(Reference(model), kind)(x, y, nn.MSELoss())
        model[0].bias.data.zero_()
        found = getattr(nakami, kind)(model, (x, y), "mse").dense()
        torch.testing.assert_close(found, want, rtol=1e-9, atol=1e-10)
