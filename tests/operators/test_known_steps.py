"""Where all steps of a network are known, nothing is tried; whatever may be wrong is tried."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional

import nakami
from checks import seen
from nakami.operators.autodiff._derivative import Derivative
from nakami.operators.autodiff._known import Steps
from nakami.operators.autodiff._strategies import reverse_product


class Reversed(torch.autograd.Function):
    """The identity, with the sign of its gradient turned; makes no operation of its own."""

    @staticmethod
    def forward(x):
        return x

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, grad):
        return -grad

    @staticmethod
    def jvp(ctx, tangent):
        return -tangent


def from_data(h):
    return h * torch.sigmoid(h.data)


with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of TorchScript as a whole
    scripted = torch.jit.script(from_data)
    traced = torch.jit.trace(lambda h: h * torch.sigmoid(h.detach()), torch.ones(1, 8))


def no_grad(h):
    with torch.no_grad():
        gate = torch.sigmoid(h)
    return h * gate


def hooked(h):
    h = torch.tanh(h)
    if torch.is_grad_enabled():
        h.register_hook(lambda grad: 2 * grad)
    return h


def hooked_node(h):
    h = torch.tanh(h)
    if h.grad_fn is not None:
        h.grad_fn.register_hook(lambda inputs, outputs: (2 * inputs[0],))
    return h


def unseen(h):
    with torch._C.DisableTorchFunction():
        return h * torch.sigmoid(h.data)


WRONG = {
    "detach": lambda h: h * torch.sigmoid(h.detach()),
    "data": from_data,
    "data in a script": scripted,
    "detach in a trace": traced,
    "data out of sight": unseen,
    "a parameter made of a state": lambda h: h * torch.sigmoid(nn.Parameter(h)),
    "no_grad": no_grad,
    "a custom function": Reversed.apply,
    "a hook": hooked,
    "a hook of a node": hooked_node,
    "numbers read off": lambda h: h * float(h.mean()),
}
FLAT = {
    "rounding": lambda h: torch.round(4 * h),
    "rounding division": lambda h: torch.div(h, 0.01, rounding_mode="floor"),
    "integers": lambda h: (50 * h).long().to(h.dtype),
}
KNOWN = {
    "dense": lambda h: torch.relu(h),
    "attention": lambda h: functional.scaled_dot_product_attention(
        h[:, None], h[:, None], h[:, None]
    )[:, 0],
    "norm": lambda h: functional.layer_norm(h, h.shape[-1:]),
    "convolution": lambda h: functional.max_pool1d(functional.pad(h, (0, 1))[:, None], 2, 1)[:, 0],
    "in place": lambda h: (h * 2).add_(1).relu_(),
}


RUNS = [0]  # a model's own count is put back


class Around(nn.Module):
    def __init__(self, middle):
        super().__init__()
        torch.manual_seed(0)
        self.enter, self.leave = nn.Linear(6, 8), nn.Linear(8, 5)
        self.middle = middle

    def forward(self, x):
        RUNS[0] += 1
        return self.leave(self.middle(self.enter(x)))


def example():
    return torch.randn(1, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@pytest.mark.parametrize("name", WRONG)
def test_every_way_to_lose_a_gradient_is_noticed(name):
    (text,) = seen(lambda: nakami.jacobian(Around(WRONG[name]).double(), example()))
    assert "J is no derivative" in text or "the gradient of this network is cut" in text


@pytest.mark.parametrize("name", [*WRONG, *FLAT])
def test_what_loses_a_gradient_is_not_known(name):
    steps, net = Steps(example().reshape(-1)), Around({**WRONG, **FLAT}[name]).double()
    reverse_product(net, example(), None, steps=steps)
    assert not steps.known


@pytest.mark.parametrize("name", KNOWN)
def test_known_steps_cost_no_difference(name):
    runs = []
    for middle in (KNOWN[name], lambda h: KNOWN[name](h) * (h > -9).double()):
        net, before = Around(middle).double(), RUNS[0]
        op, count = nakami.jacobian(net, example()), RUNS[0] - before
        want = torch.autograd.functional.jacobian(net, example())[0, :, 0]
        torch.testing.assert_close(op.dense(), want, rtol=1e-10, atol=1e-12)
        runs.append(count)
    assert runs[1] - runs[0] >= 2


def test_a_frequency_scales_the_gradient_of_an_embedding():
    net = nn.Sequential(nn.Embedding(5, 3, scale_grad_by_freq=True), nn.Flatten()).double()
    x = torch.tensor([[1, 2, 1]])
    (text,) = seen(lambda: nakami.jacobian(net, x, wrt="parameters"))
    assert "(scale_grad_by_freq); what is read here is the derivative" in text
    with pytest.warns(nakami.results.NakamiWarning):
        found = nakami.jacobian(net, x, wrt="parameters").dense()
    want = torch.zeros(9, 15).double()
    for row in range(9):
        want[row, 3 * int(x[0, row // 3]) + row % 3] = 1
    torch.testing.assert_close(found, want, rtol=0, atol=1e-12)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("module", [True, False])
def test_padding_has_no_gradient_on_purpose(module, known):
    class Padded(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.leave, self.table = nn.Linear(3, 2), nn.Embedding(5, 3, padding_idx=0)

        def forward(self, tokens):
            table = self.table.weight
            h = self.table(tokens) if module else functional.embedding(tokens, table, padding_idx=0)
            h = torch.tanh(h.mean(1))
            return self.leave(h if known else h * (h > -9))

    net, x = Padded().double(), torch.tensor([[0, 1, 2]])
    for build in (
        lambda: nakami.jacobian(net, x, wrt="parameters"),
        lambda: nakami.fisher(net, (x, torch.tensor([1])), "cross_entropy") @ torch.ones(23),
    ):
        assert not seen(build)


@pytest.mark.parametrize("gradients", [True, False])
def test_nothing_is_tried_of_known_steps_by_the_parameters(gradients, monkeypatch):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3)).double()
    x, y = torch.randn(9, 4).double(), torch.randint(0, 3, (9,))
    tried = []

    def looked(derivative):
        tried.append(derivative)
        return {}, {}, None

    monkeypatch.setattr(Derivative, "_looked", looked)
    with torch.set_grad_enabled(gradients):
        op = nakami.fisher(net, (x, y), "cross_entropy")
        v = torch.ones(op.shape[1]).double()
        assert torch.allclose(op @ v, op.dense() @ v)
        assert nakami.trace(op, 1e-9).value == pytest.approx(float(op.dense().trace()))
        assert not tried
        odd = Around(no_grad).double()
        nakami.trace(nakami.fisher(odd, (torch.randn(9, 6).double(), y), "cross_entropy"), 1e-9)
        assert tried
