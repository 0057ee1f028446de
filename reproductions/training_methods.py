"""What each training method does to the inside of one architecture (MNIST).

784-500-500-500 sigmoid units and ten outputs, trained in seven ways on the first 10,000 digits:
``plain`` (weights at random, then back-propagation), ``dropout`` (the same, a fifth of the inputs
and half of the units dropped), ``ae``, ``sdae``, ``cae`` (layers of autoencoders with nothing, with
a quarter of the inputs masked, with 0.1 of the Jacobian's squared norm added), ``dbn`` (RBMs, CD-1)
and ``dbm`` (RBMs with doubled inputs, then all layers together; its network is one pass upwards
with doubled inputs). Then all alike: 30 epochs of descent on the cross-entropy. Three seeds.

Fixed before any result was seen: the settings of ``_training_methods_nets.Plan``, the readings of
``_training_methods_readings.py``, and how three claims are judged:

1. Rifai et al. (ICML 2011), as source 002 quotes it: methods with a steep spectrum (few large
   singular values, many near 0) do better. Over the seven methods, means of three seeds: Spearman's
   rank correlation of the test error after fine-tuning with (a) the effective rank and (b) the norm
   of the Jacobian of each hidden layer, before and after fine-tuning. The claim wants positive
   ones. A p-value by all permutations of seven; no correction for the number of rows.
2. Source 001: layers unfold the manifold step by step. The error of a linear classifier, and the
   angle by which the steps of turned and shifted digits turn, fall with each layer. By method:
   change from layer to layer, mean over seeds with Student's 95 % interval (2 degrees of freedom).
3. Bengio et al. (2013), quoted for the same: a mean of two digits of one class, taken in a deep
   layer and carried down, is nearer to a digit than one taken in pixels. Five methods.

    python reproductions/training_methods.py            all of it; goes on where it was stopped
    python reproductions/training_methods.py --tiny     the same road in two minutes

Data: MNIST in ``$NAKAMI_DATA/mnist`` (see DATA.md). What is trained lies in
``nakami-out/training_methods``; the page, chart and figures in ``reproductions/results``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import torch

from nakami import data

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from _training_methods_nets import FULL, METHODS, TINY, Plan, trained  # noqa: E402
from _training_methods_readings import read  # noqa: E402


def main() -> None:
    """Train and read what is missing, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tiny", action="store_true", help="small nets, few digits, few epochs")
    parser.add_argument("--only", choices=METHODS, nargs="*", default=METHODS, help="methods")
    asked = parser.parse_args()
    plan, name = (TINY, "training_methods_tiny") if asked.tiny else (FULL, "training_methods")
    torch.set_num_threads(1)
    out = Path("nakami-out") / name
    records = [measured(plan, method, seed, out) for seed in plan.seeds for method in asked.only]
    if list(asked.only) != list(METHODS):
        return
    from _training_methods_report import draw, report

    to = out if asked.tiny else HERE / "results"
    short = json.loads(json.dumps(records), parse_float=lambda text: float(f"{float(text):.5g}"))
    lines = ",\n".join(json.dumps(record) for record in short)
    (to / f"{name}.json").write_text(f"[{lines}]\n")
    (to / f"{name}.md").write_text("\n".join(report(plan, records)) + "\n")
    draw(records, to / f"{name}.svg")
    print(to / f"{name}.md")


def measured(plan: Plan, method: str, seed: int, out: Path) -> dict[str, Any]:
    """The figures of one method and seed, before and after fine-tuning; read back or made."""
    path = out / f"{method}-{seed}.json"
    if not path.exists():
        folder = Path(os.environ.get("NAKAMI_DATA", "../shared/data")) / "mnist"
        train, test = data.mnist(folder, "train")[: plan.train], data.mnist(folder, "test")
        start = time.process_time()
        nets = trained(plan, method, seed, train, out / f"{method}-{seed}")
        middle = time.process_time()
        both = [read(plan, net, train, test) for net in nets]
        times = {"training_cpu": middle - start, "reading_cpu": time.process_time() - middle}
        record = {"method": method, "seed": seed, "before": both[0], "after": both[1], **times}
        path.write_text(json.dumps(record))
        errors = f"{both[1]['error']:.2f} ± {both[1]['error_se']:.2f} %"
        print(f"{method}-{seed}: test error {errors}, {times}", flush=True)
    record = json.loads(path.read_text())
    return dict(record)


if __name__ == "__main__":
    main()
