"""A recurrent language model: the next character or word of a text.

The text is read in ``batch`` pieces side by side, states carried on, gradients cut after ``window``
steps. Without data of the caller's it is made of sentences by rules (``data.made_text``) whose verb
agrees with a noun that may lie far before it, and whose own bits a character are known.

Origin: Mikolov, Karafiát, Burget, Černocký & Khudanpur, Interspeech 2010; Hermans & Schrauwen,
NIPS 2013 (several layers, ``outputs``, ``grow``, time scales); Kanai, Fujiwara & Iwamura, NIPS 2017
(``delta``). Deliberate differences: Adam at a rate that falls to 0; gradients at most 1 long.

Published, perplexity on Penn Treebank's test words: one RNNLM 124.7, with a 5-gram model 105.7
(Mikolov's thesis of 2012, as notes on it quote).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from torch import nn

from nakami.data import Examples, Text
from nakami.recurrent import margins, time_scales
from nakami.training import Falling, Held, Method, Training, TruncatedBPTT
from nakami.zoo.rnnlm import RecurrentLM

from ..results import Lines, Show, Texts, counted, wrong
from ._facts import mean_fact
from ._settings import POSITIVE, Bounds
from ._subject import Network, Recipe
from ._texts import LENGTH, arranged, as_text, frequency_bits, language_facts, text_from, written

CHANGED, AHEAD, SEEN = 10, 60, 100  # of time scales: the place, the places after it, texts
BEGUN, DRAWN, SHOWN = 40, 160, 4  # places read, places drawn, samples


@dataclass(frozen=True)
class RNNLMSettings:
    """What decides the weights, beside seed and data.

    Attributes:
        unit: What is foreseen.
        least: Characters or words seen more rarely are one kind, unknown.
        cell: Units of the layers; elman: sigmoid.
        layers: How many.
        hidden: Units of each layer.
        outputs: What is read out: the last layer or all of them.
        grow: Layers are added one after another, each read out in its turn, an epoch for each but
            the last.
        factored: Whether the output goes by classes of words, which is faster with many.
        epochs: Passes over the text with all layers.
        rate: Adam's first learning rate, which falls to 0.
        window: Steps that gradients go back.
        every: Whether the gradient of every output goes back so many steps, not to the beginning of
            its mini-batch; takes window times as long.
        most: Longest gradient; a longer one is shortened.
        delta: GRUs are held at sigma_1(W_hn) of at most 2 - delta; none: free.
        batch: Pieces of the text that are read side by side.
    """

    unit: Literal["characters", "words"] = "characters"
    least: Annotated[int, Bounds(1)] = 2
    cell: Literal["elman", "tanh", "gru", "lstm"] = "tanh"
    layers: Annotated[int, Bounds(1)] = 3
    hidden: Annotated[int, Bounds(1)] = 64
    outputs: Literal["last", "all"] = "all"
    grow: bool = False
    factored: bool = False
    epochs: int = 8
    rate: Annotated[float, POSITIVE] = 5e-3
    window: Annotated[int, Bounds(1)] = 40
    every: bool = False
    most: Annotated[float, POSITIVE] = 1.0
    delta: Annotated[float | None, Bounds(0, 2, without=(0, 2))] = None
    batch: Annotated[int, Bounds(1)] = 32

    def __post_init__(self) -> None:
        if self.delta is not None and self.cell != "gru":
            rule = "be left out, or go with GRUs, which it holds"
            raise wrong("delta", rule, f"{self.delta:g} with {self.cell}", 'take cell = "gru"')


def arranged_by(
    train: Examples, test: Examples, settings: RNNLMSettings
) -> tuple[Examples, Examples]:
    """By characters or words."""
    return arranged(train, test, settings.unit, settings.least)


def model_of(
    train: Text, settings: RNNLMSettings, layers: int, generator: torch.Generator | None = None
) -> RecurrentLM:
    """The network with first weights."""
    s, cell = settings, settings.cell
    counts = train.counts if s.factored else None
    return RecurrentLM(
        len(train.kinds), s.hidden, layers, cell, s.outputs, counts=counts, generator=generator
    )


def untrained(settings: RNNLMSettings) -> nn.Module:
    """The network for made sentences, with first weights, in evaluation mode."""
    train, _ = arranged_by(*text_from(None), settings)
    return model_of(as_text(train, settings.unit), settings, settings.layers).eval()


def epochs(settings: RNNLMSettings) -> Mapping[str, int]:
    """An epoch for each number of layers, if they are added one by one; then all."""
    first = range(1, settings.layers) if settings.grow else ()
    return {**{f"with {counted(n, 'layer')}": 1 for n in first}, "all": settings.epochs}


def stages(settings: RNNLMSettings) -> tuple[str, ...]:
    """The layers."""
    return tuple(f"layer{i}" for i in range(1, settings.layers + 1))


def train(
    training: Training, train: Examples, test: Examples, settings: RNNLMSettings
) -> tuple[Network, ...]:
    """One network, named after its cells."""
    s = settings
    text, asked = as_text(train, s.unit), as_text(test, s.unit)
    source = training.generator("first weights")
    model = model_of(text, s, 1 if s.grow else s.layers, source)
    streams = text.streams(min(s.batch, max(1, len(text) // 2)))
    for phase in epochs(s):
        last = phase == "all"
        if len(model.names) < s.layers and (last or phase != "with 1 layer"):
            model = model.grown(source)
        method = method_of(model, s, s.epochs if last else None)
        training.run(phase, method, lambda: (streams[:-1], streams[1:]), batch=s.window)
    facts = [*language_facts(model, asked), frequency_bits(text, asked), *memory(model, asked)]
    if s.cell == "gru":
        facts += [_sigma(margin.name, margin.sigma) for margin in margins(model)]
    return (Network(s.cell, model.eval(), _said(s, train.source), facts),)


def method_of(model: RecurrentLM, settings: RNNLMSettings, epochs: int | None) -> Method:
    """How it learns; at a rate that falls over ``epochs``, if they are given."""
    s = settings
    adam = torch.optim.Adam(model.parameters(), s.rate)
    method: Method = TruncatedBPTT(model, adam, window=s.window if s.every else None, most=s.most)
    if s.delta is not None and s.cell == "gru":
        method = Held(method, s.delta)
    return method if epochs is None else Falling(method, epochs)


def _said(settings: RNNLMSettings, source: str) -> str:
    s = settings
    kind = {"elman": "sigmoid", "tanh": "tanh", "gru": "gated (GRU)", "lstm": "LSTM"}[s.cell]
    grown = ", added one after another" if s.grow else ""
    held = f", sigma_1(W_hn) at most {2 - s.delta:g}" if s.delta and s.cell == "gru" else ""
    back = f"{counted(s.window, 'step')} back" + (" from every output" if s.every else "")
    return (
        f"{counted(s.layers, 'layer')} of {s.hidden} {kind} units{grown}, {s.outputs} read out, "
        f"{counted(s.epochs, 'epoch')} of Adam from rate {s.rate}, gradients {back}{held}, on "
        f"{source}"
    )


def _sigma(name: str, sigma: float) -> dict[str, Any]:
    label = f"largest singular value of W_hn, {name.partition('.')[0]}"
    kind = "below 2 a GRU without biases rests stably"
    return {"label": label, "value": sigma, "spread": None, "spread_kind": kind, "unit": ""}


def _changed(text: Text) -> tuple[torch.Tensor, torch.Tensor]:
    """Texts, and the same with another kind at one place, ``(N, places)`` each."""
    length = min(CHANGED + AHEAD, len(text))
    n = min(SEEN, len(text) - length + 1)
    starts = torch.linspace(0, len(text) - length, n).long()
    words = text.ids[starts[:, None] + torch.arange(length)]
    other = words.clone()
    other[:, CHANGED] = (other[:, CHANGED] + 1) % len(text.kinds)
    return words, other


def memory(model: RecurrentLM, text: Text) -> list[dict[str, Any]]:
    """For how many steps each layer remembers a change of one place."""
    found, place = time_scales(model, *_changed(text)), text.unit.removesuffix("s")
    facts = []
    ahead = found.shares.shape[2] - CHANGED
    for name, steps, cut in zip(found.names, found.steps, found.cut_share, strict=True):
        values = torch.from_numpy(steps).double()
        fact = mean_fact(values, f"time scale of {name}", f"{place}s", "text")
        more = f"; {cut:.0%} outlast the {ahead} read" if cut else ""
        facts.append({**fact, "spread_kind": fact["spread_kind"] + more})
    return facts


def pictures(
    networks: Sequence[Network],
    test: Examples,
    settings: RNNLMSettings,
    generator: torch.Generator,
) -> list[Show]:
    """What it writes, and what one changed place leaves in the layers."""
    model, text = copy.deepcopy(networks[-1].model), as_text(test, settings.unit)
    assert isinstance(model, RecurrentLM)
    found = time_scales(model, *_changed(text))
    lines = {
        name: (list(range(len(curve))), curve.tolist())
        for name, curve in zip(found.names, found.curve[:, :AHEAD], strict=True)
    }
    place = text.unit.removesuffix("s")
    fading = Lines(
        f"What one changed {place} leaves",
        f"Difference of each layer's state, as a share of its largest, after one {place} was "
        f"replaced by another: mean over {counted(len(found.steps[0]), 'text')}.",
        f"{place}s since the change",
        "share of the difference",
        lines,
        (0.0, 1.0),
    )
    rows = []
    for i in range(SHOWN):
        ids = text.ids[(begin := i * (len(text) - BEGUN) // SHOWN) : begin + BEGUN]
        begun = Text(ids, text.kinds, text.unit)
        length = DRAWN if settings.unit == "characters" else LENGTH
        rows.append((begun.spelled(ids), written(model, begun, length, generator)))
    caption = f"What the model writes behind beginnings out of the test text, one {place} by one."
    return [fading, Texts("Written by the model", caption, ("begins with", "goes on"), tuple(rows))]


ENTRY = Recipe(
    settings=RNNLMSettings(),
    examples=text_from,
    takes="a text file",
    untrained=untrained,
    epochs=epochs,
    train=train,
    stages=stages,
    labelled=False,
    arranged=arranged_by,
    pictures=pictures,
)
