"""Exact log-likelihood of machines trained on bars and stripes, 3 x 3, by four negative phases.

The 14 patterns can be had with -log 14 = -2.639 nats a pattern at best. Reference values, computed
independently over three seeds (8 hidden units, mini-batches of 50, rate 0.1 falling linearly to 0,
20,000 updates): CD-1 -3.33 to -3.09, CD-10 -2.73 to -2.71, PCD-1 -2.80 to -2.73.

Ours: the same; patterns of a mini-batch drawn with replacement, weights at first N(0, 0.01^2),
visible biases at the log odds of the data, no momentum, no decay, float64, 50 persistent chains;
log Z by all 2^8 states of the hidden units. The tempered chains have no reference.

    python reproductions/rbm_bars_and_stripes.py    goes on where it was stopped

One thread: 2 CPU minutes.
"""

from __future__ import annotations

import itertools
import math
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from nakami import sampling
from nakami.training import ContrastiveDivergence
from nakami.zoo.rbm import RBM

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from _shared import made_in  # noqa: E402
from _wide import Kept, digits, generator, table  # noqa: E402

NAME = "rbm_bars_and_stripes"
HIDDEN, BATCH, RATE, UPDATES, SEEDS = 8, 50, 0.1, 20_000, (0, 1, 2)
SETTINGS = {"hidden": HIDDEN, "batch": BATCH, "rate": RATE, "updates": UPDATES}
METHODS = {
    "CD-1": lambda: {"k": 1},
    "CD-10": lambda: {"k": 10},
    "PCD-1": lambda: {"sampler": sampling.Persistent(BATCH)},
    "tempered, 5 replicas": lambda: {"sampler": sampling.Tempered(BATCH, 5)},
}
REFERENCE = {"CD-1": (-3.33, -3.09), "CD-10": (-2.73, -2.71), "PCD-1": (-2.80, -2.73)}


def main() -> None:
    """Train what is missing, then write the table."""
    torch.set_num_threads(1)
    kept = Kept(HERE / "results" / f"{NAME}.json", SETTINGS)
    for method, seed in itertools.product(METHODS, SEEDS):
        name = f"{method}, seed {seed}"
        if name not in kept.records:
            began = time.process_time()
            value = likelihood(trained(method, seed))
            cpu = time.process_time() - began
            kept.add(name, {"nats": digits(value), "cpu": digits(cpu, 3)})
            print(name, f"{value:.4f} nats, {cpu:.0f} s", flush=True)
    (HERE / "results" / f"{NAME}.md").write_text("\n".join(report(kept)), encoding="utf-8")


def patterns() -> Tensor:
    """The 14 pictures of whole rows or whole columns, ``(14, 9)``."""
    rows = torch.tensor(list(itertools.product((0.0, 1.0), repeat=3)), dtype=torch.float64)
    stripes, bars = rows[:, :, None].expand(8, 3, 3), rows[:, None].expand(8, 3, 3)
    return torch.cat([stripes, bars]).flatten(1).unique(dim=0)


def likelihood(rbm: RBM) -> float:
    """Mean log-probability of the patterns, exactly."""
    log_z = sampling.log_partition(rbm)
    return sampling.log_likelihood(rbm, patterns(), log_partition=log_z).value


def trained(method: str, seed: int, updates: int = UPDATES) -> RBM:
    """The machine after its training."""
    data, source = patterns(), generator(seed, list(METHODS).index(method))
    rbm = RBM(9, HIDDEN, generator=source, dtype=torch.float64)
    learner = ContrastiveDivergence(rbm, rate=RATE, momentum=0.0, decay=0.0, **METHODS[method]())
    learner.start((data,), source)
    for update in range(updates):
        learner.rate = RATE * (1 - update / updates)
        learner.step((data[torch.randint(len(data), (BATCH,), generator=source)],))
    return rbm


def report(kept: Kept) -> Iterator[str]:
    """All values beside the reference's range."""
    yield "# Bars and stripes: what the negative phase is worth"
    yield ""
    yield f"Exact mean log-probability of the 14 patterns, nats; at best {-math.log(14):.3f}."
    yield ""
    rows, outside = [], []
    for method in METHODS:
        values = sorted(kept.records[f"{method}, seed {seed}"]["nats"] for seed in SEEDS)
        low, high = REFERENCE.get(method, (math.nan, math.nan))
        gaps = [max(low - value, value - high) for value in values]
        outside += [gap for gap in gaps if gap > 0.005]  # half a unit of what is printed there
        theirs = "" if math.isnan(low) else f"{low:.2f} to {high:.2f}"
        rows.append([method, *(f"{value:.3f}" for value in values), theirs])
    yield from table(("negative phase", "lowest", "middle", "highest", "reference"), rows)
    yield ""
    count = len(REFERENCE) * len(SEEDS)
    within = count - len(outside)
    yield f"{within} of {count} values lie in the range of the reference's three seeds,"
    yield f"the others at most {max(outside, default=0.0):.3f} nats outside; the seeds are others."
    yield ""
    yield made_in(sum(record["cpu"] for record in kept.records.values()))
    yield ""


if __name__ == "__main__":
    main()
