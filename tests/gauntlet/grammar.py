"""Small networks made by a grammar: a kind of input, some blocks, a kind of output.

network = (vectors | sequences | sequences, time first | tokens) block block? block? end
block   = layer | residual(layer) | tied(linear)
"""

from typing import NamedTuple

import torch
from torch import nn

from .networks import DOUBLE, Kind

WIDTH = 3


class Recurrent(nn.Module):
    """States of all steps; ``first``: of which axis 0 or 1 is time inside."""

    def __init__(self, cell, batch_first):
        super().__init__()
        self.cell, self.batch_first = cell(WIDTH, WIDTH, batch_first=batch_first), batch_first

    def forward(self, h):
        h = h if self.batch_first else h.transpose(0, 1)
        out = self.cell(h)[0]
        return out if self.batch_first else out.transpose(0, 1)


class Attention(nn.Module):
    def __init__(self, causal):
        super().__init__()
        self.mix, self.causal = nn.MultiheadAttention(WIDTH, 1, batch_first=True), causal

    def forward(self, h):
        steps = h.shape[1]
        mask = nn.Transformer.generate_square_subsequent_mask(steps, dtype=h.dtype)
        return self.mix(h, h, h, attn_mask=mask if self.causal else None, need_weights=False)[0]


class OverTime(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(WIDTH, WIDTH, 3, padding=1)

    def forward(self, h):
        return self.conv(h.transpose(1, 2)).transpose(1, 2)


class OverChannels(nn.Module):
    """Normalisation of channels, which lie on axis 1."""

    def __init__(self, norm):
        super().__init__()
        self.norm = norm

    def forward(self, h):
        return self.norm(h) if h.ndim == 2 else self.norm(h.transpose(1, 2)).transpose(1, 2)


class Scale(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("scale", torch.linspace(0.5, 1.5, WIDTH))

    def forward(self, h):
        return torch.sin(h * self.scale)


class Residual(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, h):
        return h + self.inner(h)


class Twice(nn.Module):
    """A linear layer that is used twice."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(WIDTH, WIDTH)

    def forward(self, h):
        return self.layer(torch.tanh(self.layer(h)))


def batch_norm():
    norm = nn.BatchNorm1d(WIDTH)
    norm.running_mean.uniform_(-0.5, 0.5)
    norm.running_var.uniform_(0.5, 2.0)
    return OverChannels(norm)


ANYWHERE = {
    "linear": lambda: nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh()),
    "in place": lambda: nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU(inplace=True)),
    "gated": lambda: nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GLU(-1)),
    "no bias": lambda: nn.Sequential(nn.Linear(WIDTH, WIDTH, bias=False), nn.SiLU()),
    "twice": Twice,
    "layer norm": lambda: nn.LayerNorm(WIDTH),
    "group norm": lambda: OverChannels(nn.GroupNorm(1, WIDTH)),
    "batch norm": batch_norm,
    "dropout": lambda: nn.Sequential(nn.Dropout(0.4), nn.Linear(WIDTH, WIDTH)),
    "scale": Scale,
}
OF_STEPS = {
    "RNN": lambda: Recurrent(nn.RNN, True),
    "GRU, time first": lambda: Recurrent(nn.GRU, False),
    "LSTM": lambda: Recurrent(nn.LSTM, True),
    "attention": lambda: Attention(False),
    "causal attention": lambda: Attention(True),
    "over time": OverTime,
}
INPUTS = ("vectors", "sequences", "time first", "tokens")
ENDS = ("values", "steps", "last")


class Spec(NamedTuple):
    """A network of the grammar.

    Args:
        blocks: Names of ``ANYWHERE`` or ``OF_STEPS``, with whether a bypass is added.
        end: ``Kind.outputs``; of vectors always values.
        tied: Whether the head of tokens is their table.
        frozen: Whether the first block has no gradients.
    """

    inputs: str
    blocks: tuple[tuple[str, bool], ...]
    end: str
    tied: bool = False
    frozen: bool = False

    @property
    def kind(self):
        """As an entry of the table of networks."""
        end = "values" if self.inputs == "vectors" else self.end
        end = "steps" if self.inputs == "time first" else end
        return Kind(lambda: Drawn(self), self._made, end, self.inputs == "time first")

    def _made(self, rows, length, gen):
        if self.inputs == "tokens":
            return {"x": torch.randint(0, 3, (rows, length), generator=gen)}
        shape = {
            "vectors": (rows, WIDTH), "sequences": (rows, length, WIDTH),
            "time first": (rows, 2, WIDTH),
        }[self.inputs]  # fmt: skip
        return {"x": torch.randn(shape, generator=gen, dtype=DOUBLE)}


class Drawn(nn.Module):
    """The network of a ``Spec``."""

    def __init__(self, spec):
        super().__init__()
        self.spec = spec
        self.table = nn.Embedding(3, WIDTH) if spec.inputs == "tokens" else nn.Identity()
        every = ANYWHERE | OF_STEPS
        made = [(every[name](), bypass) for name, bypass in spec.blocks]
        self.blocks = nn.Sequential(*(Residual(b) if bypass else b for b, bypass in made))
        self.head = nn.Linear(WIDTH, 3)
        if spec.tied and spec.inputs == "tokens":
            self.head.weight = self.table.weight
        if spec.frozen:
            self.blocks[0].requires_grad_(False)

    def forward(self, x):
        h = self.table(x)
        first = self.spec.inputs == "time first"
        h = self.blocks(h.transpose(0, 1) if first else h)
        z = self.head(h)
        if first:
            return z.permute(1, 2, 0)
        if z.ndim == 2 or self.spec.end == "last":
            return z
        return z.mean(1) if self.spec.end == "values" else z.movedim(-1, 1)
