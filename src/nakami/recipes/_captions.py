"""Pictures with captions as a recipe takes them, and what is measured of a captioner on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import torch
from torch import Tensor

from nakami.data import (
    Captioned,
    Examples,
    captioned_shapes,
    is_sentence,
    is_true,
    read_captioned,
    sentence_odds,
    word_nats,
)
from nakami.results import counted, named_as, wrong
from nakami.zoo.captioner import Captioner, sentence_log_prob
from nakami.zoo.rnnlm import RecurrentLM

from ._examples import DataFiles, held_out
from ._facts import Fact, mean_fact, ratio_of_sums, share_fact

MADE, KINDS = (4000, 1000), 12  # pictures to train on, to test on; shapes of a colour and a kind
PART, MOST = 250, 20  # pictures at a time; words that are written


def captions_from(files: DataFiles | None) -> tuple[Captioned, Captioned]:
    """Pictures with captions to train and to test on: made here, or those of a folder.

    Without a part to test on a random tenth of the pictures is left out of training.
    """
    if files is None:
        return _made()
    if files.key is not None:
        raise wrong("key", "be left out with a folder of pictures", files.key, "leave {key} out")
    with named_as("path", "data"):
        train = read_captioned(files.path, size=files.size, mode=files.mode)
    if files.test is None:
        found, test = held_out(train)
    else:
        with named_as("path", "test"):
            found, test = train, read_captioned(files.test, size=files.size, mode=files.mode)
    assert isinstance(found, Captioned)
    assert isinstance(test, Captioned)
    if test.inputs.shape[1:] != found.inputs.shape[1:]:
        rule = f"hold pictures of the shape of those to train on, {tuple(found.inputs.shape[1:])}"
        raise wrong("test", rule, tuple(test.inputs.shape[1:]), "pass {size}=64")
    return found, test


@cache
def _made() -> tuple[Captioned, Captioned]:
    train, test = (captioned_shapes(n, seed=seed) for seed, n in enumerate(MADE))
    names = tuple(f"test {name}" for name in test.names)
    return train, replace(test, names=names)


def numbered(train: Examples, test: Examples, least: int) -> tuple[Captioned, Captioned]:
    """Both with captions as numbers, by the words of the first."""
    first, second = captioned(train), captioned(test)
    found = first.numbered(least=least)
    return found, second.numbered(found.words)


def captioned(examples: Examples) -> Captioned:
    """The examples, which are pictures with captions."""
    assert isinstance(examples, Captioned)
    return examples


def sentences(examples: Captioned) -> Tensor:
    """All captions as rows, ``(captions, T)``."""
    rows = labels(examples).flatten(0, 1)
    return rows[rows[:, 0] >= 0]


def tags(examples: Captioned) -> Tensor:
    """What a network is taught apart, ``(N, tags)``, zeros and ones.

    Of made pictures which of the twelve shapes are there; else which words their captions hold.
    """
    if examples.layout is not None:
        there = torch.zeros(len(examples), KINDS + 1)
        return there.scatter(1, examples.layout % (KINDS + 1), 1)[:, :KINDS]  # -1 is the last
    said = torch.zeros(len(examples), len(examples.words))
    return said.scatter(1, labels(examples).clamp(min=0).flatten(1), 1)


@torch.no_grad()
def features(net: torch.nn.Module, examples: Examples) -> Tensor:
    """What a network makes of all pictures."""
    return torch.cat([net(part) for part in examples.inputs.split(PART)])


@torch.no_grad()
def nats(language: RecurrentLM, examples: Captioned, states: Tensor | None) -> Tensor:
    """``-log p`` of each word of the captions, 0 behind their ends, ``(N, K, T)`` float64.

    Args:
        language: Of the captioner, or alone.
        examples: With K captions each.
        states: From which their captions begin, ``(N, state_size)``; None: without pictures.
    """
    found = list[Tensor]()
    for first in range(0, len(examples), PART):
        words = labels(examples)[first : first + PART]
        begun = None if states is None else states[first : first + PART]
        begun = None if begun is None else begun.repeat_interleave(words.shape[1], 0)
        each = sentence_log_prob(language, words.flatten(0, 1), begun)
        found.append(-each.double().unflatten(0, words.shape[:2]))
    return torch.cat(found)


def counts(examples: Captioned) -> Tensor:
    """Words and ends in the captions of each picture, ``(N,)`` float64."""
    return (labels(examples) >= 0).sum((1, 2)).double()


def perplexity_fact(label: str, total: Tensor, words: Tensor) -> Fact:
    """``exp`` of the nats of a word, ends counted, its error over pictures.

    Args:
        label: What is measured.
        total: As ``nats``, or of each picture's captions together, ``(N,)``.
        words: Their number, ``(N,)``.
    """
    total = total.flatten(1).sum(1) if total.ndim > 1 else total
    mean, error = ratio_of_sums(total, words)
    value = math.exp(mean)
    known, many = math.isfinite(error), counted(len(total), "picture")
    return {
        "label": label,
        "value": value,
        "spread": value * error if known else None,
        "spread_kind": f"standard error, {many}" if known else f"unknown of {many}",
        "unit": "",
    }


def others(examples: Examples) -> Tensor:
    """For each picture the place of another, in random order and each once, ``(N,)``."""
    order = torch.randperm(len(examples), generator=torch.Generator().manual_seed(0))
    return torch.empty_like(order).scatter(0, order, order.roll(1))


def rule_nats(examples: Captioned) -> Tensor:
    """The same of made pictures under the rules that made their captions, ``(N, K, T)``."""
    assert examples.layout is not None
    found = torch.zeros(labels(examples).shape, dtype=torch.float64)
    for row, layout in enumerate(examples.layout.tolist()):
        for column, caption in enumerate(examples.captions[row]):
            each = word_nats(caption, layout)
            found[row, column, : len(each)] = torch.tensor(each, dtype=torch.float64)
    return found


def least_perplexity(examples: Captioned) -> Fact:
    """The perplexity of the rules themselves, from the entropy of each picture's sentences."""
    assert examples.layout is not None
    entropy, words = 0.0, 0.0
    for layout in examples.layout.tolist():
        for sentence, p in sentence_odds(layout).items():
            entropy -= p * math.log(p)
            words += p * (len(sentence.split()) + 1)
    many = counted(len(examples), "picture")
    return {
        "label": "perplexity of the rules that made the captions",
        "value": math.exp(entropy / words),
        "spread": None,
        "spread_kind": f"exact, from the entropy of what can be said of {many}",
        "unit": "",
    }


def captioner_facts(model: Captioner, test: Captioned, beam: int) -> list[Fact]:
    """Perplexity with the right and with other pictures; of made ones what is true."""
    states, other, words = features(model, test), others(test), counts(test)
    right = nats(model.language, test, states)
    found = [perplexity_fact("perplexity", right, words)]
    if len(test) > 1:
        shuffled = nats(model.language, test, states[other])
        found.append(perplexity_fact("perplexity, pictures shuffled", shuffled, words))
    if test.layout is None:
        return found
    excess = (right - rule_nats(test)).sum((1, 2)) / words.mean()
    label = "above the rules, on the same captions"
    written = describe(model, test, beam)
    found += [
        mean_fact(excess, label, "nats per word", "picture"),
        share_fact("captions written that are true", _true(written, test), "picture"),
        share_fact("captions written that are sentences",
                   torch.tensor([is_sentence(text) for text in written]), "picture"),
    ]  # fmt: skip
    if len(test) > 1:
        swapped = [written[i] for i in other.tolist()]
        label = "the same true of another picture"
        found.append(share_fact(label, _true(swapped, test), "picture"))
    return found


def describe(model: Captioner, test: Captioned, beam: int) -> list[str]:
    """What a captioner writes below each picture."""
    parts = [model.describe(part, beam, MOST)[0] for part in test.inputs.split(PART)]
    return [test.spelled(ids) for ids in torch.cat(parts)]


def _true(written: Sequence[str], test: Captioned) -> Tensor:
    assert test.layout is not None
    pairs = zip(written, test.layout.tolist(), strict=True)
    return torch.tensor([is_true(text, layout) for text, layout in pairs])


def labels(examples: Captioned) -> Tensor:
    """Captions as numbers, ``(N, K, T)``."""
    assert examples.labels is not None  # as numbered() made them
    return examples.labels
