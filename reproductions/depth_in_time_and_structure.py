"""Depth in layers, in time and in structure: what is kept of a small change after t units.

Nobody has published such a comparison, so there is nothing to agree with. A unit of depth is a
hidden layer (or a block), a step of time, a merge on the way from a word to the root of its tree.
Read are the singular values of the Jacobian from a state to the state t units later, in float64:
how many lie above a tenth of the largest, effective rank, the largest, and the Lyapunov spectrum
of finite depth ``ln s_i / t``; ± is the standard error over inputs. Each network also untrained.

* **Layers**: perceptrons of 100 tanh units, 4 and 8 units of depth from the first hidden layer on,
  10 classes of digits and 2 (even, odd): 20,000 digits of MNIST, 5 epochs of Adam at 0.001,
  batches of 100; 16 test digits. stories260K, a Llama of 5 blocks (32 tokens of its own; states of
  all tokens behind the first block to that of the last token), 16 stories.
* **Time**: models of characters as in ``language_models.py`` (sigmoid, tanh, GRU, LSTM; 128
  units), 16 pieces of the test text behind 50 characters; g2p_en's encoder and textgenrnn as in
  ``recurrent_depth.py``. Networks of 25 units on sentences of the sentiment treebank, word by word,
  with the class of the sentence alone to learn from: GRU, LSTM, and the recursive cell along the
  chain of the words; 8 epochs of AdaGrad as in ``sentiment_trees.py``.
* **Structure**: recursive networks (rnn, mv, rntn; 25 values) as in ``sentiment_trees.py``, five
  classes at all nodes; rnn also of two classes; rnn with the class of the sentence alone, 8 epochs.
  120 test sentences, one random word each: from its vector to its ancestors, up to the root. The
  same words in the networks on chains, from their vectors to the last state.

Perceptrons, GRU and LSTM on sentences and rnn have two seeds; the error over inputs holds no
spread of trainings, so that what differs between seeds is not decided.

Statements, with what decides them, written before the first run:

1. *Trees, whose depth is about the logarithm of the length, keep a word better than time does.*
   ``ln s_1`` from the word to the end, the tree's minus the chain's (same cell, same labels), at
   the same words of sentences of 2-9, 10-19, 20-29 and more words: above 0 by two standard errors.
   Likewise against GRU and LSTM, and for untrained networks.
2. *Training moves the spectrum toward 1 in all three.* At t = 8, or the deepest, both ``|ln s_1| /
   t`` and the mean of ``|ln s_i| / t`` over all values above the floor are lower in the trained
   network by two errors of the difference, paired by input. (Changed after a look at networks in
   time, where the floor cuts off more of the trained ones: the mean is over the values above the
   floor in both.)
3. *The effective rank at the end is set by the task, not by depth.* Differences of its logarithm
   between more classes and two, paired by input, and between shallow and deep: 4 and 8 units of a
   perceptron; the lowest and the highest third of the depths of words. The larger one decides, if
   it is larger by two errors.
4. *What is left of a word at the root falls exponentially with the length of its way*, and so in
   time and layers: the quadratic term of ``ln s_1`` over depth does not differ from 0 by two
   errors; over words for what ends at a root or behind a last word, else the mean over inputs.
5. *Gates lose least for each unit.* ``|ln s_1(8) - ln s_1(1)| / 7``, means over inputs, is lower in
   each gated network than in each ungated one on the same task, by two errors.

    python reproductions/depth_in_time_and_structure.py            all; goes on if stopped
    python reproductions/depth_in_time_and_structure.py structure  one of layers, time, structure

Estimate made before, from one epoch or less of each kind, one thread: layers 4, time 12, structure
9, 25 CPU minutes. The chart cuts ``ln s_1`` below -12. Data: DATA.md.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
import _depths_nets as nets  # noqa: E402
from _depths_readings import Input, at_layers, figures, over_time, to_the_end, up_trees  # noqa: E402
from _depths_report import draw, report  # noqa: E402
from _wide import Kept, digits  # noqa: E402

NAME, INPUTS, BEHIND, AHEAD = "depth_in_time_and_structure", 16, 50, 16
AXES = ("layers", "time", "structure")
SETTINGS = {"inputs": INPUTS, "sentences": nets.SENTENCES, "span": 8}
Read = Callable[[nets.Bench, Any], list[Input]]


@dataclass(frozen=True)
class Unit:
    """A network and how it is read.

    Attributes:
        axis: Where its depth lies.
        make: Trains one with a seed. read: of one network, the spectra at each input.
        figure: What is said of the trained one.
        seeds: How many are trained.
    """

    axis: str
    make: nets.Make
    read: Read
    figure: str
    seeds: int = 1


def main() -> None:
    """Train and read what is missing, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("axes", nargs="*", default=list(AXES))
    asked = parser.parse_args().axes
    torch.set_num_threads(1)
    root = Path(os.environ.get("NAKAMI_DATA", HERE.parent / ".." / "shared" / "data"))
    if not root.is_dir():
        sys.exit(f"no data: {root} is needed; set NAKAMI_DATA to its folder.")
    bench, kept = nets.Bench(root), Kept(HERE / "results" / f"{NAME}.json", SETTINGS)
    for seed in range(2):
        for name, unit in UNITS.items():
            key = f"{name}/{seed}"
            if unit.axis in asked and seed < unit.seeds and kept.missing([key]):
                kept.add(key, measured(bench, unit, seed))
                print(key, f"{kept.records[key]['cpu']:.0f} s", flush=True)
    page = "\n".join(report(kept.records))
    (HERE / "results" / f"{NAME}.md").write_text(page, encoding="utf-8")
    draw(kept.records, HERE / "results" / f"{NAME}.svg")


def measured(bench: nets.Bench, unit: Unit, seed: int) -> dict[str, Any]:
    """The record of one network."""
    began = time.process_time()
    trained, fresh, figure = unit.make(bench, seed)
    spent = time.process_time() - began
    first, second = unit.read(bench, trained), unit.read(bench, fresh)
    found = {"trained": figures(first, second), "untrained": figures(second, first)}
    said = None if figure is None else digits(figure)
    times = {"training": digits(spent, 3), "cpu": digits(time.process_time() - began, 3)}
    return {"axis": unit.axis, "figure": [unit.figure, said], **found, **times}


def of_digits(bench: nets.Bench, net: Any) -> list[Input]:
    """A perceptron at test digits."""
    names = [name for name, _ in net.named_children() if name.startswith("hidden")]
    inputs = bench.digits[1].inputs[:INPUTS].double()
    return at_layers(net.double(), inputs.split(1), names)


def of_stories(bench: nets.Bench, net: Any) -> list[Input]:
    """The Llama at stories that the trained one wrote."""
    return at_layers(*nets.told(bench, net, INPUTS))


def of_characters(bench: nets.Bench, model: Any) -> list[Input]:
    """A model of characters in the midst of the test text."""
    ids = bench.characters["test"].streams(INPUTS).T[:, : BEHIND + AHEAD]
    with torch.no_grad():
        _, state = model.unroll(ids[:, :BEHIND])
        return over_time(model.layer1, model.embedding(ids[:, BEHIND:]), state)


def of_stored(bench: nets.Bench, net: Any) -> list[Input]:
    """A recurrent net of others at its own sequences."""
    layer, inputs = net
    return over_time(layer, inputs[:INPUTS, :AHEAD])


def of_words(bench: nets.Bench, net: Any) -> list[Input]:
    """A recurrent net on sentences, from the chosen word of each to the end."""
    chosen, places = bench.sample
    rows = bench.trees["test"].nodes[chosen]
    with torch.no_grad():
        inputs = [net.embedding(tree[tree[:, 3] == 0][:, 0]) for tree in rows]
    return to_the_end(net.layer, inputs, places)


def of_trees(bench: nets.Bench, net: Any, form: str = "all") -> list[Input]:
    """A recursive network, from the chosen word of each tree to the root."""
    chosen, places = bench.sample
    test = nets.in_form(bench.trees["test"], form, 5)
    return up_trees(net, test.nodes[chosen], places)


RIGHT, NATS = "right digits, share", "nats a character"
SENTENCES = "right sentences of {} classes, share"


def of_digits_units() -> dict[str, Unit]:
    """Perceptrons by depth and classes."""
    return {
        f"perceptron, {units} units, {classes} classes": Unit(
            "layers", partial(nets.of_digits, units=units, classes=classes), of_digits, RIGHT, 2
        )
        for units in (4, 8)
        for classes in (2, 10)
    }


def of_sentence_units() -> dict[str, Unit]:
    """Recurrent networks on sentences, and the recursive cell along chains."""
    found = {
        f"{cell.upper()}, sentences, {classes} classes": Unit(
            "time", partial(nets.of_sentences, cell=cell, classes=classes), of_words,
            SENTENCES.format(classes), 2,
        )
        for cell, classes in (("gru", 2), ("gru", 5), ("lstm", 5))
    }  # fmt: skip
    for form, axis in (("chain", "time"), ("root", "structure")):
        make = partial(nets.of_trees, kind="rnn", classes=5, form=form)
        name = f"rnn along {'chains' if form == 'chain' else 'trees, sentences'}, 5 classes"
        found[name] = Unit(axis, make, partial(of_trees, form=form), SENTENCES.format(5), 2)
    return found


def of_tree_units() -> dict[str, Unit]:
    """Recursive networks with classes at all nodes."""
    return {
        f"{kind} along trees, {classes} classes": Unit(
            "structure", partial(nets.of_trees, kind=kind, classes=classes, form="all"), of_trees,
            SENTENCES.format(classes), seeds,
        )
        for kind, classes, seeds in (("rnn", 2, 2), ("rnn", 5, 2), ("rntn", 5, 1), ("mv", 5, 1))
    }  # fmt: skip


UNITS: dict[str, Unit] = {
    **of_digits_units(),
    "stories260K": Unit("layers", nets.of_stories, of_stories, ""),
    **{
        f"{name}, characters": Unit(
            "time", partial(nets.of_characters, cell=cell), of_characters, NATS
        )
        for name, cell in (
            ("sigmoid", "elman"), ("tanh", "tanh"), ("GRU", "gru"), ("LSTM", "lstm"),
        )
    },
    **{
        name: Unit("time", partial(nets.of_stored, name=name), of_stored, "")
        for name in ("g2p encoder (GRU)", "textgenrnn (LSTMs)")
    },
    **of_sentence_units(),
    **of_tree_units(),
}  # fmt: skip


if __name__ == "__main__":
    main()
