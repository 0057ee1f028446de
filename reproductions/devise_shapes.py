"""Pictures to word vectors: classes that were never shown, told by their words (DeViSE).

Frome et al. (NIPS 2013) report zero-shot hit rates on thousands of ImageNet labels (abstract: up to
18 %); neither the pictures nor their word vectors are here. Ours asks the same of made pictures: 30
classes, five shapes in six colours (``data.shapes``, turned by up to 30 degrees, shifted by up to 3
pixels, noise of 0.3), six of which are never trained on, each shape and colour being there in
others. Words: a random unit vector of 20 numbers for each shape and colour, the class has their
mean (``WordVectors.of``). Control: the same with the class vectors dealt at random, three deals.

Joined with skip-gram (added later, after the rest was measured): the same with word vectors that
``zoo.skipgram`` learned from a text, 4,000 sentences such as "redish red square squarely": a word
that its colour has, a colour, a kind, a word that its kind has, all drawn at random; 20 numbers,
windows of 1 to 2, 5 negatives, 5 passes of Adam at 0.01. Expected: as good as random vectors of
words, since these sentences say no more than which word is which.

First the network ``zoo.cnn`` learns the 24 classes by softmax (5 epochs); then, its features held,
a matrix to word vectors by the hinge rank loss (10 epochs); then both together (5 epochs at a tenth
of the rate). Adam at 0.001, 3,000 pictures to train on, 3,000 to test on, three seeds.

    python reproductions/devise_shapes.py    goes on where it was stopped

One thread; estimate made before: 40 s a training, 12 trainings, 8 CPU minutes; joined 3 more, 2.
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nakami import data
from nakami.recipes._made_pictures import shapes_in_noise
from nakami.training import HingeRank, NegativeSampling, Supervised, fit, hits
from nakami.zoo import cnn
from nakami.zoo.skipgram import SkipGram

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from _shared import made_in  # noqa: E402
from _wide import Kept, digits, generator, mean_error, table  # noqa: E402

NAME = "devise_shapes"
KINDS = ("square", "circle", "triangle", "diamond", "cross")
COLOURS = ("red", "green", "blue", "yellow", "magenta", "white")
CLASSES = [f"{colour} {kind}" for colour in COLOURS for kind in KINDS]
UNSEEN = [0, 6, 12, 18, 24, 25]  # one of each colour, and every shape
SEEN = [c for c in range(len(CLASSES)) if c not in UNSEEN]
PICTURES, SIZE, WIDTH, RATE, SEEDS, DEALS = 3000, 28, 20, 1e-3, (0, 1, 2), 3
LEARNED = "skip-gram"
SETTINGS = {"pictures": PICTURES, "width": WIDTH, "rate": RATE}
MEASURES = {
    "unseen, 1": "unseen among unseen, hit@1",
    "unseen, 2": "hit@2",
    "unseen in all, 1": "unseen among all 30, hit@1",
    "unseen in all, 5": "hit@5",
    "seen, 1": "seen among all 30, hit@1",
    "seen, 5": "hit@5",
}
CHANCE = (1 / 6, 2 / 6, 1 / 30, 5 / 30, 1 / 30, 5 / 30)


def main() -> None:
    """Train what is missing, then write the table."""
    torch.set_num_threads(1)
    kept = Kept(HERE / "results" / f"{NAME}.json", SETTINGS)
    for seed in SEEDS:
        every = [*range(DEALS + 1), LEARNED]
        missing = [deal for deal in every if f"{seed} {deal}" not in kept.records]
        if not missing:
            continue
        train, test, words = pictures(2 * seed), pictures(2 * seed + 1), vectors(seed)
        began = time.process_time()
        trunk, error = by_softmax(*train, *test, seed)
        spent = time.process_time() - began
        for deal in missing:
            began = time.process_time() - (spent if deal == missing[0] else 0)
            if deal == LEARNED:
                dealt = learned_vectors(seed)
            else:
                order = torch.randperm(len(CLASSES), generator=generator(seed, deal))
                dealt = words[order] if deal else words
            record = judged(trunk, train, test, dealt, seed)
            cpu = digits(time.process_time() - began, 3)
            kept.add(f"{seed} {deal}", {**record, "softmax": error, "cpu": cpu})
            print(seed, deal, kept.records[f"{seed} {deal}"], flush=True)
    (HERE / "results" / f"{NAME}.md").write_text("\n".join(report(kept)), encoding="utf-8")


def pictures(seed: int) -> tuple[Tensor, Tensor]:
    """Pictures ``(N, 3, 28, 28)`` and their classes."""
    source = generator(seed, 7)
    return shapes_in_noise(PICTURES, CLASSES, size=SIZE, seed=seed, generator=source)


def vectors(seed: int) -> Tensor:
    """A vector for each class, made of those of its two words."""
    names = (*COLOURS, *KINDS)
    drawn = F.normalize(torch.randn(len(names), WIDTH, generator=generator(seed, 8)), dim=1)
    return data.WordVectors(names, drawn).of(CLASSES)


def learned_vectors(seed: int) -> Tensor:
    """The same of words that skip-gram learned from sentences."""
    source, lines = generator(seed, 13), []
    for _ in range(4000):
        colour, kind, near, far = (
            int(torch.randint(n, (), generator=source)) for n in (len(COLOURS), len(KINDS), 3, 3)
        )
        own = [
            COLOURS[colour] + ("ish", "ly", "est")[near],
            KINDS[kind] + ("ly", "ish", "like")[far],
        ]
        lines.append(f"{own[0]} {COLOURS[colour]} {KINDS[kind]} {own[1]}")
    text = data.Text.of("\n".join(lines), "words")
    end = text.kinds.index("<eos>")
    pairs = data.word_pairs(text.ids, 2, end=end, seed=seed)
    counts = text.counts.clone()
    counts[end] = 0
    net = SkipGram(len(text.kinds), WIDTH, generator=generator(seed, 14))
    method = NegativeSampling(net, torch.optim.Adam(net.parameters(), 0.01), counts)
    fit(method, pairs, epochs=5, batch=500, generator=generator(seed, 15))
    return data.WordVectors(text.kinds, net.word_vectors.detach()).of(CLASSES)


def by_softmax(
    x: Tensor, labels: Tensor, test: Tensor, truth: Tensor, seed: int
) -> tuple[nn.Module, float]:
    """What is below the last layer of a network that learned the seen classes; its test error."""
    place = torch.full((len(CLASSES),), -1)
    place[SEEN] = torch.arange(len(SEEN))
    shown, asked = place[labels] >= 0, place[truth] >= 0
    net = cnn.make((3, SIZE, SIZE), len(SEEN), generator=generator(seed, 9))
    adam = torch.optim.Adam(net.parameters(), RATE)
    source = generator(seed, 10)
    fit(Supervised(net, adam), (x[shown], place[labels[shown]]), epochs=5, generator=source)
    with torch.no_grad():
        wrong = net(test[asked]).argmax(1) != place[truth[asked]]
    return net[:-1], digits(100 * float(wrong.double().mean()))


def judged(
    trunk: nn.Module,
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    words: Tensor,
    seed: int,
) -> dict[str, float]:
    """Hit rates in %, after the matrix and then all has been trained."""
    trunk, (x, labels), (y, truth) = copy.deepcopy(trunk), train, test
    shown = torch.isin(labels, torch.tensor(SEEN))
    with torch.no_grad():
        features = trunk(x[shown])
    matrix = nn.utils.skip_init(nn.Linear, features.shape[1], WIDTH, bias=False)
    with torch.no_grad():
        matrix.weight.normal_(0, features.shape[1] ** -0.5, generator=generator(seed, 11))
    loss, source = HingeRank(words[SEEN]), generator(seed, 12)
    target = torch.searchsorted(torch.tensor(SEEN), labels[shown])
    adam = torch.optim.Adam(matrix.parameters(), RATE)
    fit(Supervised(matrix, adam, loss, loss.name), (features, target), epochs=10, generator=source)
    whole = nn.Sequential(trunk, matrix)
    adam = torch.optim.Adam(whole.parameters(), RATE / 10)
    fit(Supervised(whole, adam, loss, loss.name), (x[shown], target), epochs=5, generator=source)
    with torch.no_grad():
        outputs = torch.cat([whole(part) for part in y.split(500)])
    new = torch.isin(truth, torch.tensor(UNSEEN))

    def rate(some: Tensor, k: int, among: list[int] | None = None) -> float:
        found = hits(outputs[some], truth[some], words, k, among=among)
        return digits(100 * float(found.double().mean()))

    found = {f"unseen, {k}": rate(new, k, UNSEEN) for k in (1, 2)}
    found |= {f"unseen in all, {k}": rate(new, k) for k in (1, 5)}
    return found | {f"seen, {k}": rate(~new, k) for k in (1, 5)}


def report(kept: Kept) -> Iterator[str]:
    """The page."""
    yield "# Pictures to word vectors: classes that were never shown"
    yield ""
    yield "Hit rates in %, means over three seeds (of dealt words over three deals each), ± the"
    yield "standard error over seeds."
    yield ""
    rows = []
    for name, deals in (
        ("words of shape and colour", [0]),
        ("words learned by skip-gram", [LEARNED]),
        ("words dealt", range(1, DEALS + 1)),
    ):
        cells = []
        for key in MEASURES:
            each = [sum(kept.records[f"{s} {d}"][key] for d in deals) / len(deals) for s in SEEDS]
            mean, error = mean_error(each)
            cells.append(f"{mean:.1f} ± {error:.1f}")
        rows.append([name, *cells])
    rows.append(["chance", *(f"{100 * c:.1f}" for c in CHANCE)])
    yield from table(["", *MEASURES.values()], rows)
    yield ""
    errors = [kept.records[f"{s} 0"]["softmax"] for s in SEEDS]
    yield f"The softmax before errs on {', '.join(f'{e:g}' for e in errors)} % of the seen classes."
    yield ""
    yield made_in(sum(r["cpu"] for r in kept.records.values()))
    yield ""


if __name__ == "__main__":
    main()
