"""Every kind of module people bring, by which route, against dense float64 Jacobians."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations

import nakami
from checks import check_operator, parameter_reference
from nakami.results import UsageError
from networks import build
from own_models import OWN
from pages import route_in_docs
from plain_models import PLAIN


class First(nn.Module):
    """The first output of a module, as a network of its own."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        out = self.inner(x)
        return out[0] if isinstance(out, tuple) else out


class SelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attend = nn.MultiheadAttention(6, 2, batch_first=True)

    def forward(self, x):
        return self.attend(x, x, x, need_weights=False)[0]


class Scaled(nn.Module):
    """Attention by the fused function."""

    def __init__(self):
        super().__init__()
        self.project = nn.Linear(6, 18)

    def forward(self, x):
        q, k, v = self.project(x).chunk(3, dim=-1)
        return functional.scaled_dot_product_attention(q, k, v, is_causal=True)


class Causal(nn.Module):
    """A small language model: tokens and positions, one transformer block, tied output weights."""

    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(11, 6)
        self.positions = nn.Parameter(torch.randn(1, 4, 6))
        self.block = nn.TransformerEncoderLayer(6, 2, 12, batch_first=True, norm_first=True)

    def forward(self, tokens):
        h = self.block(self.tokens(tokens) + self.positions)
        return functional.linear(h, self.tokens.weight)


class Twice(nn.Module):
    """One module used twice."""

    def __init__(self):
        super().__init__()
        self.step = nn.Linear(5, 5)

    def forward(self, x):
        return torch.tanh(self.step(torch.tanh(self.step(x))))


class InPlace(nn.Module):
    """Writes into its own intermediate tensors."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(5, 6)

    def forward(self, x):
        h = self.linear(x)
        h *= 2
        h[:, :2] = x[:, 2:4].sin()
        h.add_(1).relu_()
        return h


class Branching(nn.Module):
    """Control flow on the data."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(5, 4), nn.Linear(5, 4)

    def forward(self, x):
        return torch.sigmoid(self.a(x)) if bool(x.detach().sum() > 100) else torch.tanh(self.b(x))


class SqueezeExcite(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.gate = nn.Conv2d(2, 4, 3), nn.Linear(4, 4)

    def forward(self, x):
        h = self.conv(x)
        return h * torch.sigmoid(self.gate(h.mean((2, 3))))[..., None, None]


MODULES = {
    "RNN": (lambda: First(nn.RNN(5, 4, batch_first=True)), (3, 5)),
    "GRU": (lambda: First(nn.GRU(5, 4, batch_first=True)), (3, 5)),
    "GRU, two layers, both ways": (
        lambda: First(nn.GRU(5, 3, num_layers=2, bidirectional=True, batch_first=True)), (3, 5),
    ),
    "LSTM": (lambda: First(nn.LSTM(5, 4, batch_first=True)), (3, 5)),
    "GRUCell": (lambda: nn.GRUCell(5, 4), (5,)),
    "LSTMCell": (lambda: First(nn.LSTMCell(5, 4)), (5,)),
    "multi-head attention": (SelfAttention, (4, 6)),
    "fused attention": (Scaled, (4, 6)),
    "transformer encoder layer": (
        lambda: nn.TransformerEncoderLayer(6, 2, 12, batch_first=True), (4, 6),
    ),
    "transformer encoder": (
        lambda: nn.TransformerEncoder(
            nn.TransformerEncoderLayer(6, 2, 12, batch_first=True, norm_first=True), 2,
            enable_nested_tensor=False,
        ),
        (4, 6),
    ),
    "one module twice": (Twice, (5,)),
    "in-place operations": (InPlace, (5,)),
    "control flow on data": (Branching, (5,)),
    "squeeze and excite": (SqueezeExcite, (2, 5, 5)),
    "weight norm": (lambda: parametrizations.weight_norm(nn.Linear(5, 4)), (5,)),
    "spectral norm": (lambda: parametrizations.spectral_norm(nn.Linear(5, 4)), (5,)),
    "instance norm": (lambda: nn.Sequential(nn.Conv2d(2, 3, 3), nn.InstanceNorm2d(3)), (2, 6, 6)),
    "RMS norm": (lambda: nn.Sequential(nn.Linear(5, 4), nn.RMSNorm(4)), (5,)),
    "pixel shuffle and upsample": (
        lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.PixelShuffle(2), nn.Upsample(scale_factor=2)),
        (1, 5, 5),
    ),
    "bilinear upsample": (lambda: nn.Upsample(scale_factor=2, mode="bilinear"), (1, 3, 3)),
    "PReLU": (lambda: nn.Sequential(nn.Linear(5, 4), nn.PReLU(4)), (5,)),
    "GLU": (lambda: nn.Sequential(nn.Linear(5, 8), nn.GLU()), (5,)),
    **OWN,
}  # fmt: skip


def make(name):
    torch.manual_seed(0)
    factory, shape = MODULES[name]
    x = torch.randn(1, *shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    return factory().double(), x


@pytest.mark.parametrize("name", MODULES)
def test_module(name):
    net, x = make(name)
    op = nakami.jacobian(net, x)
    net.eval()
    jac = torch.autograd.functional.jacobian(lambda z: net(z).reshape(-1), x)
    check_operator(op, jac.reshape(jac.shape[0], -1), rtol=1e-9)
    assert op.route == route_in_docs()[name]


def test_the_table_in_the_docs_names_every_module():
    assert {*MODULES, *PLAIN} <= set(route_in_docs())


def test_integer_tokens_start_at_their_embedding():
    torch.manual_seed(0)
    net = Causal().double()
    tokens = torch.tensor([[3, 1, 4, 1]])
    op = nakami.jacobian(net, tokens)
    assert op.start == "tokens"
    net.eval()
    h = net.tokens(tokens).detach()

    def rest(z):
        out = net.block(z + net.positions)
        return functional.linear(out, net.tokens.weight).reshape(-1)

    jac = torch.autograd.functional.jacobian(rest, h)
    check_operator(op, jac.reshape(jac.shape[0], -1), rtol=1e-9)
    with pytest.raises(UsageError, match="start must come before to"):
        nakami.jacobian(net, tokens, to="tokens")


class Batch(dict):
    """A mapping with attributes, as tokenizers return it."""


class Masked(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)

    def forward(self, states, mask, scale=None):
        out = self.linear(states) * mask[..., None]
        return {"logits": out if scale is None else out * scale, "mask": mask}


def test_trees_of_tensors():
    torch.manual_seed(0)
    net = Masked().double()
    states = torch.randn(1, 2, 4, dtype=torch.float64)
    scale = torch.full((1, 1, 3), 2.0, dtype=torch.float64)
    mask = torch.tensor([[1, 0]])
    jac = torch.autograd.functional.jacobian(
        lambda s, k: net(s, mask, k)["logits"].reshape(-1), (states, scale)
    )
    dense = torch.cat([j.reshape(6, -1) for j in jac], dim=1)
    by_name = nakami.jacobian(net, Batch(states=states, mask=mask, scale=scale))
    by_place = nakami.jacobian(net, (states, mask, scale))
    by_hand = nakami.jacobian(
        nakami.View(net, forward=lambda m, x: m(x[0], mask=x[1], scale=x[2])), [states, mask, scale]
    )
    for op in (by_name, by_place, by_hand):
        check_operator(op, dense)


@pytest.mark.parametrize("case", ["tutorial cnn", "tied weights", "batch norm", "residual"])
def test_parameters(case):
    net, x = build(case)
    op = nakami.jacobian(net, x, wrt="parameters")
    assert op.names == tuple(n for n, _ in net.named_parameters())
    check_operator(op, parameter_reference(net, x, op.names))


def test_parameters_by_pattern():
    net, x = build("tutorial cnn")
    op = nakami.jacobian(net, x, wrt="parameters", params="conv*.weight")
    assert op.names == ("conv1.weight", "conv2.weight")
    check_operator(op, parameter_reference(net, x, op.names))
    with pytest.raises(UsageError, match=r"params 'cnov\*' is unknown; nearest"):
        nakami.jacobian(net, x, wrt="parameters", params="cnov*")
    with pytest.raises(UsageError, match="start must be left out with wrt='parameters'"):
        nakami.jacobian(net, x, wrt="parameters", start="pool")
