"""Texts to train on and to test on, and what is measured of a language model on them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import torch
from torch import Tensor

from nakami.data import EMBEDDED, Examples, Text, made_text
from nakami.data import plain_text as read
from nakami.results import first_names, named_as, wrong
from nakami.zoo.rnnlm import RecurrentLM

from ._examples import HELD_OUT, DataFiles
from ._facts import mean_fact

BLOCK, LENGTH = 100, 20  # characters of a block of raw text; places of an example
PIECES, PART = 20, 200  # of a text for a standard error; places at a time
MADE = (200_000, 20_000)  # characters that are made to train on, to test on


def text_from(
    files: DataFiles | None, made: Callable[[], tuple[Examples, Examples]] | None = None
) -> tuple[Examples, Examples]:
    """Raw text in blocks of 100 characters, as code points: made here, or that of files.

    Args:
        files: A file of text in UTF-8, and one to test on, without which the last tenth is left out
            of training; None: that of ``made``.
        made: Gives a text where there are no files; None: sentences made by rules.
    """
    if files is None:
        return (made or _made)()
    for name, value in files.reading.items():
        if value is not None:
            raise wrong(name, "be left out with a text", value, f"leave {{{name}}} out")
    with named_as("path", "data"):
        whole, name = read(files.path), str(files.about()["data"]).rpartition("/")[2]
    if files.test is not None:
        with named_as("path", "test"):
            return blocks("data", whole, f"text of {name}"), blocks("test", read(files.test), "")
    n = len(whole) // BLOCK
    if n < HELD_OUT:
        rule = f"hold {HELD_OUT * BLOCK:,} characters or more, as a tenth is tested on"
        way_out = "pass a text to test on as {test}=PATH"
        raise wrong("data", rule, f"{len(whole):,}", way_out)
    cut = (n - n // HELD_OUT) * BLOCK
    return (
        blocks("data", whole[:cut], f"text of {name}, without the last tenth"),
        blocks("test", whole[cut:], ""),
    )


@cache
def _made() -> tuple[Examples, Examples]:
    generator = torch.Generator().manual_seed(0)
    (train, _), (test, bits) = (made_text(n, generator) for n in MADE)
    said = f"made sentences; the rules that made those to test on have {bits:.3f} bits a character"
    return blocks("data", train, said), blocks("test", test, said)


def blocks(argument: str, text: str, what: str) -> Examples:
    """A text as code points in rows; what fills no row is left out."""
    n = len(text) // BLOCK
    if not n:
        rule, way_out = f"hold {BLOCK} characters or more", "pass a longer text"
        raise wrong(argument, rule, len(text), way_out)
    points = torch.tensor([ord(c) for c in text[: n * BLOCK]]).view(n, BLOCK)
    names = tuple(f"block {i}" for i in range(n))
    return Examples(points, None, names, EMBEDDED, f"{n * BLOCK:,} characters, {what}")


def arranged(
    train: Examples, test: Examples, unit: Any, least: int, length: int = LENGTH
) -> tuple[Examples, Examples]:
    """Both texts by characters or words, in rows of places; ``classes`` are the kinds.

    Args:
        train: Raw text.
        test: Likewise.
        unit: As for ``Text.of``.
        least: Likewise, of the text to train on.
        length: Places of a row.
    """
    raw = ["".join(map(chr, part.inputs.flatten().tolist())) for part in (train, test)]
    kinds = Text.of(raw[0], unit, least=least).kinds
    if least == 1:
        kinds += tuple(sorted(set(Text.of(raw[1], unit).kinds) - set(kinds)))
    first, second = (Text.of(part, unit, kinds=kinds) for part in raw)
    found = _rows("data", first, train, length), _rows("test", second, test, length)
    if len(kinds) < 2:
        rule, way_out = f"hold two different {unit} or more", "pass another text"
        raise wrong("data", rule, first_names(map(repr, kinds)), way_out)
    return found


def _rows(argument: str, text: Text, raw: Examples, length: int) -> Examples:
    n = len(text) // length
    if not n:
        got, way_out = f"{len(text)} {text.unit}", "pass a longer text"
        raise wrong(argument, f"hold {length} {text.unit} or more", got, way_out)
    names = tuple(f"text {i}, {text.unit}" for i in range(n))
    rows = text.ids[: n * length].view(n, length)
    noun = "text" if length > 1 else text.unit.removesuffix("s")
    return replace(raw, inputs=rows, names=names, classes=text.kinds, noun=noun)


def as_text(examples: Examples, unit: Any) -> Text:
    """Arranged examples as one text again."""
    return Text(examples.inputs.flatten(), examples.classes, unit)


def _pieces(text: Text) -> Tensor:
    """A text in pieces for a standard error, ``(pieces, places)``."""
    return text.streams(max(1, min(PIECES, len(text) // 50))).T


@torch.no_grad()
def nats(model: RecurrentLM, text: Text) -> Tensor:
    """Mean ``-log p`` of each piece of a text read in order, ``(pieces,)`` float64."""
    pieces = _pieces(text)
    state, found = None, list[Tensor]()
    for first in range(0, pieces.shape[1] - 1, PART):
        x = pieces[:, first : first + PART + 1]
        features, state = model.unroll(x[:, :-1], state)
        found.append(-model.log_prob(features, x[:, 1:]).double())
    return torch.cat(found, 1).mean(1)


def language_facts(model: RecurrentLM, test: Text) -> list[dict[str, Any]]:
    """Bits of a place, and of words the perplexity, beside those of frequencies alone."""
    each, place = nats(model, test), test.unit.removesuffix("s")
    bits = mean_fact(each / math.log(2), f"bits per {place}", "bits", "piece")
    found = [bits]
    if test.unit == "words":
        value, spread = math.exp(float(each.mean())), bits["spread"]
        more = None if spread is None else value * spread * math.log(2)
        found = [{**bits, "label": "perplexity", "value": value, "spread": more, "unit": ""}, bits]
    return found


def frequency_bits(train: Text, test: Text) -> dict[str, Any]:
    """What the frequencies of the text to train on alone give, bits of a place."""
    often = train.counts.double() + 1
    bits = -(often / often.sum()).log2()[
        _pieces(test)[:, 1:]
    ]  # at the places that a model is asked
    return mean_fact(bits.mean(1), "the same by frequencies alone", "bits", "piece")


@torch.no_grad()
def written(model: RecurrentLM, begun: Text, length: int, generator: torch.Generator) -> str:
    """A text that the model goes on with, drawn place by place.

    Args:
        model: A language model.
        begun: What it reads first.
        length: Places to draw.
        generator: Source of the draws.
    """
    features, state = model.unroll(begun.ids[None])
    drawn = list[int]()
    for _ in range(length):
        odds = model.output(features[:, -1]).softmax(1)
        drawn.append(int(torch.multinomial(odds[0], 1, generator=generator)))
        features, state = model.unroll(torch.tensor([[drawn[-1]]]), state)
    return begun.spelled(torch.tensor(drawn))
