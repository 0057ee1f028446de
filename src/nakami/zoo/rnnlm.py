"""Recurrent language models: the next word or character from all before it.

Origin: Mikolov, Karafiát, Burget, Černocký & Khudanpur, "Recurrent neural network based language
model", Interspeech 2010 (``"elman"``: one layer of sigmoid units; classes of words at the output:
Mikolov et al., ICASSP 2011); Hermans & Schrauwen, "Training and analyzing deep recurrent neural
networks", NIPS 2013 (``"tanh"`` in several layers, read out from the last or from all); ``"gru"``
and ``"lstm"`` as torch has them.

``h^l_t = f(W^l h^(l-1)_t + U^l h^l_(t-1) + b^l)``, ``h^0`` the vector of the word. The output gives
the logits of the next word from the last layer, or from all layers side by side; with ``counts`` by
classes of words (``nn.FactoredSoftmax``).

Deliberate differences: words have vectors of their own before the first layer, which the
first paper has as columns of its input matrix; layers have biases; first states are 0.1 for sigmoid
units, as there, and 0 elsewhere; first weights as torch draws them.

Published, perplexity on Penn Treebank's test words: one RNNLM 124.7, with a 5-gram model 105.7
(Mikolov's thesis of 2012, as notes on it quote).
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nakami.nn import FactoredSoftmax
from nakami.results import check_at_least, unknown, wrong

from ._entry import Entry
from ._layers import layer, seeded

Cell = Literal["elman", "tanh", "gru", "lstm"]
CELLS = ("elman", "tanh", "gru", "lstm")
OUTPUTS = ("last", "all")


class SigmoidRNN(nn.RNN):
    """``nn.RNN`` of one layer, batch first, with sigmoid units: a loop over the steps.

    Args:
        input_size: Numbers of an input.
        hidden_size: Units.
        options: ``device`` and ``dtype``, as torch takes them.
    """

    def __init__(self, input_size: int, hidden_size: int, **options: Any):
        if other := sorted(set(options) - {"batch_first", "device", "dtype"}):
            raise wrong("options", "be device and dtype alone", ", ".join(other), "leave it out")
        super().__init__(input_size, hidden_size, **options | {"batch_first": True})
        self.nonlinearity = "sigmoid"  # by which readings make a step of it

    def forward(self, input: Tensor, hx: Any = None) -> Any:  # type: ignore[override]  # noqa: A002
        """States ``(N, T, H)`` and the last ones, ``(1, N, H)``."""
        own: Any = self
        sums = F.linear(input, own.weight_ih_l0, own.bias_ih_l0 + own.bias_hh_l0)
        h = sums.new_zeros(len(sums), self.hidden_size) if hx is None else hx[0]
        states = list[Tensor]()
        for now in sums.unbind(1):
            h = torch.sigmoid(now + F.linear(h, own.weight_hh_l0))
            states.append(h)
        return torch.stack(states, 1), h[None]


KINDS = {"elman": SigmoidRNN, "tanh": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


class RecurrentLM(nn.Module):
    """A vector for each word, recurrent layers, and log-probabilities or logits of the next word.

    Args:
        words: Kinds of words (or of characters).
        hidden: Units of each layer; also values of a word's vector.
        layers: How many.
        cell: ``"elman"``, ``"tanh"``, ``"gru"`` or ``"lstm"``.
        outputs: ``"last"``: the last layer is read out; ``"all"``: all of them.
        counts: How often each word occurs; the output is then factored into classes.
        generator: Source of the first weights; None: a fresh one with seed 0.
        dtype: Floating type of the parameters.

    Attributes:
        embedding: ``nn.Embedding``. layer1, layer2, ...: torch's recurrent layers, one each, batch
            first. output: ``nn.Linear`` or ``nn.FactoredSoftmax``.
        state_size: Numbers of a flat state: ``h`` of layer 1, 2, ..., of an LSTM with ``c``
            behind each.
    """

    def __init__(
        self,
        words: int,
        hidden: int = 64,
        layers: int = 1,
        cell: Cell = "gru",
        outputs: Literal["last", "all"] = "last",
        *,
        counts: Any = None,
        generator: torch.Generator | None = None,
        dtype: torch.dtype = torch.float32,
    ):
        super().__init__()
        for name, value in (("words", words), ("hidden", hidden), ("layers", layers)):
            check_at_least(name, value, 1, "pass a positive number")
        for name, text, known in (("cell", cell, CELLS), ("outputs", outputs, OUTPUTS)):
            if text not in known:
                raise unknown(name, text, known)
        if counts is not None and len(counts) != words:
            rule = f"hold a number for each of the {words} words"
            raise wrong("counts", rule, len(counts), "count all of them")
        g = seeded(generator)
        self.cell, self.outputs, self.hidden, self.counts = cell, outputs, hidden, counts
        self.embedding = layer(nn.Embedding, words, hidden, std=1.0, generator=g, dtype=dtype)
        self.names = [f"layer{i}" for i in range(1, layers + 1)]
        for name in self.names:
            self.add_module(name, _recurrent(cell, hidden, g, dtype))
        width = hidden * (layers if outputs == "all" else 1)
        self.output: nn.Module
        if counts is None:
            self.output = layer(nn.Linear, width, words, std=width**-0.5, generator=g, dtype=dtype)
        else:
            self.output = FactoredSoftmax(width, counts, generator=g, dtype=dtype)
        self.state_size = layers * hidden * (2 if cell == "lstm" else 1)

    def forward(self, words: Tensor) -> Tensor:
        """Logits of the word after the last one, ``(N, T) -> (N, words)``.

        Of a factored output they are log-probabilities.
        """
        features, _ = self.unroll(words)
        logits: Tensor = self.output(features[:, -1])
        return logits

    def start(self, n: int) -> Tensor:
        """States before the first word, ``(n, state_size)``."""
        first = 0.1 if self.cell == "elman" else 0.0
        return self.embedding.weight.new_full((n, self.state_size), first)

    def unroll(self, words: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """What the output reads at each step, and the states after the last.

        Args:
            words: ``(N, T)`` int64.
            state: Flat states before them, ``(N, state_size)``; None: ``start``.

        Returns:
            ``(N, T, features)`` and ``(N, state_size)``.
        """
        every, after = self.through(words, state)
        return (torch.cat(every, -1) if self.outputs == "all" else every[-1]), after

    def through(self, words: Tensor, state: Tensor | None = None) -> tuple[list[Tensor], Tensor]:
        """States ``h`` of every layer, ``(N, T, hidden)`` each, and all after the last step."""
        h = self.embedding(words)
        state = self.start(len(words)) if state is None else state
        every, after = list[Tensor](), list[Tensor]()
        for name, own in zip(self.names, state.chunk(len(self.names), 1), strict=True):
            parts = tuple(part[None].contiguous() for part in own.split(self.hidden, 1))
            h, end = self.get_submodule(name)(h, parts if self.cell == "lstm" else parts[0])
            every.append(h)
            after += [part[0] for part in (end if self.cell == "lstm" else (end,))]
        return every, torch.cat(after, 1)

    def read(self, state: Tensor) -> Tensor:
        """What the output reads of flat states, ``(N, state_size) -> (N, features)``."""
        layers = [part[:, : self.hidden] for part in state.chunk(len(self.names), 1)]
        return torch.cat(layers, -1) if self.outputs == "all" else layers[-1]

    def loss(self, features: Tensor, nexts: Tensor) -> Tensor:
        """Mean of ``-log p(next word)``, nats: ``(N, T, features)`` and ``(N, T)``."""
        return -self.log_prob(features, nexts).mean()

    def log_prob(self, features: Tensor, nexts: Tensor) -> Tensor:
        """Log-probability of each next word, nats, ``(N, T)``."""
        flat, goal = features.flatten(0, -2), nexts.flatten()
        if isinstance(self.output, FactoredSoftmax):
            return self.output.log_prob(flat, goal).view(nexts.shape)
        return -F.cross_entropy(self.output(flat), goal, reduction="none").view(nexts.shape)

    def grown(self, generator: torch.Generator) -> RecurrentLM:
        """The same with one layer more on top, which is read out by new weights.

        Hermans & Schrauwen train a network that is read out at its last layer in this way.
        """
        words, dtype = len(self.embedding.weight), self.embedding.weight.dtype
        made = RecurrentLM(
            words, self.hidden, len(self.names) + 1, self.cell, self.outputs,
            counts=self.counts, generator=generator, dtype=dtype,
        )  # fmt: skip
        kept = {k: v for k, v in self.state_dict().items() if not k.startswith("output.")}
        made.load_state_dict(kept, strict=False)
        return made


def _recurrent(
    cell: Cell, hidden: int, generator: torch.Generator, dtype: torch.dtype
) -> nn.RNNBase:
    """One recurrent layer with weights as torch draws them."""
    kind: Any = KINDS[cell]
    made: nn.RNNBase = kind(hidden, hidden, batch_first=True, device="meta", dtype=dtype)
    made = made.to_empty(device="cpu")
    with torch.no_grad():
        for weight in made.parameters():
            weight.uniform_(-(hidden**-0.5), hidden**-0.5, generator=generator)
    return made


def make(*, generator: torch.Generator | None = None) -> nn.Module:
    """A model of 65 characters, one layer of 64 gated units, ``(N, T) -> (N, 65)``.

    Args:
        generator: Source of the first weights; None: a fresh one with seed 0.
    """
    return RecurrentLM(65, generator=generator)


ENTRY = Entry(
    make=make,
    input=(20,),
    output=(65,),
    parameters=65 * 64 + 2 * (192 * 64 + 192) + 65 * 64 + 65,
    task="classification",
    origin="Mikolov et al. 2010, a GRU",
    preprocessing="unit",
    tokens=65,
)
