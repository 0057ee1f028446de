"""Pentomino: what labels of the parts ("hints") change in a network that cannot learn without.

Gulcehre & Bengio (arXiv 1301.4083) report that learners without hints stay at chance and that the
task is solved with hints (abstract); their table of errors could not be read. A reference, computed
independently at 20,000 pictures with the network and settings below, has: patches 1.000 right; with
hints .49 of the test pictures after 5 epochs, .55 after 10, .990 after 20, a sudden transition;
answers standardised first, .989 after 5; without hints .49 to .51 for 20 epochs.

20,000 pictures to train on, 5,000 to test on (``data.pentominoes``). Lower network 64-256-11 on
patches, as many with a sprite as empty ones, 12 epochs; upper network 704-1024-1 on its softmax, 20
epochs; ReLU, Adam at 0.001, batches of 128, first weights as torch draws them. Without hints both
at once. Three seeds with hints, two standardised and two without; each seed has pictures of its
own.

Changed after its first run: with 2 epochs the lower network had .993 of the patches right (five in
six of those with a sprite), and the upper one .683 of the pictures after 20 epochs; the reference
has 1.000 of the patches. That run is kept as "coarse hints".

Read before, within and after: the Fisher matrix of the upper network at 256 training pictures (all
eigenvalues but zeros), and the Jacobian from pixels to the patches' answers, to the upper hidden
units and to the output at 4 test pictures (all singular values; first 25, of which most with right
hints had not converged, so that all rows were made anew).

    python reproductions/pentomino.py    goes on where it was stopped

Without hints the lower network is computed once for all empty patches of a batch, which gives the
same gradients to rounding and takes as long as with hints.

One thread; estimate made before, of one epoch timed: with hints 2 s, so 45 s of 20 epochs, five
times; without hints as much, twice; patches 20 s, three times; readings 3 s each: 8 CPU minutes.
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import nakami
from nakami import data
from nakami.data import Pentominoes
from nakami.training import Supervised, fit
from nakami.zoo import pentomino

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from _shared import made_in  # noqa: E402
from _wide import Kept, digits, generator, mean_error, table  # noqa: E402

NAME = "pentomino"
PICTURES, TESTED, EPOCHS, BATCH, RATE = 20_000, 5_000, 20, 128, 1e-3
FISHER, READ, TIMES = 256, 4, (0, 10, 20)
SHOWN = (1, 5, 10, 15, 20)
FINE, COARSE = 12, 2  # epochs of the lower network
ORDER = (
    *(("coarse", 0), ("hints", 0), ("none", 0), ("hints", 1), ("standardised", 1)),
    *(("none", 1), ("hints", 2), ("standardised", 2)),
)
WORDS = {
    "coarse": "coarse hints",
    "hints": "hints",
    "standardised": "hints, answers standardised",
    "none": "no hints, both at once",
}
STAGES = {"flatten": "patches' answers", "units": "hidden units", "output": "output"}
SETTINGS = {"pictures": PICTURES, "tested": TESTED, "epochs": EPOCHS, "batch": BATCH, "rate": RATE}


def main() -> None:
    """Train what is missing, then write the page."""
    torch.set_num_threads(1)
    kept = Kept(HERE / "results" / f"{NAME}.json", SETTINGS)
    for kind, seed in ORDER:
        if not kept.missing([f"{kind} {seed}"]):
            continue
        began = time.process_time()
        train, test = pictures(seed)
        lower, right = None, None
        if kind != "none":
            lower, right = patches(seed, COARSE if kind == "coarse" else FINE)
        found = judged(kind, lower, train, test, seed)
        cpu = digits(time.process_time() - began, 3)
        kept.add(f"{kind} {seed}", {**found, "patches": right, "cpu": cpu})
        print(kind, seed, found["test"], cpu, flush=True)
        (HERE / "results" / f"{NAME}.md").write_text("\n".join(report(kept)), encoding="utf-8")


def pictures(seed: int) -> tuple[Pentominoes, Pentominoes]:
    """To train and to test on."""
    train, test = (data.pentominoes(n, seed=2 * seed + i) for i, n in enumerate((PICTURES, TESTED)))
    return train, test


def network(seed: int) -> nn.Sequential:
    """The whole network with first weights."""
    source = generator(seed, 1)
    net = pentomino.make(generator=source)
    for layer in (net.patch_hidden, net.patch_logits, net.hidden, net.output):
        bound = layer.weight[0].numel() ** -0.5
        with torch.no_grad():
            layer.weight.uniform_(-bound, bound, generator=source)
            layer.bias.uniform_(-bound, bound, generator=source)
    return net


@cache
def patches(seed: int, epochs: int) -> tuple[dict[str, Tensor], float]:
    """Weights of the lower network that learned patches; the share of test patches it has right."""
    (train, test), net, source = pictures(seed), network(seed), generator(seed, 2)
    x, labels = train.cut().flatten(0, 1), train.patches.flatten()
    there = labels.nonzero()[:, 0]
    empty = (labels == 0).nonzero()[:, 0]
    rows = torch.cat([there, empty[torch.randperm(len(empty), generator=source)[: len(there)]]])
    lower = nn.Sequential(pentomino.patches(net), nn.Flatten())
    method = Supervised(lower, torch.optim.Adam(lower.parameters(), RATE))
    fit(method, (x[rows], labels[rows]), epochs=epochs, batch=BATCH, generator=source)
    found = said(pentomino.patches(net), test.pictures).flatten(1) == test.patches
    return pentomino.patches(net).state_dict(), digits(float(found.double().mean()), 6)


@torch.no_grad()
def said(net: nn.Module, x: Tensor) -> Tensor:
    """The largest output of each picture (and place)."""
    return torch.cat([net(part).argmax(1) for part in x.split(500)])


class Sparse(nn.Module):
    """The whole network on patches with sprites; empty ones, all alike, are computed once."""

    def __init__(self, net: nn.Sequential):
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        """``(N, 3, 65) -> (N, 2)``: 64 pixels of each sprite's patch, and which patch it is."""
        cells, where = x[..., :64].reshape(-1, 1, 8, 8), x[..., 64].long()
        given = torch.cat([cells, cells.new_zeros(1, 1, 8, 8)])
        told = pentomino.patches(self.net)(given).flatten(1).softmax(1)
        of_sprites = told[:-1].unflatten(0, (-1, 3)).transpose(1, 2)  # (N, 11, 3)
        whole = told[-1][None, :, None].expand(len(x), 11, 64)
        whole = whole.scatter(2, where[:, None].expand(-1, 11, -1), of_sprites)
        out: Tensor = pentomino.picture(self.net)(whole.flatten(1))
        return out


def sparse(made: Pentominoes) -> Tensor:
    """Pictures as ``Sparse`` takes them, ``(N, 3, 65)``."""
    where = made.patches.ne(0).nonzero()[:, 1].reshape(-1, 3)
    cells = made.cut().flatten(2).gather(1, where[..., None].expand(-1, -1, 64))
    return torch.cat([cells, where[..., None].float()], 2)


def judged(
    kind: str,
    lower: Mapping[str, Tensor] | None,
    train: Pentominoes,
    test: Pentominoes,
    seed: int,
) -> dict[str, Any]:
    """Shares right by epoch, and what is read at some of them."""
    net = network(seed)
    if lower is None:
        learns: nn.Module = Sparse(net)
        inputs = tuple(sparse(part) for part in (train, test))
    else:
        pentomino.patches(net).load_state_dict(lower)
        answers = pentomino.answers(net)
        with torch.no_grad():
            inputs = tuple(
                torch.cat([answers(p) for p in part.pictures.split(500)]) for part in (train, test)
            )
        if kind == "standardised":
            net.standardise.fit(inputs[0])
        learns = pentomino.picture(net)
    curves: dict[str, list[float]] = {"train": [], "test": []}
    states = {0: copy.deepcopy(net.state_dict())}

    def after(epoch: int, loss: float) -> None:
        for part, x, y in zip(curves, inputs, (train.targets, test.targets), strict=True):
            right = said(learns, x[: len(test)]) == y[: len(test)]
            curves[part].append(digits(float(right.double().mean())))
        if epoch in TIMES:
            states[epoch] = copy.deepcopy(net.state_dict())

    method = Supervised(learns, torch.optim.Adam(learns.parameters(), RATE))
    fit(method, (inputs[0], train.targets), epochs=EPOCHS, batch=BATCH,
        generator=generator(seed, 3), after_epoch=after)  # fmt: skip
    return {
        **curves,
        "read": {str(t): read(net, state, train, test) for t, state in states.items()},
    }


def read(
    net: nn.Sequential, state: Mapping[str, Tensor], train: Pentominoes, test: Pentominoes
) -> dict[str, Any]:
    """Fisher matrix of the upper network and Jacobians of the whole one, with these weights."""
    net.load_state_dict(state)
    x, y = train.pictures[:FISHER], train.targets[:FISHER]
    with torch.no_grad():
        x = pentomino.answers(net)(x)
    fisher = nakami.fisher(pentomino.picture(net), (x, y), "cross_entropy")
    values = torch.linalg.eigvalsh(fisher.kernel.dense().double()).clamp_min(0)
    found: dict[str, Any] = {"fisher": spread(values)}
    run = nakami.xray(net, test.pictures[:READ], tuple(STAGES))
    found["converged"] = [sum(s.converged for s in run.spectra), len(run.spectra)]
    for stage in STAGES:
        each = [torch.as_tensor(s.values) for s in run.spectra if s.stage == stage]
        found[stage] = {key: digits(sum(spread(v)[key] for v in each) / len(each))
                        for key in ("largest", "rank")}  # fmt: skip
    return found


def spread(values: Tensor) -> dict[str, float]:
    """Largest value, sum, and participation ratio ``(sum v)^2 / sum v^2``."""
    total = float(values.sum())
    ratio = total**2 / float(values.square().sum()) if total > 0 else 0.0
    return {"largest": digits(float(values.max())), "sum": digits(total), "rank": digits(ratio)}


def report(kept: Kept) -> Iterator[str]:
    """The page."""
    there = {
        kind: [r for k, s in ORDER if k == kind for r in [kept.records.get(f"{k} {s}")] if r]
        for kind in WORDS
    }
    yield "# Pentomino: what labels of the parts change"
    yield ""
    yield "Made by `reproductions/pentomino.py`, whose docstring has the settings."
    yield ""
    yield "Share of 5,000 test pictures right after so many epochs, mean ± standard error over"
    yield "seeds (first epoch above 0.9 of each seed):"
    yield ""
    rows = []
    for kind, found in there.items():
        cells = [cell([r["test"][t - 1] for r in found]) for t in SHOWN] if found else []
        cells += [cell([r["train"][-1] for r in found])] if found else []
        cells += [", ".join(first(r["test"]) for r in found)]
        cells += [", ".join(f"{r['patches']:.5f}" for r in found) if kind != "none" else ""]
        rows += [[WORDS[kind], str(len(found)), *cells]] if found else []
    head = ["network", "seeds", *map(str, SHOWN), f"{EPOCHS}, train", "above 0.9", "patches right"]
    yield from table(head, rows)
    yield ""
    yield from readings(there)
    yield made_in(sum(r["cpu"] for r in kept.records.values()))
    yield ""


def readings(there: Mapping[str, Sequence[Mapping[str, Any]]]) -> Iterator[str]:
    """Tables of the Fisher matrices and the Jacobians."""
    shown = [(kind, t, [r["read"][str(t)] for r in records])
             for kind, records in there.items() if records for t in TIMES]  # fmt: skip

    def rows(keys: Sequence[tuple[str, str]]) -> list[list[str]]:
        return [
            [WORDS[kind], str(t), *(cell([f[part][key] for f in found]) for part, key in keys)]
            for kind, t, found in shown
        ]

    yield "Fisher matrix of the upper network at 256 training pictures: largest eigenvalue, trace,"
    yield "and participation ratio (sum λ)² / sum λ², the number of directions that carry it:"
    yield ""
    keys = [("fisher", key) for key in ("largest", "sum", "rank")]
    yield from table(["network", "epoch", "largest", "trace", "ratio"], rows(keys))
    yield ""
    counts = [f["converged"] for _, _, found in shown for f in found]
    good, every = (sum(count[i] for count in counts) for i in (0, 1))
    yield "Jacobian from the pixels, mean of 4 test pictures: largest singular value, participation"
    yield "ratio (sum s)² / sum s² of all (of values, where the effective rank has their squares)."
    yield f"{good} of {every} spectra are known to 1e-4:"
    yield ""
    head = [f"{word}, {key}" for word in STAGES.values() for key in ("largest", "ratio")]
    keys = [(stage, key) for stage in STAGES for key in ("largest", "rank")]
    yield from table(["network", "epoch", *head], rows(keys))
    yield ""


def cell(values: Sequence[float], places: int = 3) -> str:
    """Mean and standard error."""
    mean, error = mean_error(values)
    return f"{mean:.{places}g} ± {error:.2g}" if len(values) > 1 else f"{mean:.{places}g}"


def first(curve: Sequence[float]) -> str:
    """The first epoch above 0.9."""
    return next((str(i) for i, right in enumerate(curve, 1) if right > 0.9), "none")


if __name__ == "__main__":
    main()
