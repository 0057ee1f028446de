"""How near a few products come to the sharpness of a network in training, by what they start from.

    python benchmarks/lr/tracking.py        about a CPU minute

Three development tasks at the grid's best rate of SGD, read every 10 and every 40 steps on one held
batch. Each number is the value found over that of 20 products: the mean, and the worst, of all
readings. A start is the vector that the reading before has left.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.lr.tasks import missing, optimizer, task

import nakami
from nakami.spectra import _ritz, ritz

RATES = {"mlp-mnist": 0.464, "cnn-fashion": 0.215, "deep-tanh-mnist": 0.215}
WAYS = {"random": None, "the old vector": 1e9, "both (as ritz)": _ritz.WEIGHT}
PRODUCTS = (2, 3, 4)


def readings(name: str, gap: int, count: int = 4) -> dict[tuple[str, int], list[float]]:
    """Shares of the largest eigenvalue, by way and products."""
    case = task(name)
    model, loss, batches = case.model(0), case.loss(), case.batches(0)
    op = nakami.ggn(model, next(case.batches(0, "advice")), loss)
    steps = optimizer("sgd", model, RATES[name])
    found: dict[tuple[str, int], list[float]] = {}
    start = None
    for step in range(1, (count + 1) * gap + 1):
        x, y = next(batches)
        steps.zero_grad()
        loss(model(x), y).backward()
        steps.step()
        if step % gap:
            continue
        here = op.at_current_weights()
        top = ritz(here, 20, seed=1000 + step)
        for way, weight in WAYS.items() if start is not None else ():
            _ritz.WEIGHT = weight or 1.0
            for products in PRODUCTS:
                guess = None if weight is None else start
                value = ritz(here, products, start=guess, seed=step).value
                found.setdefault((way, products), []).append(value / top.value)
        _ritz.WEIGHT = WAYS["both (as ritz)"]
        start = ritz(here, PRODUCTS[0], start=start, seed=step).vector
    return found


def main() -> None:
    torch.set_num_threads(1)
    every: dict[tuple[str, int], list[float]] = {}
    for name in RATES:
        if lacking := missing(name):
            sys.exit(lacking)
        for gap in (10, 40):
            for key, shares in readings(name, gap).items():
                every.setdefault(key, []).extend(shares)
    n = len(next(iter(every.values())))
    print(f"| start, {n} readings | " + " | ".join(f"{p} products" for p in PRODUCTS) + " |")
    print("| --- | " + " | ".join("---" for _ in PRODUCTS) + " |")
    for way in WAYS:
        cells = [every[way, p] for p in PRODUCTS]
        shown = " | ".join(f"{np.mean(c):.2f}, worst {min(c):.2f}" for c in cells)
        print(f"| {way} | {shown} |")


if __name__ == "__main__":
    main()
