"""An epoch of mean-field learning, 784 x 500 x 1,000, over its bare matrix products.

    OMP_NUM_THREADS=1 python benchmarks/dbm_epoch.py

CPU seconds of an epoch on 4,000 binary digits in mini-batches of 100, float32: 10 sweeps of the
mean field, 100 persistent chains of 5 sweeps, plain gradient steps; each method in processes of its
own, in ``ROUNDS`` turns; the median counts. ``floor`` makes the matrix products and random numbers
of that and nothing else. No other library with such a machine was at hand.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import torch
from _side_by_side import apart, cpu_seconds, keep, middle, table

METHODS = ("floor", "nakami", "nakami, training.fit")
SIZES, BATCH, SWEEPS, CHAIN_SWEEPS, ROUNDS = (784, 500, 1000), 100, 10, 5, 3
Work = Callable[[], None]


def digits() -> torch.Tensor:
    """The shipped training digits, pixels drawn once with their grey values as probabilities."""
    from nakami import data

    grey = data.digits("train").inputs.flatten(1)
    return torch.bernoulli(grey, generator=torch.Generator().manual_seed(0))


def floor(v: torch.Tensor) -> Work:
    n, m, top = SIZES
    bottom, upper = torch.randn(m, n) * 0.01, torch.randn(top, m) * 0.01
    joined = torch.cat([bottom, upper.T], 1)
    one, two, even = torch.rand(BATCH, m), torch.rand(BATCH, top), torch.rand(BATCH, n + top)
    drawn = torch.empty(BATCH, n + m + top)
    slopes = torch.zeros_like(bottom), torch.zeros_like(upper)

    def work() -> None:
        g = torch.Generator().manual_seed(0)
        for rows in v.split(BATCH):
            rows @ bottom.T  # the data drive the first layer alike in all sweeps
            one @ upper.T
            for _ in range(SWEEPS):
                two @ upper
                one @ upper.T
            for _ in range(CHAIN_SWEEPS):
                even @ joined.T
                one @ joined
                drawn.uniform_(generator=g)
            even @ joined.T
            twice = torch.cat([one, one])
            slopes[0].addmm_(twice.T, torch.cat([rows, rows]))
            slopes[1].addmm_(torch.cat([two, two]).T, twice)

    return work


def nakami(v: torch.Tensor, how: str) -> Work:
    from nakami import sampling, training
    from nakami.zoo.dbm import DBM

    machine, g = DBM(SIZES), torch.Generator().manual_seed(0)
    optimizer = torch.optim.SGD(machine.parameters(), 0.01)
    chains = sampling.Persistent(BATCH, CHAIN_SWEEPS)
    method = training.MeanFieldLearning(machine, optimizer, sweeps=SWEEPS, sampler=chains)

    def descend(loss: torch.Tensor, optimizer: torch.optim.Optimizer) -> None:
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def work() -> None:
        if how.endswith("fit"):
            training.fit(method, (v,), epochs=1, batch=BATCH)
        else:
            method.start((v,), g)
            for rows in v.split(BATCH):
                method.step((rows,), descend)

    return work


def child(method: str) -> dict[str, float]:
    """Seconds of one epoch."""
    torch.set_num_threads(1)
    v = digits()
    work = floor(v) if method == "floor" else nakami(v, method)
    work()  # imports and first calls outside the clock
    spent, _ = cpu_seconds(work)
    return {"cpu_s": round(spent, 3)}


def main() -> None:
    if len(sys.argv) > 2:
        print(json.dumps(child(**json.loads(sys.argv[2]))))
        return
    runs: dict[str, list[dict[str, Any]]] = {m: [] for m in METHODS}
    for _ in range(ROUNDS):
        for method in METHODS:
            runs[method].append(apart(__file__, method=method))
    rows = [middle(of, "cpu_s") for of in runs.values()]
    least = rows[0]["cpu_s"]
    spans = [f"{min(r['all_cpu_s']):.2f} to {max(r['all_cpu_s']):.2f}" for r in rows]
    shown = [
        [r["method"], f"{r['cpu_s']:.2f}", span, f"{r['cpu_s'] / least:.2f}"]
        for r, span in zip(rows, spans, strict=True)
    ]
    head = ["epoch of mean-field learning, 784 x 500 x 1,000", "CPU s", "all rounds", "over floor"]
    keep("dbm_epoch", rows, table(head, shown))


if __name__ == "__main__":
    main()
