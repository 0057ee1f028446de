"""What a few gradients say of "nothing is to be gained", on the twelve cases and development tasks.

    python benchmarks/knobs/dependence.py

No advice is computed. On each batch two gradients at the initial weights: ``g`` of the loss, and
``d`` of the loss less its mean over targets that are handed round within the batch. Targets that
do not depend on the inputs, dead ReLUs and inputs that are all alike leave ``d`` without a mean,
though the loss falls to that of the best constant; at trained weights ``g`` has none. With
``K[i, j] = a_i . a_j``, each component of a divided by its root mean square over the batches,

    T = sum_{i<j} K[i, j] / sqrt(sum_{i<j} K[i, j]^2),

about standard normal where the mean is 0, and at most ``sqrt(n (n - 1) / 2)``. ``T`` is of ``d``,
and of ``g`` where the loss at the start is below 0.98 of the best constant predictor's: a gradient
a batch. A gradient that is 1e-5 of ``g`` is rounding and counts as 0. Groups of batches are told
apart; printed is ``T`` of each, and how often a group is doubted at several thresholds.
"""

from __future__ import annotations

import argparse
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.knobs.sweep import RUN
from benchmarks.knobs.tasks import Task
from benchmarks.knobs.unknown import BELOW, DEVELOPMENT, lacking
from benchmarks.knobs.unknown_cases import CASES, made
from benchmarks.lr.advice import table

GROUPS, SIZES, THRESHOLDS = 4, (3, 4, 5, 8), (1.3, 1.5, 1.7, 2.0)
ROUNDING = 1e-5  # of the gradient's norm


def gradients(which: Task, seed: int, count: int) -> tuple[Tensor, Tensor, float]:
    """``g`` and ``d`` of so many batches, ``(count, parameters)``, and their mean loss."""
    model, loss = which.model(seed), which.loss()
    own = list(model.parameters())
    rows: list[list[Tensor]] = [[], []]
    values = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(RUN["dropout_seed"] + seed)
        for x, y in islice(which.batches(seed, "advice"), count):
            z = model(x)
            value = loss(z, y)
            others = torch.stack([loss(z, y.roll(by, 0)) for by in range(1, len(y))]).mean()
            values.append(float(value.detach()))
            for row, scalar in zip(rows, (value, value - others), strict=True):
                found = torch.autograd.grad(
                    scalar, own, retain_graph=True, allow_unused=True, materialize_grads=True
                )
                row.append(torch.cat([part.flatten() for part in found]))
    return torch.stack(rows[0]), torch.stack(rows[1]), float(np.mean(values))


def alignment(a: Tensor) -> float:
    """``T`` of gradients ``(n, parameters)``; 0 where they are 0."""
    size = a.double().square().mean(0).sqrt()
    scaled = torch.where(size > 0, a.double() / size, 0.0)
    pairs = (scaled @ scaled.T)[*torch.triu_indices(len(a), len(a), 1)]
    return float(pairs.sum() / pairs.norm()) if bool(pairs.any()) else 0.0


def read(which: Task, seed: int, size: int, groups: int) -> list[float]:
    """``T`` of each group of batches."""
    g, d, start = gradients(which, seed, size * groups)
    if start < BELOW * which.constant:
        d = g
    d = torch.where(d.norm(dim=1, keepdim=True) > ROUNDING * g.norm(dim=1, keepdim=True), d, 0.0)
    return [alignment(part) for part in d.split(size)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--batches", nargs="+", type=int, default=SIZES, help="of a group")
    said = parser.parse_args()
    torch.set_num_threads(1)
    for size in said.batches:
        rows, known, unknown = [], list[float](), list[float]()
        for case in (*CASES, *DEVELOPMENT):
            if words := lacking(case):
                print(f"{case}: left out, {words}", flush=True)
                continue
            found = [t for seed in RUN["seeds"] for t in read(made(case), seed, size, GROUPS)]
            (unknown if case in CASES else known).extend(found)
            rows.append([case, " ".join(f"{t:.1f}" for t in found)])
        print(f"{size} batches\n\n{table(['case', 'T of each seed and group'], rows)}")
        counts = [
            [str(limit), *(f"{np.mean(np.array(of) < limit):.1%}" for of in (unknown, known))]
            for limit in THRESHOLDS
        ]
        print(table(["T below", "cases doubted (right)", "tasks doubted (wrong)"], counts))


if __name__ == "__main__":
    main()
