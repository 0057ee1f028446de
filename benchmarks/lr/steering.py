"""A rate held, a rate that follows the sharpness, and nakami's RateControl, side by side.

    python benchmarks/lr/steering.py            runs what is missing, about 8 CPU minutes
    python benchmarks/lr/steering.py --report   the table of what is there

Three development tasks of the learning-rate protocol, SGD and momentum, three seeds, 300 steps. R
is the best rate of the committed grid; "limit" that of ``nakami.learning_rate`` at the initial
weights on one batch. ``follow`` sets the rate to the same share of the limit every ten steps, with
five products (8 gradients a time); ``control`` has a budget of 0.05, ``warm`` of 0: its warm-up
alone. Final loss: mean of the last 10 steps, as in the protocol. One thread.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.lr.tasks import ROOT, Task, missing, optimizer, task

import nakami
from nakami.geometry import Measures, RateControl
from nakami.results import RunError
from nakami.spectra import ritz

TASKS = ("mlp-mnist", "deep-tanh-mnist", "cnn-fashion")
TOO_HIGH = {"sgd": (2, 4), "momentum": (4, 16)}
SEEDS, STEPS, LAST, DIVERGED, LOST = (0, 1, 2), 300, 10, 1e6, 2.0
RESULTS = ROOT / "benchmarks/results/rate_control.json"


class Following:
    """Sets the rate to a share of the limit, every ten steps."""

    def __init__(self, model: Any, steps: Any, held: Any, loss: Any, share: float, reach: float):
        self.op = nakami.ggn(model, held, loss)
        self.steps, self.share, self.reach = steps, share, reach
        self.count, self.cost, self.vector = 0, 0.0, None
        self.set()

    def set(self) -> None:
        """Measure, and give the share."""
        found = ritz(self.op.at_current_weights(), 5, start=self.vector, seed=self.count)
        self.vector, self.cost = found.vector, self.cost + found.n_products * 5 / 3
        for group in self.steps.param_groups if found.value > 0 else ():  # else the network is dead
            group["lr"] = self.share * self.reach / found.value

    def step(self, loss: Any) -> None:
        """After a step of the optimizer."""
        self.count += 1
        if self.count % 10 == 0:
            self.set()


def train(case: Task, name: str, seed: int, way: str, rate: float, limit: float) -> dict[str, Any]:
    """One run; ``rate`` at the start, ``limit`` that of the initial weights."""
    model, loss, batches = case.model(seed), case.loss(), case.batches(seed)
    held, steps = next(case.batches(seed, "advice")), optimizer(name, model, rate)
    started, control = time.process_time(), None
    if way in ("warm", "control"):
        measures = Measures(budget=0.05 if way == "control" else 0.0)
        control = RateControl(model, steps, held, loss, rate, steps=STEPS, measures=measures)
    if way == "follow":
        reach = 2 * (1 + steps.param_groups[0]["momentum"])
        control = Following(model, steps, held, loss, rate / limit, reach)
    losses: list[float] = []
    for _ in range(STEPS):
        x, y = next(batches)
        steps.zero_grad()
        value = loss(model(x), y)
        losses.append(float(value.detach()))
        if not losses[-1] < DIVERGED:
            break
        value.backward()
        steps.step()
        try:
            if control is not None:
                control.step(value)
        except RunError:
            break
    whole = len(losses) == STEPS and losses[-1] < DIVERGED
    spent = 0.0 if control is None else control.cost
    return {
        "final": float(np.mean(losses[-LAST:])) if whole else None,
        "worst": float(np.nanmax([v for v in losses if math.isfinite(v)])),
        "rate": float(steps.param_groups[0]["lr"]),
        "cost": spent / STEPS,
        "lowered": sum(r.lowered for r in control.log) if way == "control" else 0,
        "seconds": time.process_time() - started,
    }


def best_rate(name: str, optimizer_name: str) -> float:
    """The rate with the smallest mean log loss on the committed grid."""
    stored = np.load(ROOT / f"benchmarks/lr/results/{name}.{optimizer_name}.npz")
    final = stored["losses"][:, :, -LAST:].astype(float).mean(-1)
    curve = np.where(np.isfinite(final), np.log(np.maximum(final, 1e-12)), np.inf).mean(0)
    return float(stored["rates"][np.argmin(curve)])


def rows(name: str, optimizer_name: str) -> list[tuple[str, float, str]]:
    """Label, factor and unit of the rate (``"R"`` or ``"limit"``) of each line."""
    units = [("limit", 0.9), ("R", 1.0), *(("R", float(f)) for f in TOO_HIGH[optimizer_name])]
    return [
        (f"{way} {factor:g} {unit}", factor, unit)
        for unit, factor in units
        for way in ("constant", "warm", "follow", "control")
        if way != "follow" or factor <= 1
    ]


def run_missing() -> None:
    done = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for name in TASKS:
        case = task(name)
        for which in TOO_HIGH:
            best = best_rate(name, which)
            for seed in SEEDS:
                held, model = next(case.batches(seed, "advice")), case.model(seed)
                limit = nakami.rate_limit(model, held, case.loss(), which).limit
                for label, factor, unit in rows(name, which):
                    key = f"{name} {which} {label}"
                    if str(seed) in done.get(key, {}):
                        continue
                    rate = factor * (best if unit == "R" else limit)
                    found = train(case, which, seed, label.split()[0], rate, limit)
                    done.setdefault(key, {})[str(seed)] = {**found, "start": rate}
                    RESULTS.write_text(json.dumps(done, indent=1) + "\n")
    print(f"{RESULTS.relative_to(ROOT)}: {len(done)} lines")


def report() -> None:
    """One line for each case, the median of its seeds; a run that ends above 2 is lost."""
    done = json.loads(RESULTS.read_text())
    print(
        "| task, optimizer | rate | constant | warm-up alone | follow | control | lowered | cost |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in TASKS:
        for which in TOO_HIGH:
            shares = dict.fromkeys(label.split(maxsplit=1)[1] for label, _, _ in rows(name, which))
            for share in shares:
                cells = []
                for way in ("constant", "warm", "follow", "control"):
                    runs = list(done.get(f"{name} {which} {way} {share}", {}).values())
                    cells.append(_cell(runs))
                if not runs:
                    continue
                start = statistics.mean(r["start"] for r in runs)
                lowered, cost = (sum(r[key] for r in runs) for key in ("lowered", "cost"))
                print(
                    f"| {name}, {which} | {share}: {start:.2g} | {' | '.join(cells)} | "
                    f"{lowered} | {cost / len(runs):.1%} |"
                )


def _cell(runs: list[dict[str, Any]]) -> str:
    if not runs:
        return ""
    final = [r["final"] if r["final"] is not None else math.inf for r in runs]
    lost, middle = sum(not value < LOST for value in final), statistics.median(final)
    if not middle < LOST:
        return f"lost {lost} of {len(final)}"
    return f"{middle:.3f}" + (f", lost {lost} of {len(final)}" if lost else "")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--report", action="store_true")
    torch.set_num_threads(1)
    if options.parse_args().report:
        return report()
    for name in TASKS:
        if lacking := missing(name):
            sys.exit(lacking)
    return run_missing()


if __name__ == "__main__":
    main()
