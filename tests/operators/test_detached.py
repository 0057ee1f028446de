"""The detached derivative: affine at the point, beside plain autograd through held numbers."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.autograd.functional import jacobian as dense
from torch.nn import functional

import nakami
from checks import neighbour
from nakami.operators.model._tracer import ACTIVATIONS
from nakami.results import UsageError

WIDTH, HEADS = 8, 2
DATA = Path(os.environ.get("NAKAMI_DATA", "data"))


def seeded(build):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build().double().eval()


def view(model, **more):
    return nakami.View(model, derivative="detached", **more)


class Llama(nn.Module):
    """RMSNorm, causal attention and SwiGLU; ``held`` writes each held number as ``.detach()``."""

    def __init__(self):
        super().__init__()
        names = ("q", "k", "v", "o", "gate", "up", "down")
        for name in names:
            setattr(self, name, nn.Linear(WIDTH, WIDTH))
        self.norms = nn.ModuleList(nn.RMSNorm(WIDTH, 1e-5) for _ in "12")
        for norm in self.norms:
            nn.init.uniform_(norm.weight, 0.5, 2)
        self.held = False

    def normed(self, x, i):
        if not self.held:
            return self.norms[i](x)
        scale = (x.square().mean(-1, keepdim=True) + 1e-5).rsqrt().detach()
        return x * scale * self.norms[i].weight

    def forward(self, x):
        z = self.normed(x, 0)
        q, k, v = (part(z).unflatten(-1, (HEADS, -1)).transpose(1, 2) for part in self.parts)
        if self.held:
            ahead = torch.full((q.shape[2],) * 2, -math.inf, dtype=x.dtype).triu(1)
            a = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5 + ahead).softmax(-1).detach() @ v
        else:
            a = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.o(a.transpose(1, 2).flatten(2))
        z = self.normed(x, 1)
        gate = functional.silu(self.gate(z))
        return x + self.down((gate.detach() if self.held else gate) * self.up(z))

    @property
    def parts(self):
        return self.q, self.k, self.v


class Encoder(nn.Module):
    """LayerNorm, attention of torch and GELU."""

    def __init__(self):
        super().__init__()
        self.block = nn.TransformerEncoderLayer(
            WIDTH, HEADS, 12, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.held = False

    def forward(self, x):
        return self.by_hand(x) if self.held else self.block(x)

    def by_hand(self, x):
        b = self.block
        z, at = self.norm(x, b.norm1), b.self_attn
        q, k, v = functional.linear(z, at.in_proj_weight, at.in_proj_bias).chunk(3, -1)
        q, k, v = (p.unflatten(-1, (HEADS, -1)).transpose(1, 2) for p in (q, k, v))
        odds = (q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1).detach()
        x = x + at.out_proj((odds @ v).transpose(1, 2).flatten(2))
        h = b.linear1(self.norm(x, b.norm2))
        phi = 0.5 * (1 + torch.erf(h / 2**0.5))
        return x + b.linear2(h * phi.detach())

    @staticmethod
    def norm(x, layer):
        scale = (x.var(-1, correction=0, keepdim=True) + layer.eps).rsqrt().detach()
        return (x - x.mean(-1, keepdim=True)) * scale * layer.weight + layer.bias


class Odd(nn.Module):
    """Norms, gates and GELUs written out, as many models have them."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, WIDTH)
        self.held = False

    def forward(self, x):
        hold = torch.Tensor.detach if self.held else (lambda t: t)
        x = x * hold(torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))
        h = self.a(x)
        x = x + 0.5 * h * hold(1.0 + torch.tanh(0.8 * (h + 0.044715 * torch.pow(h, 3.0))))
        h = self.b(x)
        x = h * hold(torch.sigmoid(1.702 * h))
        return x / hold(1 + x.norm(dim=-1, keepdim=True))


CASES = {"llama": Llama, "encoder": Encoder, "odd": Odd}


@pytest.mark.parametrize("case", CASES)
def test_is_that_of_autograd_through_held_numbers(case):
    model = seeded(CASES[case])
    x = torch.randn(1, 5, WIDTH, generator=torch.Generator().manual_seed(1)).double()
    op = nakami.jacobian(view(model), x)
    model.held = True
    wanted = dense(model, x).reshape(op.shape)
    model.held = False
    torch.testing.assert_close(op.dense(), wanted, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(op.T.dense(), wanted.T, rtol=1e-10, atol=1e-12)
    with pytest.raises(AssertionError, match="not close"):  # the exact one is another matrix
        torch.testing.assert_close(nakami.jacobian(model, x).dense(), wanted, rtol=1e-3, atol=0)
    output = model(x).detach().flatten()
    torch.testing.assert_close(op @ x.flatten() + op.offset, output, rtol=1e-12, atol=1e-13)
    assert op.residual < 1e-13
    with torch.no_grad():
        torch.testing.assert_close(model(x).flatten(), op.output, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", ["stories", "pictures", "sentences"])
def test_trained_nets_are_affine_at_the_point(name, monkeypatch):
    if not (DATA / "transformer-weights").is_dir():
        pytest.skip("no trained transformers in $NAKAMI_DATA")
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "reproductions"))
    import _lens_nets
    import _stories

    if name == "stories":
        model, _ = _stories.stories(DATA)
        x = model.write(1, 12, 0)
    else:
        if name == "sentences":
            pytest.importorskip("transformers", reason="transformers is not installed (extra hf)")
        model, inputs = getattr(_lens_nets, name)(DATA, 1)
        x = inputs
    op = nakami.jacobian(view(model, dtype="float64"), x)
    again = op @ op.point + op.offset
    assert float((again - op.output).norm() / op.output.norm()) < 1e-12
    assert op.residual < 1e-12
    with torch.no_grad():  # what is read is the network's own output
        plain = nakami.jacobian(nakami.View(model, dtype="float64"), x).output
    assert float((plain - op.output).norm() / plain.norm()) < 1e-12
    exact = nakami.jacobian(nakami.View(model, dtype="float64"), x)
    gap = float((exact @ op.point + op.offset - op.output).norm() / op.output.norm())
    assert gap > 0.01  # the exact derivative is none of these


POINTWISE = ("relu", "gelu", "silu", "tanh", "sigmoid", "softplus", "elu", "mish", "hardswish")


@pytest.mark.parametrize("name", POINTWISE)
def test_activations_are_a_multiple_of_their_state(name):
    function = getattr(functional, name, None) or getattr(torch, name)

    class Net(nn.Module):
        def forward(self, x):
            return function(x)

    x = torch.tensor([[-2.0, -1e-3, 0.0, 0.5, 3.0]], dtype=torch.float64)
    op = nakami.jacobian(view(Net()), x)
    start = function(torch.zeros((), dtype=torch.float64))
    slopes = (function(x) - start) / x
    slopes[0, 2] = 0.0 if name == "relu" else dense(function, torch.zeros(()).double())
    torch.testing.assert_close(op.dense(), slopes[0].diag(), rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(op.offset, start.expand(5), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", sorted(ACTIVATIONS - {"threshold"}))
def test_multipliers_keep_their_figures_near_zero(name, dtype):
    """Beside float64: the quotient where it is exact there, the slope next to 0."""
    function = getattr(functional, name, None) or getattr(torch, name)
    far = [-2.0, -0.3, -1e-2, -1e-4, 1e-4, 1e-2, 0.3, 2.0]
    close = [-1e-8, -1e-20, 1e-38, 1e-20, 1e-8]

    class Net(nn.Module):
        def forward(self, x):
            more = (torch.tensor([0.25], dtype=x.dtype),) if name == "prelu" else ()
            return function(x, *more)

    x = torch.tensor([far + close + [0.0]], dtype=dtype)
    found = nakami.jacobian(view(Net()), x).dense().double().diagonal()
    exact = x[0].double().requires_grad_()
    start = Net()(torch.zeros(1, 1, dtype=torch.float64))[0]
    quotient = ((Net()(exact[None])[0] - start) / exact).detach()
    (slope,) = torch.autograd.grad(Net()(exact[None]).sum(), exact)
    n = len(far)
    torch.testing.assert_close(found[:n], quotient[:n], rtol=1e-6, atol=0)
    torch.testing.assert_close(found[n:-1], slope[n:-1], rtol=1e-6, atol=1e-12)
    both = 0.0 if name == "relu" else float(slope[n + 1] + slope[-3]) / 2  # of both sides of 0
    assert float(found[-1]) == pytest.approx(both, rel=1e-6, abs=1e-12)


def test_layers_of_pictures():
    layers = (
        nn.Conv2d(2, 4, 3), nn.GroupNorm(2, 4), nn.ReLU(inplace=True), nn.MaxPool2d(2),
        nn.BatchNorm2d(4), nn.LocalResponseNorm(2), nn.InstanceNorm2d(4), nn.GELU("tanh"),
        nn.Flatten(), nn.Linear(16, 3), nn.LogSoftmax(-1),
    )  # fmt: skip
    net = seeded(lambda: nn.Sequential(*layers))
    x = torch.randn(1, 2, 6, 6, generator=torch.Generator().manual_seed(0)).double()
    assert nakami.jacobian(view(net, batch_statistics=False), x).residual < 1e-12


class Cubed(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(4, 4)

    def forward(self, x):
        q = self.lin(x)
        return (q.pow(3) + x).cumsum(-1) + (q * x).softmax(-1)


def test_steps_that_are_not_linear_are_named():
    x = torch.randn(1, 4, generator=torch.Generator().manual_seed(0)).double()
    with pytest.raises(UsageError, match="must know every step that is not linear, got pow, with"):
        nakami.jacobian(view(seeded(Cubed)), x)
    with pytest.raises(UsageError, match="got 1 number held and J x = 0; end before the softmax"):
        nakami.jacobian(view(nn.Softmax(-1)), x)


class Excited(nn.Module):
    """Of two gates the sigmoid is held, wherever it stands."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.held, self.first = nn.Linear(4, 4), nn.Linear(4, 4), False, False

    def forward(self, x):
        y = functional.silu(self.a(x))
        scale = torch.sigmoid(self.b(y))
        if self.held:
            y, scale = self.a(x) * torch.sigmoid(self.a(x)).detach(), scale.detach()
        return scale * y if self.first else y * scale


@pytest.mark.parametrize("first", [True, False])
def test_of_two_gates_the_sigmoid_is_held(first):
    net, x = seeded(Excited), torch.randn(1, 4, generator=torch.Generator().manual_seed(0)).double()
    net.first = first
    found = nakami.jacobian(view(net), x).dense()
    net.held = True
    torch.testing.assert_close(found, dense(net, x).reshape(4, 4), rtol=1e-10, atol=1e-12)


def test_a_product_of_states_without_a_gate_is_refused():
    class Product(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            return self.a(torch.relu(x)) * self.b(x)

    with pytest.raises(UsageError, match="got mul, with which J x"):
        nakami.jacobian(view(seeded(Product)), torch.randn(1, 4).double())


def test_a_recurrent_layer_is_named():
    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = nn.GRU(3, 4, batch_first=True), nn.Linear(4, 2)

        def forward(self, x):
            return self.head(self.rnn(x)[0][:, -1])

    with pytest.raises(UsageError, match="got gru, with which J x"):
        nakami.jacobian(view(seeded(Last)), torch.randn(1, 5, 3).double())


def test_hugging_face_writes_its_layers_out():
    folders = pytest.importorskip("hf_folders", reason="transformers is not installed (extra hf)")
    for name in ("gpt2", "llama"):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = getattr(folders, name)().eval()
        ids = torch.randint(0, 11, (1, 6), generator=torch.Generator().manual_seed(0))
        op = nakami.jacobian(view(model, dtype="float64"), ids)
        assert op.residual < 1e-12
        assert len(op.point) == 6 * 8


def test_it_goes_where_the_input_moves_alone():
    net = seeded(lambda: nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)))
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(0)).double()
    rule = r"model must be read by its exact derivative for derivatives by parameters, got a View"
    with pytest.raises(UsageError, match=rule):
        nakami.fisher(view(net), [(x, torch.zeros(6, dtype=torch.int64))], "cross_entropy")
    with pytest.raises(UsageError, match="exact derivative for what layers pass on"):
        nakami.initialisation(view(net), x)
    with pytest.raises(UsageError, match="derivative must be one of exact, detached, got 'e'"):
        nakami.View(net, derivative="e")
    run = nakami.xray(view(net), x[:2])
    assert run.settings["derivative"] == "detached"
    wanted = torch.linalg.svdvals(nakami.jacobian(view(net), x[:1]).dense()).numpy()
    np.testing.assert_allclose(run.at("2")[0].values, wanted, rtol=1e-8)
    with pytest.raises(UsageError, match="model must be read by its exact derivative for experim"):
        nakami.dynamics.noise(view(net), x[:2], run)
    with pytest.raises(UsageError, match="run must be read by the exact derivative, got 'detached"):
        nakami.dynamics.noise(net, x[:2], run)


def test_the_model_is_left_as_it_was():
    model = seeded(Llama)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    x = torch.randn(1, 5, WIDTH).double()
    output = model(x)
    nakami.svd(nakami.jacobian(view(model), x), k=2)
    assert torch.equal(model(x), output)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_a_lens_of_the_detached_derivative():
    nets = neighbour("dynamics", "test_lens")
    model, ids = nets.made(nets.Transformer), nets.tokens(4, 5)
    found = nakami.lens(view(model), ids, "blocks.0")
    assert found.settings["derivative"] == "detached"
    assert found.settings["residual"] < 1e-13
    assert found.check < 1e-12
    matrices = []
    for one in ids:
        op = nakami.jacobian(view(model), one[None], "blocks.2", "blocks.0")
        grid = op.dense().reshape(5, nets.WIDTH, 5, nets.WIDTH)
        matrices.append(grid.sum(0).mean(1).numpy())
    np.testing.assert_allclose(found.mean, np.mean(matrices, 0), rtol=1e-10, atol=1e-13)
    exact = nakami.lens(model, ids, "blocks.0")
    assert np.linalg.norm(found.mean - exact.mean) > 0.01 * exact.norm.value
