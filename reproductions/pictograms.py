"""Names of pictograms by a network trained on photographs and a language model, joined.

The lists of PyPI and npm were searched for the word caption for a package with captioned
photographs; none was found. Nearest are 1,636 pictograms with their Unicode names ("WOMAN TEACHER",
"CROSSED SWORDS"), Noto's, in the npm package emoji-datasource-google 16.0.0 (MIT), flags left out.
They are drawings with names, not photographs with sentences, and a quarter of all words stands in
one name alone, so few test names can be written in full; what is asked is whether the picture tells
anything of the name, and whether fine-tuning across the joint tells more.

EfficientNet-lite0 of ImageNet (``$NAKAMI_DATA/imagenet-weights``) reads the pictures at 128 pixels
on white, statistics of its normalisation as they are; a GRU of 64 units learns the training names
alone, at most 40 epochs (words seen once are unknown). 300 names are tested on, 100 tell which
epoch is taken, by perplexity, the rest is learned; another division for each of three seeds. Ways:
the projection with both held (at most 40 epochs); the same with training pictures dealt to names at
random; from the first one 20 epochs with the language model learning too; then 5 with the last
five blocks of the trunk too (what lies below is held). Adam at 0.001, for the trunk at 0.0001.

Measured on the test names: perplexity (an unknown word is one word), with pictures dealt to others;
where the right name stands by ``log p(name | picture) - log p(name)`` among the test names without
an unknown word, equal values half before: the share that is first, among the first ten, and the
median place, half of the names by chance. Unknown words are not written. With the first seed an
x-ray at one test picture, from the picture to features, projection and words.

Expected before: dealt pictures at chance; held well above it; fine-tuned above held in ranks.

    npm pack emoji-datasource-google@16.0.0 && tar xzf emoji-datasource-google-16.0.0.tgz
    python reproductions/pictograms.py package      goes on where it was stopped

One thread; estimate made before: 120 s a seed and the x-ray, 7 CPU minutes.
"""

from __future__ import annotations

import copy
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import nakami
from nakami.data import Captioned
from nakami.recipes import _captions as figures
from nakami.results import counted
from nakami.training import Method, Supervised, Unsupervised, fit
from nakami.zoo.captioner import Captioner, sentence_log_prob
from nakami.zoo.rnnlm import RecurrentLM

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from _captions_words import means  # noqa: E402
from _pictograms import Chosen, Still, pictograms, trunk  # noqa: E402
from _shared import made_in  # noqa: E402
from _wide import Kept, digits, generator, mean_error, table  # noqa: E402

NAME, SEEDS, TEST, CHOOSE, LOOKED, STEPS = "pictograms", (0, 1, 2), 300, 100, 1, 3
SETTINGS = {"hidden": 64, "rate": 1e-3, "batch": 50, "held": 40, "language": 20, "both": 5}
WAYS = {
    "held": "both held",
    "dealt": "both held, names dealt at random",
    "language": "then the language model",
    "both": "then the last blocks too",
}
UNKNOWN = 1
STAGES = ("projection", *(f"word{i}" for i in range(1, STEPS + 1)))


def learn(method: Method, loss: Callable[[], Tensor], rows: Any, epochs: int, seed: int) -> None:
    """Train, and leave the weights of the best epoch."""
    chosen = Chosen(method, loss)
    fit(chosen, rows, epochs=epochs, batch=SETTINGS["batch"], generator=generator(seed, epochs))
    chosen.look()
    method.module.load_state_dict(chosen.weights)


def main() -> None:
    """Train what is missing, then write the table."""
    if len(sys.argv) != 2 or not (Path(sys.argv[1]) / "emoji.json").is_file():
        sys.exit("give the folder of the npm package emoji-datasource-google 16.0.0, see DATA.md.")
    torch.set_num_threads(1)
    kept = Kept(HERE / "results" / f"{NAME}.json", SETTINGS)
    if any(kept.missing([f"{s} {way}" for s in SEEDS for way in ("alone", *WAYS)])):
        began = time.process_time()
        pairs = pictograms(Path(sys.argv[1]))
        low, high = trunk()
        with torch.no_grad():
            below = replace(pairs, inputs=torch.cat([low(x) for x in pairs.inputs.split(50)]))
        print(f"{len(pairs)} pictograms, {time.process_time() - began:.0f} CPU s", flush=True)
        for seed in SEEDS:
            if kept.missing([f"{seed} {way}" for way in ("alone", *WAYS)]):
                for name, record in measured(pairs, below, (low, high), seed):
                    kept.add(f"{seed} {name}", record)
                    print(seed, name, record, flush=True)
    (HERE / "results" / f"{NAME}.md").write_text("\n".join(report(kept)), encoding="utf-8")


def measured(
    pairs: Captioned, below: Captioned, parts: tuple[nn.Sequential, nn.Sequential], seed: int
) -> Iterator[tuple[str, dict[str, Any]]]:
    """What is measured of each way, by name."""
    began, order = time.process_time(), torch.randperm(len(pairs), generator=generator(seed, 1))
    train = below[order[TEST + CHOOSE :]].numbered(least=2)
    choose, test = (below[rows].numbered(train.words)
                    for rows in (order[TEST : TEST + CHOOSE], order[:TEST]))  # fmt: skip
    language = RecurrentLM(len(train.words), SETTINGS["hidden"], generator=generator(seed, 2))
    adam = torch.optim.Adam(language.parameters(), SETTINGS["rate"])
    method = Unsupervised(language, adam, lambda x: -sentence_log_prob(language, x).sum(1))
    asked = figures.sentences(choose)
    rows = (figures.sentences(train),)
    learn(method, lambda: -sentence_log_prob(language, asked).sum(), rows, SETTINGS["held"], seed)
    alone = figures.nats(language, test, None).sum((1, 2))
    yield "alone", {"perplexity": _perplexity(alone, test),
                    "unknown": digits(100 * float((figures.labels(test) == 1).sum()
                                                  / figures.counts(test).sum()))}  # fmt: skip
    first = Captioner(parts[1], language, 1280, generator=generator(seed, 3))
    for name, net in ways(first, train, choose, seed):
        record = judged(net, test, alone)
        if seed == 0 and name in ("held", "both"):
            shown = pairs[order[:LOOKED]].inputs
            record["directions"] = directions(parts[0], net, shown)
        yield name, record | {"cpu": digits(time.process_time() - began, 3)}
        began = time.process_time()


def ways(
    first: Captioner, train: Captioned, choose: Captioned, seed: int
) -> Iterator[tuple[str, Captioner]]:
    """The captioner after each way of training."""
    words, rate, features = figures.labels(train), SETTINGS["rate"], figures.features
    seen, asked = features(first.trunk, train), features(first.trunk, choose)
    dealt = seen[torch.randperm(len(seen), generator=generator(seed, 4))]
    start = copy.deepcopy(first)
    for name, net, rows in (("held", first, seen), ("dealt", start, dealt)):
        adam = torch.optim.Adam(net.projection.parameters(), rate)
        method = Supervised(net.projection, adam, net.loss)
        learn(method, _loss(net, net.projection, asked, choose), (rows, words), SETTINGS["held"],
              seed)  # fmt: skip
        yield name, net
    net = copy.deepcopy(first)
    head = copy.deepcopy(net)
    head.trunk = nn.Identity()
    adam = torch.optim.Adam([*head.projection.parameters(), *head.language.parameters()], rate)
    learn(Supervised(head, adam, head.loss), _loss(head, head, asked, choose), (seen, words),
          SETTINGS["language"], seed)  # fmt: skip
    net.projection, net.language = head.projection, head.language
    yield "language", net
    net = copy.deepcopy(net)
    net.trunk.requires_grad_(True)
    rest = [*net.projection.parameters(), *net.language.parameters()]
    slow: Any = {"params": [*net.trunk.parameters()], "lr": rate / 10}
    adam = torch.optim.Adam([slow, {"params": rest}], rate)
    learn(Supervised(Still(net), adam, net.loss), _loss(net, net, choose.inputs, choose),
          (train.inputs, words), SETTINGS["both"], seed)  # fmt: skip
    yield "both", net


def _loss(
    net: Captioner, module: nn.Module, inputs: Tensor, pairs: Captioned
) -> Callable[[], Tensor]:
    return lambda: net.loss(module(inputs), figures.labels(pairs))


def _perplexity(total: Tensor, test: Captioned) -> float:
    return digits(figures.perplexity_fact("", total, figures.counts(test))["value"])


@torch.no_grad()
def judged(net: Captioner, test: Captioned, alone: Tensor) -> dict[str, Any]:
    """Perplexities, and where the right name stands."""
    states, words = figures.features(net.eval(), test), figures.sentences(test)
    shuffled = states[figures.others(test)]
    found = {name: _perplexity(figures.nats(net.language, test, begun), test)
             for name, begun in (("perplexity", states), ("shuffled", shuffled))}  # fmt: skip
    known = (words != UNKNOWN).all(1).nonzero()[:, 0]
    names, before, scores = words[known], alone[known], list[Tensor]()
    for state in states[known]:
        odds = sentence_log_prob(net.language, names, state.expand(len(names), -1))
        scores.append(odds.double().sum(1) + before)
    every = torch.stack(scores)
    right = every.diagonal()[:, None]
    ranks = (every > right).sum(1) + ((every == right).sum(1) - 1) / 2 + 1
    writes = copy.deepcopy(net)
    writes.language.output.bias[UNKNOWN] = -1e9  # type: ignore[index, operator]
    return found | {
        "names": len(names),
        "first": digits(100 * float((ranks <= 1).double().mean())),
        "ten": digits(100 * float((ranks <= 10).double().mean())),
        "median": digits(100 * float(ranks.median()) / len(names)),
        "written": [test.spelled(ids) for ids in writes.describe(test.inputs[:8])[0]],
        "given": [captions[0].lower() for captions in test.captions[:8]],
    }


def directions(low: nn.Module, net: Captioner, shown: Tensor) -> dict[str, list[float]]:
    """Mean number of singular values above 1, and the largest, from the picture to each stage."""
    opened = nn.Sequential(OrderedDict([("low", low), *net.along(STEPS).named_children()]))
    run = nakami.xray(opened.eval(), shown, stages=STAGES, k=SETTINGS["hidden"])
    return means(run, STAGES)


def report(kept: Kept) -> Iterator[str]:
    """The page."""
    records = kept.records

    whole = [seed for seed in SEEDS if f"{seed} both" in records]

    def cell(way: str, name: str) -> str:
        mean, error = mean_error([records[f"{seed} {way}"][name] for seed in whole])
        return f"{mean:.1f} ± {error:.1f}" if len(whole) > 1 else f"{mean:.1f}"

    yield "# Names of pictograms, by a network of photographs and a language model, joined"
    yield ""
    doubt = ", means ± the standard error over them" if len(whole) > 1 else ""
    yield f"{TEST} test names, {counted(len(whole), 'division')} of the pictograms{doubt}."
    yield f"Perplexity without pictures {cell('alone', 'perplexity')}; {cell('alone', 'unknown')} %"
    yield "of the words to be foreseen (ends counted) are unknown ones. Ranks: among the test names"
    yield f"of known words, {', '.join(str(records[f'{seed} held']['names']) for seed in whole)}."
    yield ""
    names = ("perplexity", "shuffled", "first", "ten", "median")
    head = [
        "",
        "perplexity",
        "pictures shuffled",
        "right name first, %",
        "among ten, %",
        "median, % of the names",
    ]
    rows = [[text, *(cell(way, name) for name in names)] for way, text in WAYS.items()]
    n = [records[f"{seed} held"]["names"] for seed in whole]
    first = 100 * sum(1 / m for m in n) / len(n)
    chance = ["chance", "", "", f"{first:.1f}", f"{10 * first:.1f}", "50"]
    yield from table(head, [*rows, chance])
    yield ""
    yield "What is written (beam 3) of the first eight test pictures of the first seed:"
    yield ""
    told = [records["0 held"]["given"], *(records[f"0 {way}"]["written"] for way in WAYS)]
    yield from table(["name", *WAYS.values()], list(zip(*told, strict=True)))
    yield ""
    many = counted(LOOKED, "test picture")
    yield f"X-ray at {many} of the first seed, from the picture; directions with a singular value"
    yield "above 1, and the largest value:"
    yield ""
    rows = []
    for way in ("held", "both"):
        both = records[f"0 {way}"]["directions"]
        pairs = zip(both["above 1"], both["largest"], strict=True)
        rows.append([WAYS[way], *(f"{count:g}, {largest:.3g}" for count, largest in pairs)])
    yield from table(["", *STAGES], rows)
    yield ""
    yield made_in(sum(r.get("cpu", 0) for r in records.values()))
    yield ""


if __name__ == "__main__":
    main()
