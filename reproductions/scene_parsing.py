"""A recursive network parses made scenes by greedy merges: are the objects found?

Socher et al. (ICML 2011) merge the segments of photographs; neither those nor their labels are
here. Ours: ``data.scenes`` of two or three coloured shapes (square, circle, triangle, diamond,
cross in six colours) on textures, each box cut into quarters, so that 8 or 12 segments are to be
merged. A segment has ten numbers: mean and deviation of red, green and blue within it, place of its
middle, width and height in shares of the picture.

``zoo.scene_parser`` with 20 values a node, margin loss with 0.05 a wrong merge, Adam at 0.01,
batches of 50, 30 epochs on 1,000 scenes; 500 others to test on; three seeds (first weights and
order). Reported: wrong merges of all, objects that are a node of the tree, scenes without a wrong
merge; the same with first weights, and of greedy merging by the distance between means of
segments (average linkage) in all ten numbers and in place alone. Nothing was tried on the test
scenes.

    python reproductions/scene_parsing.py    goes on where it was stopped

One thread; estimate made before: 60 CPU seconds a training, 3 CPU minutes.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from nakami import data
from nakami.zoo.scene_parser import Parses, SceneParser, _wrong

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from _shared import made_in  # noqa: E402
from _wide import Kept, digits, generator, mean_error, table  # noqa: E402

NAME = "scene_parsing"
KINDS = ("square", "circle", "triangle", "diamond", "cross")
COLOURS = ("red", "green", "blue", "yellow", "magenta", "white")
SETTINGS = {"train": 1000, "test": 500, "size": 20, "kappa": 0.05, "rate": 0.01, "epochs": 30}
SEEDS, BATCH, MOST = (0, 1, 2), 50, 12
MEASURES = {"wrong": "wrong merges", "objects": "objects found", "scenes": "scenes without a wrong"}


def main() -> None:
    """Train what is missing, then write the page."""
    torch.set_num_threads(1)
    kept = Kept(HERE / "results" / f"{NAME}.json", SETTINGS)
    names = [*(f"trained {seed}" for seed in SEEDS), *(f"first weights {seed}" for seed in SEEDS)]
    names += ["all numbers 0", "place 0"]
    test = segments(SETTINGS["test"], seed=1)
    for name in kept.missing(names):
        began = time.process_time()
        kind, seed = name.rsplit(" ", 1)
        found = parsed(kind, int(seed), *test)
        record = {key: 100 * value for key, value in measured(found, test[1]).items()}
        record["cpu"] = time.process_time() - began
        kept.add(name, {key: digits(value, 5) for key, value in record.items()})
        print(name, kept.records[name], flush=True)
    (HERE / "results" / f"{NAME}.md").write_text("\n".join(report(kept)), encoding="utf-8")


def segments(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Numbers of each segment, ``(n, 12, 10)``, and its object, -1 for none."""
    things = data.shapes(600, KINDS, colours=COLOURS, turn=30, seed=seed)
    made = data.scenes(things, n, count=(2, 3), seed=seed)
    features, objects = torch.zeros(n, MOST, 10), torch.full((n, MOST), -1)
    size = made.pictures.shape[2]
    for row in range(n):
        at = 0
        for number, box in enumerate(made.within(row)[0].round().long().tolist()):
            for left, top, right, bottom in quarters(box):
                part = made.pictures[row, :, top:bottom, left:right].flatten(1)
                middle = ((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)
                numbers = [part.mean(1), part.std(1, correction=0), torch.tensor(middle) / size]
                features[row, at], objects[row, at] = torch.cat(numbers), number
                at += 1
        order = torch.randperm(at, generator=generator(seed, row))
        features[row, :at], objects[row, :at] = features[row, order], objects[row, order]
    return features, objects


def quarters(box: list[int]) -> Iterator[tuple[int, int, int, int]]:
    """A box cut in its middle both ways."""
    left, top, right, bottom = box
    x, y = (left + right) // 2, (top + bottom) // 2
    for one, other in ((left, x), (x, right)):
        for high, low in ((top, y), (y, bottom)):
            yield one, high, other, low


def parsed(kind: str, seed: int, features: Tensor, objects: Tensor) -> Parses:
    """Trees of the test scenes."""
    if kind in ("all numbers", "place"):
        return by_distance(features if kind == "all numbers" else features[..., 6:8], objects)
    net = SceneParser(features.shape[2], SETTINGS["size"], generator=generator(seed, 1))
    if kind == "trained":
        train(net, seed)
    with torch.no_grad():
        return net(features, objects)


def train(net: SceneParser, seed: int) -> None:
    """Adam on the margin loss."""
    features, objects = segments(SETTINGS["train"], seed=0)
    adam, order = torch.optim.Adam(net.parameters(), SETTINGS["rate"]), generator(seed, 2)
    for _ in range(SETTINGS["epochs"]):
        for rows in torch.randperm(len(features), generator=order).split(BATCH):
            adam.zero_grad()
            net.margin_loss(features[rows], objects[rows], SETTINGS["kappa"]).backward()
            adam.step()


def by_distance(features: Tensor, objects: Tensor) -> Parses:
    """Greedy merges of the nearest means."""
    nodes = torch.zeros(len(objects), MOST - 1, MOST, dtype=torch.bool)
    for row, labels in enumerate(objects.tolist()):
        groups = [[i] for i, label in enumerate(labels) if label >= 0]
        for merge in range(len(groups) - 1):
            means = torch.stack([features[row, group].mean(0) for group in groups])
            far = torch.cdist(means, means).fill_diagonal_(torch.inf)
            i, j = divmod(int(far.argmin()), len(groups))
            groups[i] = groups[i] + groups.pop(j) if i < j else groups[i] + groups[j]
            if i > j:
                groups.pop(j)
                i -= 1
            nodes[row, merge, groups[i]] = True
    of_object = objects[:, :, None] == torch.arange(MOST)
    return Parses(nodes.new_zeros(nodes.shape[:2]).double(), _wrong(nodes, of_object), nodes)


def measured(found: Parses, objects: Tensor) -> dict[str, float]:
    """Shares of wrong merges, of objects that are a node, of scenes without a wrong merge."""
    hit = [
        bool((found.nodes[row] == (objects[row] == number)).all(1).any())
        for row in range(len(objects))
        for number in range(int(objects[row].max()) + 1)
    ]
    return {
        "wrong": float(found.wrong[found.there].double().mean()),
        "objects": sum(hit) / len(hit),
        "scenes": float((~found.wrong.any(1)).double().mean()),
    }


def report(kept: Kept) -> Iterator[str]:
    """The page."""
    yield "# Scenes parsed by greedy merges"
    yield ""
    yield f"Made by `reproductions/{NAME}.py`, whose docstring has the settings. In %, mean ±"
    yield "standard error over three seeds; 500 scenes to test on."
    yield ""
    rows = []
    for kind in ("trained", "first weights", "all numbers", "place"):
        of = [r for name, r in kept.records.items() if name.rsplit(" ", 1)[0] == kind]
        said = kind if len(of) > 1 else f"by distance, {kind}"
        figures = [mean_error([r[key] for r in of]) for key in MEASURES]
        rows.append([said, *(f"{m:.1f} ± {e:.1f}" if e == e else f"{m:.1f}" for m, e in figures)])
    yield from table(["merges", *MEASURES.values()], rows)
    yield ""
    yield made_in(sum(record["cpu"] for record in kept.records.values()))
    yield ""


if __name__ == "__main__":
    main()
