"""Recurrent language models beside n-grams: perplexity, time scales by layer, Lyapunov exponents.

Theirs. T. Mikolov et al. (Interspeech 2010) replace n-grams by a recurrent net with sigmoid units;
perplexity of Penn Treebank's test words in Mikolov's thesis (2012, Table 4.1, as notes on it
quote): 5-gram Kneser-Ney 141.2, one RNNLM 124.7, both mixed 105.7. M. Hermans & B. Schrauwen (NIPS
2013) stack layers of tanh units that are read out at the last (layers added one after another) or
at all of them, and find that time scales grow with the layer; their bits a character were not
found. Nobody has published exponents of such nets.

Ours, nothing chosen on test data:

* **Characters**: Tiny Shakespeare, the first 90 % to train on, then 5 % and 5 %. 128 units a layer,
  32 streams, gradients back to the start of windows of 50 steps, Adam at 0.005 falling linearly
  over 3 epochs, gradients at most 1 long, two seeds. Grown: an epoch with one layer, one with two,
  one with three. Held: ``SpectralConstraint`` with delta 0.2. n-grams of order 4 to 6.
* **Words**: Penn Treebank (Mikolov's split, 10,000 words), 200 units, 20 streams, windows of 20,
  the output factored into classes (``nn.FactoredSoftmax``), once over the text, its three thirds
  by Adam at 0.002 (sigmoid: 0.005), two thirds and one third of that, one seed. n-grams of order 3
  and 5; mixtures of a net and the 5-grams with the weight that is best in validation. (Planned: two
  passes; cut before the run, for time.)
* Rates were chosen in validation after one epoch, of 0.002 and 0.005 (characters: GRU, sigmoid and
  three tanh layers; words: GRU and sigmoid on 300,000 words).
* **n-grams**: interpolated Kneser-Ney of NLTK (``_ngrams.py``), discount and order chosen in
  validation.
* Figures: nats of the test text read in order, the state carried on, in 20 pieces side by side; ±
  the standard error over these. All models are asked for the same places.
* **Time scale**: 200 texts of 150 characters or 100 words out of the test text, of which the one at
  place 50 is replaced by another kind; steps until the difference of a layer's state stays below a
  tenth of its largest.
* **Exponents**: the 8 largest of each layer, driven by 4 pieces of 600 steps of the test text.

    python reproductions/language_models.py              all; goes on where it was stopped
    python reproductions/language_models.py characters   one of characters, words

Estimate before the run, one thread: characters 2 x 8 trainings of 25 to 65 s, 13 minutes; words 4
trainings of 1.5 to 2 minutes, 7 minutes; n-grams 3 minutes; readings 2 minutes. Data: DATA.md.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nakami.data import Text
from nakami.recurrent import SpectralConstraint, lyapunov, margins, time_scales
from nakami.training import TruncatedBPTT, fit
from nakami.zoo.rnnlm import RecurrentLM

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from _language_models_report import PIECES, TEXTS, K, Net, Task, report  # noqa: E402
from _wide import Kept, digits, generator, mean_error  # noqa: E402

NAME, DELTA, PLACE = "language_models", 0.2, 50  # the place that is changed for a time scale
DRIVEN, STEPS = 4, 600  # of exponents
DISCOUNTS, WEIGHTS = (0.6, 0.7, 0.8, 0.9), (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)


SINGLE = {
    "sigmoid": Net("elman"),
    "GRU": Net("gru"),
    "LSTM": Net("lstm"),
    "GRU, held": Net("gru", held=True),
}
DEEP = {
    "tanh": Net("tanh"),
    "3 tanh layers, last": Net("tanh", 3),
    "3 tanh layers, last, grown": Net("tanh", 3, grown=True),
    "3 tanh layers, all": Net("tanh", 3, "all"),
}
WORDS = {
    name: net if net.cell == "elman" else replace(net, rate=2e-3) for name, net in SINGLE.items()
}
TASKS = {
    "characters": Task("characters", {**SINGLE, **DEEP}, 128, 32, 50, 3, 2, (4, 5, 6), 150),
    "words": Task("words", WORDS, 200, 20, 20, 1, 1, (3, 5), 100),
}


def main() -> None:
    """Train and measure what is missing, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="*", default=list(TASKS))
    torch.set_num_threads(1)
    root = Path(os.environ.get("NAKAMI_DATA", HERE.parent / ".." / "shared" / "data"))
    asked = [TASKS[name] for name in parser.parse_args().tasks]
    for seed in range(max(task.seeds for task in asked)):
        for task in asked:
            if seed < task.seeds:
                fill(task, read(root, task.name), seed)
    records = {name: kept(task).records for name, task in TASKS.items()}
    page = "\n".join(report(TASKS, records))
    (HERE / "results" / f"{NAME}.md").write_text(page, encoding="utf-8")


def read(root: Path, name: str) -> dict[str, Text]:
    """Texts to train on, to choose by and to test on, of the same kinds."""
    if name == "characters":
        whole = (root / "tinyshakespeare" / "input.txt").read_text("utf-8")
        cuts = [0, len(whole) * 9 // 10, len(whole) * 19 // 20, len(whole)]
        kinds = Text.of(whole).kinds
        parts = [whole[a:b] for a, b in pairwise(cuts)]
        texts = [Text.of(part, kinds=kinds) for part in parts]
    else:
        files = [root / "ptb" / f"ptb.{part}.txt" for part in ("train", "valid", "test")]
        train = Text.read(files[0], "words")
        texts = [train, *(Text.read(f, "words", kinds=train.kinds) for f in files[1:])]
    return dict(zip(("train", "valid", "test"), texts, strict=True))


def kept(task: Task) -> Kept:
    """The file of one task."""
    t = task
    settings = {
        "hidden": t.hidden, "streams": t.streams, "window": t.window, "epochs": t.epochs,
        "rates": sorted({net.rate for net in t.nets.values()}), "delta": DELTA,
    }  # fmt: skip
    return Kept(HERE / "results" / NAME / f"{t.name}.json", settings)


def fill(task: Task, texts: dict[str, Text], seed: int) -> None:
    """Make the records of a seed that are not there yet, and those of the n-grams."""
    file = kept(task)
    orders = [f"{order}-grams" for order in task.orders]
    grams: dict[str, Tensor] = {}  # of the longest, to be mixed with
    names = [f"{name}/{seed}" for name in task.nets]
    if file.missing(orders) or (task.name == "words" and file.missing(names)):
        for order in task.orders:
            record, grams = of_ngrams(texts, order)
            if file.missing([f"{order}-grams"]):
                file.add(f"{order}-grams", record)
                print(task.name, order, record, flush=True)
    for name, net in task.nets.items():
        key = f"{name}/{seed}"
        if file.missing([key]):
            began = time.process_time()
            model, losses = trained(task, net, texts["train"], seed)
            spent = time.process_time() - began
            mixed = grams if task.name == "words" else {}
            record = {"losses": losses, "training": digits(spent, 3)}
            record |= judged(model, texts, mixed) | looked_into(model, task, texts["test"])
            file.add(key, {**record, "cpu": digits(time.process_time() - began, 3)})
            print(task.name, key, file.records[key], flush=True)


def trained(task: Task, net: Net, text: Text, seed: int) -> tuple[RecurrentLM, list[float]]:
    """A model, and its loss by epoch."""
    counts = text.counts if task.name == "words" else None
    source, layers = generator(seed, 1), 1 if net.grown else net.layers
    options: Any = {"counts": counts, "generator": source}
    cell: Any = net.cell
    outputs: Any = net.outputs
    model = RecurrentLM(len(text.kinds), task.hidden, layers, cell, outputs, **options)
    streams, losses = text.streams(task.streams), list[float]()
    once: Any = {"epochs": 1, "batch": task.window}
    while True:
        last = layers == net.layers
        adam = torch.optim.Adam(model.parameters(), net.rate)
        method = TruncatedBPTT(model, adam, most=1.0)
        if net.held:
            SpectralConstraint(model, adam, delta=DELTA)
        parts = _parts(task, net, streams) if last else [streams]
        for i, part in enumerate(parts):
            method.at_rate(1 - i / len(parts))
            losses += [digits(x) for x in fit(method, (part[:-1], part[1:]), **once)]
        if last:
            return model, losses
        model, layers = model.grown(source), layers + 1


def _parts(task: Task, net: Net, streams: Tensor) -> list[Tensor]:
    """What is learned from one after another at rates that fall: the text again, or its thirds."""
    if task.epochs > 1:
        return [streams] * (task.epochs - (net.layers - 1) * net.grown)
    return list(streams.chunk(3))


def judged(model: RecurrentLM, texts: dict[str, Text], grams: dict[str, Tensor]) -> dict[str, Any]:
    """Nats a place of both texts, alone and mixed with n-grams."""
    found = {name: of_net(model, texts[name]) for name in ("valid", "test")}
    record = {name: figure(found[name]) for name in found}
    if grams:
        mixes = {w: figure(_mixed(found["valid"], grams["valid"], w))[0] for w in WEIGHTS}
        best = min(mixes, key=lambda w: mixes[w])
        record["mixed"] = [best, *figure(_mixed(found["test"], grams["test"], best))]
    return record


def _mixed(one: Tensor, other: Tensor, weight: float) -> Tensor:
    return torch.logaddexp(one + math.log(weight), other + math.log(1 - weight))


@torch.no_grad()
def of_net(model: RecurrentLM, text: Text) -> Tensor:
    """Log-probabilities of all places but the first of each piece, ``(pieces, steps)`` float64."""
    pieces, state, found = text.streams(PIECES).T, None, []
    for part in range(0, pieces.shape[1] - 1, 100):
        x = pieces[:, part : part + 101]
        features, state = model.unroll(x[:, :-1], state)
        found.append(model.log_prob(features, x[:, 1:]).double())
    return torch.cat(found, 1)


def of_ngrams(texts: dict[str, Text], order: int) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The record of one order with its best discount, and its log-probabilities by text."""
    from _ngrams import fitted, log_probs

    began = time.process_time()
    words = {name: [text.kinds[i] for i in text.ids.tolist()] for name, text in texts.items()}
    model = fitted(words["train"], order, DISCOUNTS[0])

    def at(discount: float, name: str) -> Tensor:
        model.estimator.discount = discount
        each = len(words[name]) // PIECES
        found = log_probs(model, words[name])
        return found[: each * PIECES].view(PIECES, each)[:, 1:]

    tried = {d: figure(at(d, "valid"))[0] for d in DISCOUNTS}
    best = min(tried, key=lambda d: tried[d])
    found = {name: at(best, name) for name in ("valid", "test")}
    record = {name: figure(values) for name, values in found.items()}
    return {**record, "discount": best, "cpu": digits(time.process_time() - began, 3)}, found


def figure(log_probs: Tensor) -> list[float]:
    """Mean of ``-log p`` over places, nats, and its standard error over pieces."""
    mean, error = mean_error((-log_probs.mean(1)).tolist())
    return [digits(mean, 5), digits(error, 2)]


def looked_into(model: RecurrentLM, task: Task, text: Text) -> dict[str, Any]:
    """Time scales and exponents of each layer, margins of a GRU."""
    starts = torch.linspace(0, len(text) - task.length - 1, TEXTS).long()
    words = text.ids[starts[:, None] + torch.arange(task.length)]
    drawn = torch.randint(1, len(text.kinds), (TEXTS,), generator=generator(2))
    other = words.clone()
    other[:, PLACE] = (other[:, PLACE] + drawn) % len(text.kinds)
    scales = time_scales(model, words, other)
    numbers = zip(scales.mean, scales.standard_error, scales.cut_share, strict=True)
    with torch.no_grad():
        x = model.embedding(text.streams(DRIVEN).T[:, :STEPS])
        every, _ = model.through(text.streams(DRIVEN).T[:, :STEPS])
    exponents = []
    for name, below in zip(model.names, [x, *every], strict=False):
        found = lyapunov(model.get_submodule(name), below, K, start=_start(model))
        values = [
            [digits(v) for v in found.exponents],
            [digits(e, 2) for e in found.standard_errors],
        ]
        exponents.append([*values, found.converged])
    sigma = [digits(m.sigma) for m in margins(model)] if model.cell == "gru" else []
    return {
        "scales": [[digits(value, 3) for value in row] for row in numbers],
        "curves": [[digits(v, 2) for v in row[: task.length - PLACE : 5]] for row in scales.curve],
        "exponents": exponents,
        "sigma": sigma,
    }


def _start(model: RecurrentLM) -> Tensor:
    return model.start(1)[0, : model.state_size // len(model.names)].detach()


if __name__ == "__main__":
    main()
