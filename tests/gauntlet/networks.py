"""Networks of many kinds, each small, with what they take and how their outputs lie."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from .mixing import (
    Graph,
    HalfSorted,
    Late,
    Normalised,
    Pooled,
    Running,
    Sorted,
    TimeFirst,
    TimeFirstAttention,
)

DOUBLE = torch.float64


class Layers(nn.Sequential):
    """One after the other, of an input named x."""

    def forward(self, x):
        return super().forward(x)


def plain():
    return Layers(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3))


def convolutional():
    return Layers(nn.Unflatten(1, (1, 2, 2)), nn.Conv2d(1, 3, 2), nn.Tanh(), nn.Flatten())


def normalised():
    """By running statistics, which are none of a fresh network."""
    net = Layers(nn.Linear(4, 4, bias=False), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 3))
    net[1].running_mean.uniform_(-0.5, 0.5)
    net[1].running_var.uniform_(0.5, 2.0)
    return net


def frozen():
    net = plain()
    net[0].weight.requires_grad_(False)
    return net


def weight_normed():
    first = nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))
    return Layers(first, nn.Tanh(), nn.Linear(4, 3))


class Residual(nn.Module):
    """Steps in place, dropout, a buffer, and a parameter that nothing uses."""

    def __init__(self):
        super().__init__()
        self.enter, self.inner, self.leave = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3)
        self.drop, self.act = nn.Dropout(0.3), nn.ReLU(inplace=True)
        self.register_buffer("scale", torch.linspace(0.5, 1.5, 4))
        self.spare = nn.Parameter(torch.ones(2))

    def forward(self, x):
        h = self.act(self.enter(x)) * self.scale
        out = self.inner(self.drop(h))
        out += h
        return self.leave(torch.tanh(out))


class Tied(nn.Module):
    """One weight in two layers, one of them by a function."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x):
        return self.b(torch.tanh(functional.linear(torch.tanh(self.a(x)), self.a.weight)))


class Fourier(nn.Module):
    """Complex numbers inside, real weights."""

    def __init__(self):
        super().__init__()
        self.gain, self.out = nn.Parameter(torch.randn(3, 2)), nn.Linear(4, 3)

    def forward(self, x):
        moved = torch.fft.rfft(x) * torch.view_as_complex(self.gain)
        return self.out(torch.tanh(torch.fft.irfft(moved, 4)))


class Two(nn.Module):
    """Two inputs of other sizes."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.out = nn.Linear(4, 3), nn.Linear(2, 3), nn.Linear(3, 3)

    def forward(self, a, b):
        return self.out(torch.tanh(self.a(a)) * torch.sigmoid(self.b(b)))


class Masked(nn.Module):
    """Tokens with a mask of those that are there."""

    def __init__(self):
        super().__init__()
        self.table, self.out = nn.Embedding(5, 4), nn.Linear(4, 3)

    def forward(self, ids, mask):
        seen = mask[..., None].to(self.table.weight.dtype)
        h = (self.table(ids).cumsum(1).tanh() * seen).sum(1) / seen.sum(1)
        return self.out(h)


class Causal(nn.Module):
    """Attention with a causal mask and a tied head; classes last."""

    def __init__(self):
        super().__init__()
        self.table, self.mix = nn.Embedding(3, 4), nn.Linear(4, 12, bias=False)

    def forward(self, x):
        h = self.table(x)
        q, k, v = self.mix(h).chunk(3, -1)
        h = h + functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return h @ self.table.weight.T


class Tagger(nn.Module):
    """A recurrent layer with the batch first, a class for each step on axis 1."""

    def __init__(self):
        super().__init__()
        self.cell, self.out = nn.RNN(2, 3, batch_first=True), nn.Linear(3, 3)

    def forward(self, x):
        return self.out(self.cell(x)[0]).movedim(-1, 1)


class Flattened(nn.Module):
    """A class for each token, tokens of all examples along axis 0."""

    def __init__(self):
        super().__init__()
        self.table, self.cell = nn.Embedding(7, 4), nn.GRU(4, 4, batch_first=True)
        self.out = nn.Linear(4, 3)

    def forward(self, x):
        return self.out(self.cell(self.table(x))[0]).reshape(-1, 3)


class Waves(nn.Module):
    """Convolutions over time with a normalisation: ``(n, 2, time) -> (n, 3, time)``."""

    def __init__(self):
        super().__init__()
        self.a, self.norm = nn.Conv1d(2, 4, 3, padding=1), nn.GroupNorm(2, 4)
        self.b = nn.Conv1d(4, 3, 1)

    def forward(self, x):
        return self.b(functional.gelu(self.norm(self.a(x))))


class Heads(nn.Module):
    """A mean and the logarithm of a variance."""

    def __init__(self):
        super().__init__()
        self.a, self.mean, self.log = nn.Linear(4, 4), nn.Linear(4, 3), nn.Linear(4, 3)

    def forward(self, x):
        h = torch.tanh(self.a(x))
        return self.mean(h), self.log(h)


class WithLoss(nn.Module):
    """It makes its loss when it is given labels."""

    def __init__(self):
        super().__init__()
        self.net = plain()

    def forward(self, x, labels=None):
        z = self.net(x)
        loss = None if labels is None else functional.cross_entropy(z, labels)
        return {"loss": loss, "logits": z}


class Language(Causal):
    """Every token is to be told from those before it; it makes that loss by itself."""

    def forward(self, x, labels=None):
        z = super().forward(x)
        if labels is None:
            return {"logits": z}
        loss = functional.cross_entropy(z[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        return {"loss": loss, "logits": z}


def numbers(*shape):
    def inputs(rows, length, gen):
        sizes = [{"T": length, "n": rows}.get(size, size) for size in shape]
        return {"x": torch.randn(*sizes, generator=gen, dtype=DOUBLE)}

    return inputs


def tokens(kinds):
    return lambda rows, length, gen: {"x": torch.randint(0, kinds, (rows, length), generator=gen)}


def pair(rows, length, gen):
    a, b = torch.randn(rows, 4, generator=gen), torch.randn(rows, 2, generator=gen)
    return {"a": a.double(), "b": b.double()}


def masked(rows, length, gen):
    ids = torch.randint(0, 5, (rows, length), generator=gen)
    mask = torch.ones(rows, length, dtype=torch.int64)
    mask[0, -1] = 0
    return {"ids": ids, "mask": mask}


def edges(rows, length, gen):
    """A ring: as many edges as nodes."""
    ring = torch.arange(rows)
    x = torch.randn(rows, 4, generator=gen, dtype=DOUBLE)
    return {"x": x, "edges": torch.stack([ring, ring.roll(-1)])}


class Kind(NamedTuple):
    """A network.

    Args:
        inputs: ``inputs(rows, length, generator)``, by the names that ``forward`` has for them.
        outputs: ``"values"`` (n, 3), ``"steps"`` (n, 3, T), ``"last"`` (n, T, 3), ``"flat"``
            (n T, 3), ``"heads"``, or ``"own"`` of a network that makes its loss.
        mixes: Whether rows see each other, or are no examples.
        fixed: Rows that it must have; None for any.
    """

    make: Callable[[], nn.Module]
    inputs: Callable[..., dict[str, torch.Tensor]] = numbers("n", 4)
    outputs: str = "values"
    mixes: bool = False
    fixed: int | None = None


NETWORKS = {
    "plain": Kind(plain),
    "convolutional": Kind(convolutional),
    "normalised by the batch": Kind(Normalised, mixes=True),
    "the last rows mix": Kind(Late, mixes=True),
    "pooled": Kind(Pooled, mixes=True),
    "running sum": Kind(Running, mixes=True),
    "sorted": Kind(Sorted),
    "half sorted": Kind(HalfSorted),
    "LSTM, time first": Kind(TimeFirst, numbers("n", 2, 4), "steps", mixes=True),
    "attention, time first": Kind(TimeFirstAttention, numbers("n", 2, 4), "steps", mixes=True),
    "graph": Kind(Graph, mixes=True, fixed=8),
    "graph with its edges": Kind(Graph, edges, mixes=True),
    "normalised": Kind(normalised),
    "frozen": Kind(frozen),
    "weight norm": Kind(weight_normed),
    "residual": Kind(Residual),
    "tied": Kind(Tied),
    "Fourier": Kind(Fourier),
    "two inputs": Kind(Two, pair),
    "tokens and a mask": Kind(Masked, masked),
    "causal attention": Kind(Causal, tokens(3), "last"),
    "recurrent": Kind(Tagger, numbers("n", "T", 2), "steps"),
    "flattened": Kind(Flattened, tokens(7), "flat"),
    "waves": Kind(Waves, numbers("n", 2, "T"), "steps"),
    "two heads": Kind(Heads, outputs="heads"),
    "makes its loss": Kind(WithLoss, outputs="own"),
    "language": Kind(Language, tokens(3), "own"),
}


def network(name):
    """A network in float64 and eight rows of input."""
    torch.manual_seed(3)
    model = NETWORKS[name].make().double()
    x = torch.randn(*((8, 2, 4) if "first" in name else (8, 4)), dtype=DOUBLE)
    return model, x
