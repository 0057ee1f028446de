"""Whether J is the derivative of the network: wrong layers are noticed, right ones never."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional

import nakami
from checks import seen, spread
from nakami.results import NakamiWarning

RESOLUTION = 1e-5  # docs/reach.md: 8e-6 in float32
SEEDS = [range(2), pytest.param(range(2, 4), marks=pytest.mark.slow)]


class Scaled(torch.autograd.Function):
    """The sine, with a backward that is off by a factor, everywhere or in one example."""

    @staticmethod
    def forward(ctx, x, factor, only):
        ctx.save_for_backward(x)
        ctx.factor, ctx.only = factor, only
        return torch.sin(x)

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        right = grad * torch.cos(x)
        if ctx.only is None:
            return right * ctx.factor, None, None
        factor = torch.ones(len(x), *[1] * (x.ndim - 1), dtype=x.dtype)
        factor[ctx.only :] = ctx.factor
        return right * factor, None, None


class Leading(torch.autograd.Function):
    """A matrix whose backward has a leading singular value that is off by a thousandth."""

    @staticmethod
    def forward(ctx, x, matrix):
        ctx.save_for_backward(matrix)
        return x @ matrix.T

    @staticmethod
    def backward(ctx, grad):
        (matrix,) = ctx.saved_tensors
        u, s, v = torch.linalg.svd(matrix)
        return grad @ (matrix + 1e-3 * s[0] * torch.outer(u[:, 0], v[0])), None


def no_grad(h):
    with torch.no_grad():
        gate = torch.sigmoid(h)
    return h * gate


def hooked(h):
    h = torch.tanh(h)
    if h.requires_grad:
        h.register_hook(lambda g: 0.99 * g)
    return h


def leading(h):
    n = h.shape[-1]
    spread = torch.linspace(1, 0.5, n, dtype=h.dtype)
    turned = torch.linalg.qr(torch.sin(torch.arange(n * n, dtype=h.dtype)).reshape(n, n))[0]
    return Leading.apply(h, turned * spread)


WRONG = {
    "detached maximum": lambda h: h / h.abs().amax(-1, keepdim=True).detach(),
    "detached statistics": lambda h: (
        (h - h.mean(-1, keepdim=True).detach()) / h.std(-1, keepdim=True).detach()
    ),
    "detached deviation": lambda h: (
        (h - h.mean(-1, keepdim=True)) / h.std(-1, keepdim=True).detach()
    ),
    "detached root mean square": lambda h: h / h.square().mean(-1, keepdim=True).sqrt().detach(),
    "data of a tensor": lambda h: h * torch.sigmoid(h.data),
    "backward off by 1e-2": lambda h: Scaled.apply(h, 1.01, None),
    "backward off by 1e-3": lambda h: Scaled.apply(h, 1.001, None),
    "backward off by 1e-4": lambda h: Scaled.apply(h, 1.0001, None),
    "leading singular value off by 1e-3": leading,
    "block without gradients": no_grad,
    "branch that is stopped": lambda h: h + 0.1 * torch.tanh(h).detach(),
    "straight-through rounding": lambda h: h + (torch.round(4 * h) / 4 - h).detach(),
    "hook on a gradient": hooked,
}
RIGHT = {
    "relu": torch.relu,
    "leaky relu": functional.leaky_relu,
    "absolute value": torch.abs,
    "maximum": lambda h: h / (1 + h.abs().amax(-1, keepdim=True)),
    "layer norm": lambda h: functional.layer_norm(h, h.shape[-1:]),
    "pool": lambda h: functional.max_pool1d(h[:, None], 2)[:, 0].repeat(1, 2),
    "sort": lambda h: h.sort(-1).values.cumsum(-1),
    "mask": lambda h: h * (h > 0).float(),
    "clamp": lambda h: h.clamp(-0.3, 0.3),
    "float32 inside": lambda h: torch.tanh(h.float()).to(h.dtype),
    "custom function": lambda h: Scaled.apply(h, 1.0, None),
    "branch that is constant": lambda h: h + (h.detach() > 0.1) * 0.5,
    "softmax": lambda h: torch.softmax(5 * h, -1),
}


class Around(nn.Module):
    """A function of states between two linear layers."""

    def __init__(self, function, seed, bias=True):
        super().__init__()
        torch.manual_seed(seed)
        self.enter, self.function = nn.Linear(20, 16, bias=bias), function
        self.middle, self.leave = nn.Identity(), nn.Linear(16, 12)

    def forward(self, x):
        return self.leave(self.middle(self.function(self.enter(x))))


class Middle(nn.Module):
    """A sine whose backward is off by a factor."""

    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def forward(self, x):
        return Scaled.apply(x, self.factor, None)


def example(seed, dtype, n=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 20, generator=generator, dtype=torch.float64).to(dtype)


def error(net, x):
    """``|E|_F / |J|_F`` of the Jacobian in float64, beside dense central differences."""
    net, x = net.double().eval(), x.double()
    jac = torch.autograd.functional.jacobian(lambda z: net(z).reshape(-1), x)[:, 0]
    step = 1e-6 * torch.eye(x.numel(), dtype=x.dtype)
    with torch.no_grad():
        wanted = ((net(x + step) - net(x - step)) / 2e-6).T
    return float((jac - wanted).norm() / max(jac.norm(), wanted.norm()))


@pytest.mark.parametrize("seeds", SEEDS)
@pytest.mark.parametrize(("name", "dtype"), spread(WRONG, [torch.float64, torch.float32]))
def test_wrong_layers_are_noticed(name, dtype, seeds):
    for seed in seeds:
        net, x = Around(WRONG[name], seed).to(dtype), example(seed, dtype)
        found = seen(lambda net=net, x=x: nakami.jacobian(net, x))
        assert error(net, x) > 4 * RESOLUTION
        assert len(found) == 1
        assert "J is no derivative of the network" in found[0]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("name", RIGHT)
def test_right_layers_are_not(name, dtype):
    for seed in range(4):
        net, x = Around(RIGHT[name], seed, bias=seed % 2 == 0).to(dtype), example(seed, dtype)
        x[:, : seed % 3 * 10] = 0  # on kinks, where the bias is left out too
        build = [
            lambda net=net, x=x: nakami.jacobian(net, x),
            lambda net=net, x=x: nakami.jacobian(net, x, ["enter", "middle", "output"]),
            lambda net=net, x=x: nakami.jacobian(net, x, wrt="parameters"),
        ]
        assert not seen(build[seed % 3])


@pytest.mark.parametrize("kind", [nn.Conv2d, nn.Linear])
def test_right_networks_are_looked_at_in_double_whatever_moves(kind):
    """Windows of equal zeros are kinks that float32 cannot step away from."""
    torch.manual_seed(0)
    enter = nn.Conv2d(1, 6, 3) if kind is nn.Conv2d else nn.Linear(14, 12)
    head = [nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.LazyLinear(20), nn.ReLU()]
    net, x = nn.Sequential(enter, *head), torch.rand(1, 1, 14, 14)
    net(x)
    for build in (
        lambda: nakami.jacobian(net, x, start="1"),
        lambda: nakami.jacobian(net, x, wrt="parameters"),
    ):
        assert not seen(build)


def test_a_large_matrix_is_looked_at_in_blocks():
    torch.manual_seed(0)
    for slope, wrong in ((1.0, False), (1.0001, True)):
        layers = nn.Linear(20, 1200), nn.Linear(1200, 1000), nn.Linear(1000, 12)
        net = nn.Sequential(*layers[:2], Middle(slope), layers[2])
        found = seen(lambda net=net: nakami.jacobian(net, example(0, torch.float32)))
        assert [("no derivative" in text) for text in found] == [True] * wrong


def test_how_much_is_off_is_said():
    net, x = Around(WRONG["backward off by 1e-2"], 0).double(), example(0, torch.float64)
    (found,) = seen(lambda: nakami.jacobian(net, x))
    assert "J v is off by 0.0099 of its size" in found


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("detached maximum", torch.float16),
        ("backward off by 1e-3", torch.float32),
        pytest.param("detached maximum", torch.float32, marks=pytest.mark.slow),
        pytest.param("detached maximum", torch.float64, marks=pytest.mark.slow),
        pytest.param("backward off by 1e-3", torch.float16, marks=pytest.mark.slow),
        pytest.param("backward off by 1e-3", torch.float64, marks=pytest.mark.slow),
    ],
)
def test_every_way_to_read_a_wrong_layer(name, dtype):
    net, x = Around(WRONG[name], 1).to(dtype), example(1, torch.float32, 12)
    y = torch.arange(12)
    one = x[:1]
    for build in (
        lambda: nakami.jacobian(net, one, ["enter", "middle"]),
        lambda: nakami.jacobian(net, one, start="enter"),
        lambda: nakami.jacobian(net, one, wrt="parameters", params="enter*"),
        lambda: nakami.fisher(net, (x, y), "cross_entropy") @ torch.ones(540),
        lambda: nakami.trace(nakami.fisher(net, (x, y), "cross_entropy")),
        lambda: nakami.eigh(nakami.fisher(net, (x, y), "cross_entropy"), 1),
    ):
        found = seen(build)
        assert found
        assert all("no derivative of the network" in text for text in found)


@pytest.mark.parametrize("seeds", SEEDS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_one_example_of_a_batch(dtype, seeds):
    for seed in seeds:
        net = Around(lambda h: Scaled.apply(h, 1.001, 7), seed).to(dtype)
        x, y = example(seed, dtype, 8), torch.arange(8)
        op = nakami.fisher(net, (x, y), "cross_entropy")
        found = seen(lambda op=op: op @ torch.ones(540, dtype=dtype))
        assert [("'example 7'" in text, "'example 6'" in text) for text in found] == [(True, False)]


@pytest.mark.parametrize("kind", [nn.RNN, nn.GRU, nn.LSTM])
def test_recurrent_layers_of_floating_inputs_by_their_parameters(kind):
    """These compare the types of inputs and weights themselves, so float64 is refused."""

    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.out = kind(5, 4, batch_first=True), nn.Linear(4, 3)

        def forward(self, x):
            return self.out(self.layer(x)[0][:, -1])

    torch.manual_seed(0)
    net, x, y = Last(), torch.randn(4, 6, 5), torch.tensor([0, 1, 2, 0])
    with warnings.catch_warnings():
        warnings.simplefilter("error", NakamiWarning)
        op = nakami.ggn(net, (x, y), "cross_entropy")
        trace, dense = nakami.trace(op), op.dense()
    double = net.double()
    names = [n for n, _ in double.named_parameters()]

    def outputs(*values):
        return torch.func.functional_call(double, dict(zip(names, values, strict=True)), x.double())

    values = tuple(p.detach() for p in double.parameters())
    rows = torch.autograd.functional.jacobian(outputs, values)
    jacobian = torch.cat([r.flatten(2) for r in rows], 2)  # (4, 3, P)
    p = outputs(*values).softmax(1)
    curve = torch.diag_embed(p) - p[:, :, None] * p[:, None]
    want = torch.einsum("nip,nij,njq->pq", jacobian, curve, jacobian) / 4
    torch.testing.assert_close(dense.double(), want, rtol=1e-4, atol=1e-6)
    assert trace.value == pytest.approx(float(want.trace()), rel=1e-4)


def test_a_network_that_narrows_its_arithmetic_is_named():
    class Narrow(nn.Module):
        def __init__(self):
            super().__init__()
            self.enter, self.leave = nn.Linear(20, 16), nn.Linear(16, 12)

        def forward(self, x):
            kind = torch.bfloat16 if x.dtype == torch.float32 else x.dtype
            w, b = (p.to(kind) for p in self.enter.parameters())
            h = functional.gelu(functional.linear(x.to(kind), w, b))
            w, b = (p.to(kind) for p in self.leave.parameters())
            return functional.linear(h, w, b)

    for seed in range(16):
        torch.manual_seed(seed)
        net, x = Narrow(), example(seed, torch.float32)
        (text,) = seen(lambda net=net, x=x: nakami.jacobian(net, x))
        assert "in part in torch.bfloat16: along one direction J v is off by 0.00" in text
        assert text.endswith(
            "pass nakami.View(model, dtype='float64'), or take the casts out of its forward."
        )
        assert not seen(lambda net=net, x=x: nakami.jacobian(nakami.View(net, dtype="float64"), x))


@pytest.mark.parametrize("sign", [1, -1])
def test_one_output_whatever_its_sign(sign):
    """Products of one output have one direction; those that are tried must not cancel."""

    class Total(nn.Module):
        def __init__(self, seed, slope=1.0):
            super().__init__()
            self.net, self.slope = Around(nn.Tanh(), seed), slope

        def forward(self, x):
            return sign * Scaled.apply(self.net(x).float(), self.slope, 0).sum(1)

    for seed in range(2):
        net, x = Total(seed).double(), example(seed, torch.float64)
        assert not seen(lambda net=net, x=x: nakami.jacobian(net, x, wrt="parameters"))
        net.slope = 1.001
        (text,) = seen(lambda net=net, x=x: nakami.jacobian(net, x))
        assert "no derivative of the network" in text


def test_a_warning_stands_at_the_line_that_led_to_it():
    net, x = Around(WRONG["backward off by 1e-2"], 0), example(0, torch.float32, 3)
    with pytest.warns(NakamiWarning, match="to 'output': J is no derivative") as one:
        nakami.jacobian(net, x[:1])
    fisher = nakami.fisher(net, (x, torch.arange(3)), "cross_entropy")
    with pytest.warns(NakamiWarning, match=r"to 'example \d' and 2 more: J is no deriv") as every:
        fisher @ torch.ones(540)
    assert [w.filename for w in (*one, *every)] == [__file__] * 2
