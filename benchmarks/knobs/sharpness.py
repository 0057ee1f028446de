"""Critical sharpness beside the largest eigenvalue, on the development tasks.

    python benchmarks/knobs/sharpness.py

For plain descent on one batch, at the initial weights and after 100 steps of AdamW at the best
constant rate of the grid: ``2 / r`` with ``r`` the rate at which the loss along the gradient first
rises, over ``lambda_max`` of the Gauss-Newton matrix of the same batch. On a quadratic loss it
would be at most 1. Two seeds each; the geometric mean, lowest and highest are printed.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.knobs.calibrate import DEVELOPMENT
from benchmarks.knobs.sweep import Case, rate
from benchmarks.knobs.tasks import RUN, missing, optimizer, task

STEPS = 100


def ratio(model: nn.Module, batch: Any, loss: nn.Module) -> float:
    """``lambda_c / lambda_max`` of one batch."""
    import nakami
    from nakami.geometry import LimitOptions

    normalised = any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules())
    view = nakami.View(model, batch_statistics=normalised)
    critical = nakami.critical_sharpness(view, batch, loss, "sgd", tol=0.02)
    largest = nakami.rate_limit(view, batch, loss, "sgd", options=LimitOptions(tol=1e-2))
    return critical.value / largest.lambda_max


def main() -> None:
    lacking = [words for each in DEVELOPMENT if (words := missing(each))]
    if lacking:
        sys.exit("; ".join(dict.fromkeys(lacking)))
    torch.set_num_threads(1)
    print("| task | at the start | after 100 steps |\n| --- | --- | --- |")
    every: list[list[float]] = [[], []]
    for name in DEVELOPMENT:
        of, place = task(name), Case(name, "adamw").best("1500")
        found: list[list[float]] = [[], []]
        for seed in RUN["seeds"]:
            model, loss = of.model(seed), of.loss()
            batches = list(itertools.islice(of.batches(seed, "advice"), STEPS + 1))
            found[0].append(ratio(model, batches[-1], loss))
            steps = optimizer("adamw", model, rate(place or 0))
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(RUN["dropout_seed"])
                for x, y in batches[:-1]:
                    steps.zero_grad()
                    loss(model(x), y).backward()
                    steps.step()
            found[1].append(ratio(model, batches[-1], loss))
        cells = [" and ".join(f"{value:.2g}" for value in each) for each in found]
        print(f"| {name} | {cells[0]} | {cells[1]} |", flush=True)
        for all_of, these in zip(every, found, strict=True):
            all_of += these
    means = [f"{np.exp(np.mean(np.log(r))):.2f} ({min(r):.2g} to {max(r):.2g})" for r in every]
    print(f"| geometric mean | {means[0]} | {means[1]} |")


if __name__ == "__main__":
    main()
