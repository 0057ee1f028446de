"""Transforms without torch's compiler: the same numbers, and the compiler stays out."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from nakami.operators.model import _uncompiled
from nakami.operators.model._uncompiled import gradient, vjp


def net(x):
    return (x[:3].sin() * x[1:]).cumsum(0) + x.square().sum() * torch.tensor(
        [1.0, 0.0, 2.0], dtype=x.dtype
    )


POINT = torch.linspace(-1, 2, 4, dtype=torch.float64)


@pytest.fixture(params=[True, False], ids=["compiler loaded", "not loaded"])
def loaded(request, monkeypatch):
    monkeypatch.setattr(_uncompiled, "compiler_loaded", lambda: request.param)


@pytest.mark.usefixtures("loaded")
def test_products_are_torchs_own():
    output, pull = vjp(net, POINT)
    wanted, back = torch.func.vjp(net, POINT)
    u = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    assert torch.equal(output, wanted)
    assert torch.equal(pull(u), back(u)[0])
    block = torch.eye(3, dtype=torch.float64)
    dense = torch.autograd.functional.jacobian(net, POINT)
    assert torch.allclose(torch.vmap(pull)(block), dense, rtol=1e-14, atol=0)


@pytest.mark.usefixtures("loaded")
def test_nested_with_themselves_and_with_forward_mode():
    def loss(x):
        return net(x).pow(3).sum()

    hessian = torch.autograd.functional.hessian(loss, POINT)
    v = torch.ones(4, dtype=torch.float64)
    twice = vjp(lambda x: gradient(loss, x), POINT)[1](v)
    with torch.no_grad():
        across = torch.func.jvp(lambda x: gradient(loss, x), (POINT,), (v,))[1]
    assert torch.allclose(twice, hessian @ v, rtol=1e-12)
    assert torch.allclose(across, hessian @ v, rtol=1e-12)


@pytest.mark.usefixtures("loaded")
def test_trees_what_does_not_pass_and_wrong_shapes():
    weights = {"a": POINT, "b": torch.ones(2, dtype=torch.float64)}
    output, pull = vjp(lambda w: w["a"].sum() * torch.ones(2, dtype=torch.float64), weights)
    assert torch.equal(pull(torch.ones(2, dtype=torch.float64))["a"], 2 * torch.ones_like(POINT))
    assert not pull(torch.ones_like(output))["b"].any()
    assert not gradient(lambda x: torch.zeros(()), POINT).any()
    with pytest.raises(RuntimeError, match=r"(?i)shape"):
        pull(torch.ones(3, dtype=torch.float64))
    with pytest.raises(RuntimeError, match="one number"):
        gradient(net, POINT)


ALONE = """
import sys, torch
from torch import nn
import nakami
torch.manual_seed(0)
first = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU()
net = nn.Sequential(*first, nn.Flatten(), nn.Linear(64, 3))
x, y = torch.randn(12, 1, 6, 6), torch.arange(12) % 3
view = nakami.View(net, batch_statistics=True)
batches = [(x[:6], y[:6]), (x[6:], y[6:])]
from nakami.geometry.rate import _first_look as looking
op = nakami.ggn(view, batches, "cross_entropy")
print(looking.first_look(op, dict(net.named_parameters()), "momentum", 0))
print(sorted({"torch._dynamo", "sympy", "scipy.optimize"} & set(sys.modules)))
"""


DIVIDED = """
import sys, torch
from torch import nn
import nakami
class Net(nn.Module):
    def forward(self, x):
        return (nn.functional.gelu(x / 2.5) - x).softmax(-1)
op = nakami.jacobian(Net(), torch.randn(1, 4))
op @ torch.ones(4, 1)
noted = {part for name in ("add", "mul") for part in vars(getattr(torch._refs, name))}
print("torch._dynamo" in sys.modules, "__dynamo_disable" in noted)
"""


@pytest.fixture(scope="module")
def alone():
    """What both print in a process of their own."""
    command = [sys.executable, "-c", f"{ALONE}\n{DIVIDED}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_a_division_by_a_number_does_not_wait_for_the_compiler(alone):
    assert alone[-1] == "False False", alone


def test_a_first_answer_does_not_wait_for_the_compiler(alone):
    assert "limit about" in alone[0]
    assert alone[1] == "[]", alone


def test_an_optimizer_by_name_is_torchs_own():
    from nakami.geometry.rate._optimizers import make

    weights = dict(nn.Linear(2, 2).named_parameters())
    for name, plain in (
        ("momentum", torch.optim.SGD(weights.values(), momentum=0.9)),
        ("adamw", torch.optim.AdamW(weights.values())),
    ):
        made = make(name, weights)
        assert type(made) is type(plain)
        assert made.param_groups == plain.param_groups
        assert made.state_dict() == plain.state_dict()
