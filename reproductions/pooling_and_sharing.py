"""What pooling, normalisation and weight sharing do to the inside of one small network.

``zoo.lenet`` with 8 and 16 maps and 64 units on the shipped digits (4,000 to learn from, 1,000 to
test on); ``base`` has maximum pooling, no normalisation and convolutions. Each other variant has
one part swapped: pooling (``average``, ``l2``, ``gaussian``), normalisation before pooling
(``response``, ``contrast``), or weights (``local``: filters of their own at each place). All
alike: 12 passes at rate 0.02, momentum 0.9, batches of 100, three seeds, which decide first weights
and order. Weights and order of variants of one seed are the same, but for ``local``.

Read before and after the training: the whole spectrum of the Jacobian from the input to ``pool1``,
``pool2``, ``hidden`` and ``output`` at the first 4 test digits, of it the largest value, the norm,
the effective rank and the number of values above 1; and how much the logarithm of the norm differs
between the digits (standard deviation). The test error beside.

Fixed before any result was seen, all as paired differences to ``base`` over the three seeds, mean
with Student's 95 % interval (2 degrees of freedom), after training:

1. Averaging blurs: ``average`` and ``l2`` have a lower norm and effective rank at ``pool1``.
2. Normalisation evens out: ``response`` and ``contrast`` have a smaller difference between the
   digits in the logarithm of the norm at ``pool2``.
3. Sharing helps: ``local`` errs more often. Beside it, without an expectation: its effective rank.

Estimate, before it was run: 21 trainings of 12 s and 42 readings of 5 s, 8 CPU minutes.

    python reproductions/pooling_and_sharing.py            goes on where it was stopped
    python reproductions/pooling_and_sharing.py --tiny     the same road in a minute

What is trained lies in ``nakami-out/pooling_and_sharing``; page, chart and figures in
``reproductions/results``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import nakami
from nakami import data
from nakami.data import PIXEL, Examples
from nakami.recipes import error_fact
from nakami.training import Supervised, Training
from nakami.zoo import lenet

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

VARIANTS: dict[str, dict[str, str]] = {
    "base": {},
    "average": {"pooling": "average"},
    "l2": {"pooling": "l2"},
    "gaussian": {"pooling": "gaussian"},
    "response": {"normalisation": "response"},
    "contrast": {"normalisation": "contrast"},
    "local": {"sharing": "local"},
}
STAGES = ("pool1", "pool2", "hidden", "output")
RATE, MOMENTUM, BATCH = 0.02, 0.9, 100


@dataclass(frozen=True)
class Plan:
    """Sizes and budgets."""

    maps: tuple[int, int] = (8, 16)
    units: int = 64
    train: int = 4000
    epochs: int = 12
    seeds: tuple[int, ...] = (0, 1, 2)
    digits: int = 4


FULL = Plan()
TINY = Plan(maps=(2, 3), units=8, train=200, epochs=2, seeds=(0, 1), digits=2)


def measured(plan: Plan, variant: str, seed: int, out: Path) -> dict[str, Any]:
    """The figures of one variant and seed; read back or made."""
    path = out / f"{variant}-{seed}.json"
    if not path.exists():
        train, test = data.digits("train")[: plan.train], data.digits("test")
        start = time.process_time()
        training = Training(out / f"{variant}-{seed}", {"seed": seed}, {"all": plan.epochs})
        options: Any = VARIANTS[variant]
        first = training.generator("first weights")
        net = lenet.make(maps=plan.maps, units=plan.units, generator=first, **options).eval()
        before = read(plan, net, test)
        descent = torch.optim.SGD(net.parameters(), RATE, MOMENTUM)
        given = (train.inputs, train.labels)
        losses = training.run("all", Supervised(net, descent), lambda: given, batch=BATCH)
        fact = error_fact(net, test)
        record = {
            "variant": variant,
            "seed": seed,
            "error": fact["value"],
            "error_se": fact["spread"],
            "loss": losses[-1],
            "before": before,
            "after": read(plan, net, test),
            "cpu": time.process_time() - start,
        }
        path.write_text(json.dumps(record))
        print(f"{variant}-{seed}: {fact['value']:.2f} %, {record['cpu']:.0f} s", flush=True)
    return dict(json.loads(path.read_text()))


def read(plan: Plan, net: torch.nn.Module, test: Examples) -> dict[str, dict[str, Any]]:
    """Of the Jacobian from the input to each stage, means over the digits."""
    run = nakami.xray(net, test.inputs[: plan.digits], stages=list(STAGES), input_unit=PIXEL)
    found = {}
    for stage in STAGES:
        each = run.at(stage)
        assert all(s.complete and s.converged for s in each)
        values = [s.values.astype(float) for s in each]
        norms = [float((v**2).sum() ** 0.5) for v in values]
        found[stage] = {
            "largest": float(np.mean([v[0] for v in values])),
            "norm": float(np.mean(norms)),
            "effective_rank": float(np.mean([s.effective_rank for s in each])),
            "above_one": float(np.mean([s.count_above_one for s in each])),
            "differs": float(np.std(np.log(norms), ddof=1)),
            "spectrum": [float(f"{x:.4g}") for x in np.mean(values, 0)],
        }
    return found


def main() -> None:
    """Train and read what is missing, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="small nets, few digits, few epochs")
    asked = parser.parse_args()
    plan, name = (TINY, "pooling_and_sharing_tiny") if asked.tiny else (FULL, "pooling_and_sharing")
    torch.set_num_threads(1)
    out = Path("nakami-out") / name
    out.mkdir(parents=True, exist_ok=True)
    records = [measured(plan, v, seed, out) for seed in plan.seeds for v in VARIANTS]
    from _pooling_report import draw, report

    to = out if asked.tiny else HERE / "results"
    short = json.loads(json.dumps(records), parse_float=lambda text: float(f"{float(text):.5g}"))
    (to / f"{name}.json").write_text("[" + ",\n".join(json.dumps(r) for r in short) + "]\n")
    (to / f"{name}.md").write_text("\n".join(report(plan, records)) + "\n")
    draw(records, to / f"{name}.svg")
    print(to / f"{name}.md")


if __name__ == "__main__":
    main()
