"""The Jacobian operator against autograd's dense Jacobian, and its effect on the model: none."""

import random
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

import nakami
from checks import check_operator
from nakami.operators import FunctionalModel, Jacobian
from nakami.results import UsageError
from networks import CASES, Pair, Residual, Tutorial, build


def dense_reference(net, x):
    """Another route: plain reverse passes of the eval-mode model, row by row."""
    net.eval()
    jac = torch.autograd.functional.jacobian(lambda z: net(z).reshape(-1), x)
    return jac.reshape(jac.shape[0], -1)


@pytest.mark.parametrize("case", CASES)
def test_products_match_the_dense_jacobian(case):
    net, x = build(case)
    op = nakami.jacobian(net, x)
    dense = dense_reference(net, x)
    check_operator(op, dense)
    assert op.route == "linearised"
    with pytest.raises(AssertionError, match="not close"):
        check_operator(op, 1.0001 * dense + 1e-6)


def test_a_central_difference_agrees():
    net, x = build("tutorial cnn")
    op = nakami.jacobian(net, x)
    net.eval()
    v = torch.randn_like(x)
    step = 1e-6
    difference = (net(x + step * v) - net(x - step * v)).reshape(-1) / (2 * step)
    assert_close(op @ v.reshape(-1), difference, rtol=1e-7, atol=1e-9)


def test_stage_to_stage_jacobians_multiply_to_the_whole():
    net, x = build("tutorial cnn")
    cuts = ["conv1.relu", "pool", "bn.relu", "pool:2", "fc1.tanh", "fc2"]
    whole = nakami.jacobian(net, x, to="fc2").dense()
    product = nakami.jacobian(net, x, to=cuts[0]).dense()
    for start, to in pairwise(cuts):
        product = nakami.jacobian(net, x, to=to, start=start).dense() @ product
    assert_close(product, whole, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("rung", ["forward mode", "double reverse"])
def test_lower_rungs_give_the_same_products(rung, monkeypatch):
    net, x = build("tutorial cnn")

    def broken(*args, **kwargs):
        raise NotImplementedError("not here")

    monkeypatch.setattr("nakami.operators.autodiff._strategies.linearised", broken)
    if rung == "double reverse":
        monkeypatch.setattr(torch.func, "jvp", broken)
    op = nakami.jacobian(net, x)
    assert op.route == rung
    check_operator(op, dense_reference(net, x))


def test_small_chunks_give_the_same_products():
    net, x = build("tutorial cnn")
    op = nakami.jacobian(net, x, memory_budget=1)
    assert op.chunk == 1
    check_operator(op, dense_reference(net, x))


def test_float32_weights_read_in_float64_without_casting_the_model():
    net, x = build("mlp")
    net = net.float()
    op = nakami.jacobian(nakami.View(net, dtype=torch.float64), x.float())
    assert op.dtype == torch.float64
    assert next(net.parameters()).dtype == torch.float32
    check_operator(op, dense_reference(net.double(), x.float().double()))


def test_the_model_is_left_as_it_was():
    net, x = build("tutorial cnn")
    net.conv2.eval()  # a mixed state, as with frozen layers
    calls = []
    net.fc1.register_forward_hook(lambda *args: calls.append(1))
    net(torch.randn(4, 1, 14, 14, dtype=torch.float64)).sum().backward()
    state = {k: v.clone() for k, v in net.state_dict().items()}
    gradients = {k: p.grad.clone() for k, p in net.named_parameters()}
    modes = [m.training for m in net.modules()]
    hooks = [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in net.modules()]
    ids = [id(p) for p in net.parameters()]
    np.random.seed(1)
    chance = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()

    op = nakami.jacobian(net, x, to="fc2", start="pool:2")
    op @ torch.ones(op.shape[1], dtype=torch.float64)
    nakami.svd(op)
    nakami.xray(net, x, k=3)

    assert all(torch.equal(v, state[k]) for k, v in net.state_dict().items())
    assert all(torch.equal(p.grad, gradients[k]) for k, p in net.named_parameters())
    assert modes == [m.training for m in net.modules()]
    assert hooks == [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in net.modules()]
    assert ids == [id(p) for p in net.parameters()]
    assert torch.equal(chance[0], torch.get_rng_state())
    assert chance[1] == random.getstate()
    assert (chance[2] == np.random.get_state()[1]).all()
    assert x.grad is None


def test_a_failing_model_is_left_as_it_was_too():
    net = Tutorial().double()
    with pytest.raises(UsageError, match=r"cannot take an input of shape \(1, 3, 10, 10\): "):
        nakami.jacobian(net, torch.zeros(1, 3, 10, 10, dtype=torch.float64))
    assert net.training
    assert not net.conv1._forward_hooks


def test_inside_no_grad_and_inference_mode():
    net, x = build("mlp")
    dense = dense_reference(net, x)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            op = nakami.jacobian(net, x.clone())
            product = op @ dense.T[:, 0].clone()
        assert_close(product.clone(), dense @ dense[0], rtol=1e-10, atol=1e-12)


def test_forward_and_select():
    net = Pair().double()
    x = torch.randn(1, 5, dtype=torch.float64)
    first = nakami.jacobian(net, x)
    second = nakami.jacobian(nakami.View(net, select=lambda out: out[1]), x)
    scaled = nakami.jacobian(nakami.View(net, forward=lambda model, z: model(2 * z)[1]), x)
    jac = torch.autograd.functional.jacobian
    check_operator(first, jac(lambda z: net(z)[0], x).reshape(3, 5))
    check_operator(second, jac(lambda z: net(z)[1], x).reshape(2, 5))
    check_operator(scaled, jac(lambda z: net(2 * z)[1], x).reshape(2, 5))


class Noisy(nn.Module):
    def forward(self, x):
        return x + torch.randn_like(x)


class Counter(nn.Module):
    """Writes to a buffer even in evaluation mode."""

    def __init__(self):
        super().__init__()
        self.register_buffer("calls", torch.zeros(()))
        self.linear = nn.Linear(3, 2)

    def forward(self, x):
        self.calls += 1
        return self.linear(x)


def test_buffers_written_in_forward_stay():
    net = Counter()
    nakami.jacobian(net, torch.ones(1, 3)) @ torch.ones(3)
    assert float(net.calls) == 0


X6 = torch.ones(1, 6, dtype=torch.float64)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nakami.jacobian(Noisy(), X6), r"model must be deterministic in evaluation mode"),
        (lambda: nakami.jacobian(nn.Linear(6, 2), torch.ones(1, 6, dtype=torch.int64)),
         r"x must be floating-point, got torch.int64; pass x.float"),
        (lambda: nakami.jacobian(nn.Linear(6, 2), torch.ones(4, 6)),
         r"x must hold one example, batch axis included, got shape \(4, 6\); pass x\[i:i\+1\]"),
        (lambda: nakami.jacobian(nn.Linear(6, 2), torch.full((1, 6), torch.nan)),
         "x must be finite, got 6 NaN or infinite components"),
        (lambda: nakami.jacobian(nn.Linear(6, 2), [1.0]),
         "x must be a torch.Tensor or hold some, got list"),
        (lambda: nakami.jacobian(torch.relu, X6), "model must be a torch.nn.Module, got builtin"),
        (lambda: nakami.jacobian(Residual().double(), X6, to="leaf"),
         "to 'leaf' is unknown; nearest of 6: 'leave'"),
        (lambda: nakami.jacobian(Residual().double(), X6, start="inner"),
         "start must be a cut, got 'inner': 'output' also depends on the input past it"),
        (lambda: nakami.jacobian(Residual().double(), X6, to="enter", start="leave"),
         "start must come before to, got start='leave' and to='enter'"),
        (lambda: nakami.jacobian(nn.Linear(6, 2), X6, wrt="weights"),
         "wrt must be 'input' or 'parameters', got"),
    ],
)  # fmt: skip
def test_refusals(call, message):
    with pytest.raises(UsageError, match=message):
        call()


def test_nan_weights_are_named():
    net = nn.Sequential(nn.Linear(6, 2))
    net[0].weight.data[0, 0] = torch.nan
    with pytest.raises(UsageError, match=r"weight '0.weight' holds NaN or infinite values"):
        nakami.jacobian(net, torch.ones(1, 6))


def test_wrong_operands():
    op = nakami.jacobian(nn.Linear(6, 2), torch.ones(1, 6))
    with pytest.raises(TypeError, match=r"the right operand must be a torch.Tensor, got list"):
        op @ [1.0]
    with pytest.raises(TypeError, match=r"the right operand must be real, got torch.complex64"):
        op @ torch.ones(6, dtype=torch.complex64)


def test_another_state_at_the_start_moves_the_point():
    model = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 3), nn.Tanh()).double()
    network, x = FunctionalModel(model), torch.randn(1, 5, dtype=torch.float64)
    places, at = network.stages(x), torch.randn(4, dtype=torch.float64)
    inner = torch.autograd.functional.jacobian(model[1:], at)
    other = torch.autograd.functional.jacobian(model, x[0] + 1)
    for start, state, dense in (("0", at, inner), ("input", x[0] + 1, other)):
        op = Jacobian(network, x, places, None, start, state=state)
        assert_close(op.dense(), dense)
        assert_close(op.at_current_weights().dense(), dense)
