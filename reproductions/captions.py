"""Captions: two networks trained apart and joined, what the joint erases, and what mends it.

Source 000 (section 5) speaks of networks of pictures and of sentences that are trained apart and
joined; it gives no figures. Ours asks, on made pictures whose sentences have known probabilities
(``data.captioned_shapes``: one to three coloured shapes, three sentences each; 6,000 pictures to
train on, 1,000 to test on, other ones for each of three seeds), by the recipe ``captions``:

* a convolutional network learns which of twelve shapes are there (8 epochs), a GRU of 64 units
  sentences alone (3 epochs); then, from the same weights,
* both held: only the projection between them learns (10 epochs);
* from there, 10 epochs more: the language model too; the network of pictures too; both;
* from nothing: the same networks with first weights, all together, 18 epochs.

Adam from 0.003, falling to 0, 0.3 of it for the network of pictures where it learns with the rest.
Measured on the test pictures: perplexity (ends counted); with pictures dealt to others' captions;
nats of a caption above the rules that made it, at the words of the first shape, at the relation (or
the end in its place), at the words of the second shape; of the sentences written (beam 3) how many
are true, and of those about two shapes in how many the first, the second is there, and in how many
both are called the same; BLEU-4 by nltk against the three sentences of each picture. An x-ray along
the first 16 test pictures of two shapes or more: directions whose singular value is above 1 from
the picture to features, projection, and the state after each word that is written.

Expected before: both held is worse than fine-tuned, most at the second shape, as a language model
that learned alone has no use for remembering it; the language model's own weights matter more for
that than the trunk's; the count of directions falls faster along words where it was held.

    python reproductions/captions.py        goes on where it was stopped

One thread; estimate made before: 200 s a seed, 10 CPU minutes. nltk is in the extra ``language``.
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import nakami
from nakami import data
from nakami.data import Captioned
from nakami.recipes import _captions as figures
from nakami.recipes import captions as recipe
from nakami.training import fit
from nakami.zoo.captioner import Captioner, sentence_log_prob

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from _captions_words import ROLES, by_role, means, told  # noqa: E402
from _shared import made_in  # noqa: E402
from _wide import Kept, digits, generator, mean_error, table  # noqa: E402

NAME, SEEDS, TRAIN, TEST, LOOKED = "captions", (0, 1, 2), 6000, 1000, 16
SETTINGS = recipe.CaptionSettings(trunk_epochs=8, finetune_epochs=10)
WAYS = {
    "held": "both held",
    "language": "then the language model",
    "trunk": "then the network of pictures",
    "both": "then both",
    "nothing": "from nothing, all together",
}
STAGES = ("trunk", "projection", *(f"word{i}" for i in range(1, recipe.STEPS + 1)))


class Fits:
    """Takes the place of a ``Training`` where nothing is kept on disk."""

    def __init__(self, seed: int, epochs: dict[str, int]):
        self.seed, self.epochs = seed, epochs

    def run(
        self, phase: str, method: Any, rows: Callable[[], Sequence[Tensor]], *, batch: int
    ) -> None:
        """The epochs of a phase."""
        source = generator(self.seed, len(phase), 3)
        fit(method, rows(), epochs=self.epochs[phase], batch=batch, generator=source)


def main() -> None:
    """Train what is missing, then write the table."""
    torch.set_num_threads(1)
    kept = Kept(HERE / "results" / f"{NAME}.json", {"train": TRAIN, "test": TEST, **vars(SETTINGS)})
    for seed in SEEDS:
        if not kept.missing([f"{seed} {way}" for way in ("alone", *WAYS)]):
            continue
        began, (train, test) = time.process_time(), pairs(seed)
        for name, model in trained(train, seed):
            record = judged(model, test) if name != "alone" else alone(model, test)
            record["cpu"] = digits(time.process_time() - began, 3)
            kept.add(f"{seed} {name}", record)
            print(seed, name, record, flush=True)
            began = time.process_time()
    (HERE / "results" / f"{NAME}.md").write_text("\n".join(report(kept)), encoding="utf-8")


def pairs(seed: int) -> tuple[Captioned, Captioned]:
    """Pictures with numbered captions, to train and to test on."""
    train, test = (data.captioned_shapes(n, seed=100 + 2 * seed + i)
                   for i, n in enumerate((TRAIN, TEST)))  # fmt: skip
    return figures.numbered(train, test, 1)


def trained(train: Captioned, seed: int) -> Iterator[tuple[str, Captioner]]:
    """The captioner after each way of training, by name; first with the language model alone."""
    s, run = SETTINGS, Fits(seed, dict(recipe.epochs(SETTINGS)))
    net, model = recipe.made(train, s, generator(seed, 1))
    fresh = copy.deepcopy(model)
    recipe.apart(run, net, model.language, train, s)  # type: ignore[arg-type]
    yield "alone", model
    recipe.projected(run, model, train, s)  # type: ignore[arg-type]
    yield "held", model
    for name, held in (("language", "trunk"), ("trunk", "language"), ("both", None)):
        more = copy.deepcopy(model)
        if held is not None:
            more.get_submodule(held).requires_grad_(False)
        recipe.finetuned(run, more, train, s)  # type: ignore[arg-type]
        yield name, more
    longer = replace(s, finetune_epochs=s.trunk_epochs + s.finetune_epochs)
    run = Fits(seed, dict(recipe.epochs(longer)))
    recipe.finetuned(run, fresh, train, longer)  # type: ignore[arg-type]
    yield "nothing", fresh


def alone(model: Captioner, test: Captioned) -> dict[str, Any]:
    """Perplexity without pictures, and of the rules."""
    each, words = figures.nats(model.language, test, None), figures.counts(test)
    rules = figures.least_perplexity(test)["value"]
    return {"perplexity": _perplexity(each, words), "rules": digits(rules)} | by_role(
        sentence_log_prob(model.language, figures.sentences(test)), test
    )


@torch.no_grad()
def judged(model: Captioner, test: Captioned) -> dict[str, Any]:
    """All that is measured of a captioner."""
    model = model.eval()
    states, words = figures.features(model, test), figures.counts(test)
    found: dict[str, Any] = {
        name: _perplexity(figures.nats(model.language, test, begun), words)
        for name, begun in (("perplexity", states), ("shuffled", states[figures.others(test)]))
    }
    rows = states.repeat_interleave(figures.labels(test).shape[1], 0)
    odds = sentence_log_prob(model.language, figures.sentences(test), rows)
    found |= by_role(odds, test)
    found |= told(figures.describe(model, test, SETTINGS.beam), test)
    return found | {"directions": directions(model, test)}


def _perplexity(each: Tensor, words: Tensor) -> float:
    return digits(figures.perplexity_fact("", each, words)["value"])


def directions(model: Captioner, test: Captioned) -> dict[str, list[float]]:
    """Mean number of singular values above 1, and the largest, from the picture to each stage."""
    assert test.layout is not None
    many = ((test.layout >= 0).sum(1) > 1).nonzero()[:LOOKED, 0]
    opened: nn.Module = model.along(recipe.STEPS).eval()
    return means(nakami.xray(opened, test.inputs[many], stages=STAGES), STAGES)


def report(kept: Kept) -> Iterator[str]:
    """The page."""
    records = kept.records
    whole = [seed for seed in SEEDS if f"{seed} nothing" in records]

    def cell(way: str, *path: Any) -> str:
        each = list[float]()
        for seed in whole:
            value: Any = records[f"{seed} {way}"]
            for name in path:
                value = value[name]
            each.append(value)
        mean, error = mean_error(each)
        return f"{mean:.3f} ± {error:.3f}" if mean < 10 else f"{mean:.1f} ± {error:.1f}"

    yield "# Networks of pictures and of sentences, trained apart and joined"
    yield ""
    yield f"Means over {len(whole)} seeds ± the standard error over seeds. Perplexity without"
    yield f"pictures {cell('alone', 'perplexity')}, of the rules that made the captions"
    yield f"{cell('alone', 'rules')}."
    yield ""
    head = ["", "perplexity", "pictures shuffled", *(f"above the rules, {r}" for r in ROLES)]
    rows = [["no pictures", cell("alone", "perplexity"), "", *(cell("alone", r) for r in ROLES)]]
    rows += [[text, *(cell(way, n) for n in ("perplexity", "shuffled", *ROLES))]
             for way, text in WAYS.items()]  # fmt: skip
    yield from table(head, rows)
    yield ""
    yield "Above the rules: nats a caption. Sentences written, %, and BLEU-4 (of 100):"
    yield ""
    names = ("true", "sentences", "about two", "first there", "second there", "both the same",
             "BLEU-4")  # fmt: skip
    rows = [[text, *(cell(way, n) for n in names)] for way, text in WAYS.items()]
    yield from table(["", *names], rows)
    for kind, text in (("above 1", "Directions with a singular value above 1"),
                       ("largest", "The largest singular value")):  # fmt: skip
        yield ""
        yield f"{text}, from the picture, mean of {LOOKED} pictures of two shapes or more:"
        yield ""
        rows = [[text, *(cell(way, "directions", kind, i) for i in range(len(STAGES)))]
                for way, text in WAYS.items()]  # fmt: skip
        yield from table(["", *STAGES], rows)
    yield ""
    yield made_in(sum(r["cpu"] for r in records.values()))
    yield ""


if __name__ == "__main__":
    main()
