"""Networks that are deep in layers, in time and in structure, trained and untrained."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import language_models
import recurrent_depth
import torch
from _stories import LAYERS, Stories, stories
from _wide import generator
from sentiment_trees import SETTINGS, Chosen, adagrad, first, trained
from torch import Tensor, nn
from torch.nn import functional as F

from nakami import View, data
from nakami.data import Examples, Text, Trees
from nakami.recipes._sentiment import accuracies, probabilities
from nakami.training import Supervised, fit
from nakami.zoo._layers import layer
from nakami.zoo.recursive import RecursiveNet
from nakami.zoo.rnnlm import RecurrentLM

SIDES = (0, 0, -1, 1, 1)  # of five classes
WIDE, DIGITS, PASSES, ROOT_PASSES, SENTENCES = 100, 20_000, 5, 8, 120
TOKENS = 32  # of a story
Made = tuple[Any, Any, float | None]  # trained, untrained, a figure of the trained one
Make = Callable[..., Made]


class Bench:
    """The data, each read when it is first asked for.

    Args:
        root: Where they lie.
    """

    def __init__(self, root: Path):
        self.root = root

    @cached_property
    def digits(self) -> tuple[Examples, Examples]:
        """Digits to train and to test on."""
        folder = self.root / "mnist"
        return data.mnist(folder, "train", n=DIGITS), data.mnist(folder, "test")

    @cached_property
    def characters(self) -> dict[str, Text]:
        """Texts to train and to test on."""
        return language_models.read(self.root, "characters")

    @cached_property
    def trees(self) -> dict[str, Trees]:
        """Trees to train, to choose by and to test on."""
        folder = self.root / "sst"
        train = data.read_trees(folder / "train.txt")
        rest = {n: data.read_trees(folder / f"{n}.txt", train.words) for n in ("dev", "test")}
        return {"train": train, **rest}

    @cached_property
    def sample(self) -> tuple[Tensor, list[int]]:
        """Test sentences of two words and more, and the place of a random word in each."""
        nodes, source = self.trees["test"].nodes, generator(0, 7)
        lengths = (nodes[..., 3] == 0).sum(1)
        long = (lengths > 1).nonzero()[:, 0]
        chosen = long[torch.randperm(len(long), generator=source)[:SENTENCES]]
        places = torch.rand(len(chosen), generator=source) * lengths[chosen]
        return chosen, places.long().tolist()


def in_form(trees: Trees, form: str, classes: int) -> Trees:
    """Trees with the labels of a training.

    Args:
        trees: With five classes at all nodes.
        form: ``"all"`` labels, those of the ``"root"``, or these at a ``"chain"`` of the words.
        classes: 5, or 2, in which neutral ones have none.
    """
    labels = trees.labels if classes == 5 else torch.tensor([*SIDES, -1])[trees.labels]
    if form != "all":
        at = torch.arange(labels.shape[1]) == trees.roots[:, None]
        labels = torch.where(at, labels, -1)
    nodes = torch.stack([chained(tree) for tree in trees.nodes]) if form == "chain" else trees.nodes
    return replace(trees, nodes=nodes, labels=labels)


def chained(tree: Tensor) -> Tensor:
    """The words of a tree merged one after another from the left, ``(nodes, 4)`` as it."""
    words = tree[tree[:, 3] == 0][:, 0].tolist()
    n, out = len(words), torch.full_like(tree, -1)
    rows = [[word, -1, -1, 0] for word in words]
    rows += [[-1, n + k - 2 if k > 1 else 0, k, k] for k in range(1, n)]
    out[: len(rows)] = torch.tensor(rows)
    return out


class SentenceNet(nn.Module):
    """Word vectors, a recurrent layer, and classes from its last state.

    Args:
        words: Of the vocabulary.
        cell: ``"gru"`` or ``"lstm"``.
        classes: Of a sentence.
        source: Of the first weights.
    """

    def __init__(self, words: int, cell: Any, classes: int, source: torch.Generator):
        super().__init__()
        size = SETTINGS["size"]
        made: Any = RecurrentLM(words, size, 1, cell, generator=source)
        self.embedding, self.layer = made.embedding, made.layer1
        with torch.no_grad():
            self.embedding.weight.mul_(0.1)  # as the recursive networks begin
        self.output = layer(nn.Linear, size, classes, std=size**-0.5, generator=source)

    def forward(self, words: Tensor) -> Tensor:
        """Logits, ``(N, T) -> (N, classes)``; -1 fills shorter sentences up."""
        lengths = (words >= 0).sum(1)
        states, _ = self.layer(self.embedding(words[:, : int(lengths.max())].clamp_min(0)))
        logits: Tensor = self.output(states[torch.arange(len(words)), lengths - 1])
        return logits


def perceptron(units: int, classes: int, source: torch.Generator) -> nn.Sequential:
    """``hidden0``, ..., ``hidden{units}`` of tanh, and ``output``; weights ``N(0, 1 / inputs)``."""

    def linear(n: int, m: int) -> Any:
        return layer(nn.Linear, n, m, std=n**-0.5, generator=source)

    parts = OrderedDict[str, nn.Module](flatten=nn.Flatten())
    for i, n in enumerate([784] + [WIDE] * units):
        parts[f"hidden{i}"] = nn.Sequential(linear(n, WIDE), nn.Tanh())
    parts["output"] = linear(WIDE, classes)
    return nn.Sequential(parts)


def of_digits(bench: Bench, seed: int, units: int, classes: int) -> Made:
    """A perceptron of so many units of depth; share of right test digits."""
    train, test = ((x.inputs, x.labels % classes) for x in bench.digits if x.labels is not None)
    net = perceptron(units, classes, generator(seed, 1))
    fresh = copy.deepcopy(net)
    method = Supervised(net, torch.optim.Adam(net.parameters(), 1e-3))
    fit(method, train, epochs=PASSES, batch=100, generator=generator(seed, 2))
    with torch.no_grad():
        right = (net(test[0]).argmax(1) == test[1]).double().mean()
    return net, fresh, float(right)


def of_characters(bench: Bench, seed: int, cell: Any) -> Made:
    """A language model as ``language_models.py`` trains it; nats a test character."""
    task, texts = language_models.TASKS["characters"], bench.characters
    model, _ = language_models.trained(task, language_models.Net(cell), texts["train"], seed)
    kinds, source = len(texts["train"].kinds), generator(seed, 1)
    fresh = RecurrentLM(kinds, task.hidden, 1, cell, generator=source)
    nats, _ = language_models.figure(language_models.of_net(model, texts["test"]))
    return model, fresh, nats


def of_trees(bench: Bench, seed: int, kind: Any, classes: int, form: str) -> Made:
    """A recursive network; share of right sentences."""
    train, dev, test = (in_form(bench.trees[n], form, classes) for n in ("train", "dev", "test"))
    epochs = SETTINGS["epochs"] if form == "all" else ROOT_PASSES
    net: RecursiveNet = trained(kind, seed, train, dev, classes, int(epochs))
    right = accuracies(probabilities(net, test.nodes), test.nodes, test.labels)["root"].value
    return net, first(kind, seed, len(train.words), classes), right


def of_sentences(bench: Bench, seed: int, cell: Any, classes: int) -> Made:
    """A recurrent network that reads words in order; share of right sentences."""
    parts = [rooted(in_form(bench.trees[n], "root", classes)) for n in ("train", "dev", "test")]
    net = SentenceNet(len(bench.trees["train"].words), cell, classes, generator(seed, 1))
    fresh = copy.deepcopy(net)

    @torch.no_grad()
    def right(part: tuple[Tensor, Tensor]) -> float:
        return float((net(part[0]).argmax(1) == part[1]).double().mean())

    method = Chosen(Supervised(net, adagrad(net), F.cross_entropy), lambda: right(parts[1]))
    batch = int(SETTINGS["batch"])
    fit(method, parts[0], epochs=ROOT_PASSES, batch=batch, generator=generator(seed, 2))
    method.take()
    return net, fresh, right(parts[2])


def rooted(trees: Trees) -> tuple[Tensor, Tensor]:
    """Words of each sentence in order, filled up with -1, and its class; those that have one."""
    known = trees.root_labels >= 0
    rows = [tree[tree[:, 3] == 0][:, 0] for tree in trees.nodes[known]]
    words = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1)
    return words, trees.root_labels[known]


def of_stories(bench: Bench, seed: int) -> Made:
    """The Llama of 260,032 weights, and one drawn anew."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return stories(bench.root)[0], Stories().eval(), None


def told(bench: Bench, net: nn.Module, n: int) -> tuple[View, list[Tensor], list[str]]:
    """The Llama read at the last token, stories of the trained one, its blocks."""
    written = stories(bench.root)[0].write(n, TOKENS)
    blocks = [f"layers.{i}" for i in range(LAYERS)]
    return View(net.double(), positions="last"), list(written.split(1)), blocks


def of_stored(bench: Bench, seed: int, name: str) -> Made:
    """A recurrent net of others with its sequences, and one drawn anew."""
    read = recurrent_depth.words if name.startswith("g2p") else recurrent_depth.sentences
    own, inputs = read(bench.root)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        fresh = type(own)(own.input_size, own.hidden_size, own.num_layers)
    return (own, inputs), (fresh, inputs), None
