"""The critical batch size by steps to a loss, beside the gradient-noise scale: development tasks.

    python benchmarks/knobs/batches.py             what is missing, seed 0 of all tasks first
    python benchmarks/knobs/batches.py --tasks friedman waves
    python benchmarks/knobs/batches.py --report    the tables of what is there

The design, written before any result. Nine development tasks, AdamW, and momentum on three of
them, constant rates, the seeds of ``protocol.toml``. No held-back task.

* Batches: the task's own times 1/4, 1, 4 and 16.
* Target: the log of the loss that the best rate of the committed grid has at step 750 with the
  task's own batch, mean over seeds; the best rate is the one with the smallest such mean.
* Smoothing: losses are means over a window of as many examples as 80 of the task's own batches
  have, so 320, 80, 20 or 5 steps; noise of single examples then has one size at all batches. The
  steps to the target, S, are counted to the middle of the first window whose mean is not above it.
* Rates are 10^(i/3). The search begins at the best place of the task's own batch, moved by the
  square root of the batch's factor and rounded; its two neighbours follow, and while the best has
  a neighbour that was not run, that one. A run ends at 3600 steps (by the formula below a quarter
  of the batch takes at most four times 750), or at twice the fewest steps of its batch and seed so
  far; it then counts as slower. Where none of five places reaches the target there is no S.
  Courses of the committed grid, in blocks of ten steps, count as runs of the task's own batch.
  Added after seven tasks of seed 0, for time: runs of larger batches also end at twice the fewest
  steps of the task's own.
* Each seed has a search of its own; that of seed 1 begins where seed 0 was best.
* Fit: ``S = S_min (1 + B_crit / B)``, which is ``(S / S_min - 1) (E / E_min - 1) = 1`` with
  examples ``E = B S`` and ``B_crit = E_min / S_min`` (McCandlish et al. 2018, arXiv 1812.06162),
  least squares of log S over batches and seeds; its error, a factor, by residuals.
* Best rate of a batch: the vertex of a parabola through log S at the best place and its two
  neighbours, slower runs at most a factor of 2 slower; the slope is of log rate in log batch.
* Noise: ``B_simple`` as ``nakami.tune`` reads it before a training of 1500 steps, and from
  gradients of 64 of the task's own batches in train mode, at the start and after 750 steps at its
  best rate; there also in the metric of AdamW (gradients over the fourth root of its averaged
  squares). Counted in examples, as batches are (a text of 32 characters is one).

Limits, known beforehand: these are training losses, of data that are used again (large batches
pass the 2700 to 60000 examples more often); batch norm's loss depends on the batch; two seeds.

Cost, estimated from a step of each (0.6 to 72 ms): one rate of all batches of the nine tasks takes
110 CPU seconds; 3.5 rates, two seeds, slower runs cut, momentum on three: 25 CPU minutes.
Results: ``results/batches.json``, written after every run.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.knobs.batches_noise import noise
from benchmarks.knobs.calibrate import vertex
from benchmarks.knobs.sweep import BLOCK, RESULTS, RUN, Case, rate
from benchmarks.knobs.tasks import Task, missing, optimizer, task

NAMES = (
    "friedman", "committee", "waves", "speech-cnn", "fashion-dropout", "sentiment-bag",
    "autoencoder", "cifar-bn-augmented", "lm-shakespeare",
)  # fmt: skip
WITH_MOMENTUM = ("friedman", "speech-cnn", "fashion-dropout")
FACTORS = (0.25, 1.0, 4.0, 16.0)
AT, WINDOW = 750, 80  # step of the target; batches of the task's own that a window has
MOST, SLOWER = 3600, 2.0
Record = dict[str, Any]


class Store:
    """What was run: ``task|optimizer|factor|place|seed`` and ``noise|task|optimizer|seed``."""

    def __init__(self, path: Path = RESULTS / "batches.json"):
        self.path = path
        self.runs: dict[str, Record] = json.loads(path.read_text()) if path.exists() else {}

    def add(self, key: str, record: Record) -> None:
        """The file anew, whole or not at all; a line a run."""
        self.runs[key] = record
        lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in self.runs.items())
        part = self.path.with_suffix(".json.part")
        part.write_text(f"{{\n{lines}\n}}\n")
        part.replace(self.path)


def crossing(losses: np.ndarray, target: float, window: int) -> float | None:
    """Steps to the middle of the first window whose mean is at most ``target``; None if none is.

    Args:
        losses: Of each step, finite.
        target: A loss.
        window: Steps of the mean.
    """
    if len(losses) < window:
        return None
    sums = np.cumsum(np.concatenate([[0.0], losses]))
    below = np.flatnonzero(sums[window:] - sums[:-window] <= target * window)
    return float(below[0] + window / 2) if len(below) else None


@cache
def courses(name: str, each: str) -> dict[int, dict[int, np.ndarray]]:
    """Whole courses of the committed grid's constant runs of 1500 steps, by place and seed."""
    found: dict[int, dict[int, np.ndarray]] = {}
    for key, record in Case(name, each).runs.items():
        of, place, seed = key.split("|")
        if of == "1500" and len(record["course"]) == 1500 // BLOCK:
            found.setdefault(int(place), {})[int(seed)] = np.array(record["course"])
    return found


def target_of(name: str, each: str) -> tuple[float, int]:
    """The loss to reach, and the place of the grid that has it."""
    first = (AT - WINDOW // 2) // BLOCK
    means = {
        place: float(np.mean([np.log(of[s][first : first + WINDOW // BLOCK].mean()) for s in of]))
        for place, of in courses(name, each).items()
        if len(of) == len(RUN["seeds"])
    }
    best = min(means, key=lambda place: (means[place], place))
    return float(np.exp(means[best])), best


def of_size(which: Task, factor: float) -> Task:
    """The task with another batch."""
    return replace(
        which, settings={**which.settings, "batch": int(which.settings["batch"] * factor)}
    )


def run(
    which: Task, each: str, factor: float, place: int, seed: int, limits: tuple[float, float]
) -> Record:
    """Steps to a loss, None where they are more than allowed; ``limits`` is (loss, steps)."""
    target, most = limits
    window = round(WINDOW / factor)
    mine = of_size(which, factor)
    model, loss, batches = mine.model(seed), mine.loss(), mine.batches(seed)
    update, losses, lost = optimizer(each, model, rate(place)), list[float](), np.inf
    began, steps, total = time.process_time(), None, 0.0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(RUN["dropout_seed"] + seed)
        while steps is None and len(losses) < most + window / 2:
            x, y = next(batches)
            update.zero_grad()
            value = loss(model(x), y)
            losses.append(value.item())
            lost = (
                lost if len(losses) > 1 else RUN["diverged_above"] * max(losses[0], mine.constant)
            )
            if not losses[-1] <= lost:
                break
            value.backward()
            update.step()
            total += losses[-1] - (losses[-1 - window] if len(losses) > window else 0.0)
            if len(losses) >= window and total <= target * window:
                steps = crossing(np.array(losses), target, window)
    return {
        "steps": steps, "ran": len(losses), "most": round(most, 1),
        "cpu_s": round(time.process_time() - began, 2),
    }  # fmt: skip


class Search:
    """The search for the best rate of one task, optimizer, batch and seed."""

    def __init__(self, store: Store, name: str, each: str, factor: float, seed: int):
        self.store, self.key = store, (name, each, factor, seed)
        self.target, self.grid_best = target_of(name, each)

    def steps(self) -> dict[int, float]:
        """Steps by place; infinite where the target was not reached."""
        name, each, factor, seed = self.key
        found: dict[int, float] = {}
        if factor == 1:
            for place, of in courses(name, each).items():
                if seed in of:
                    at = crossing(of[seed], self.target, WINDOW // BLOCK)
                    found[place] = np.inf if at is None else at * BLOCK
        for key, record in self.store.runs.items():
            words = key.split("|")
            if words[:3] == [name, each, f"{factor:g}"] and int(words[4]) == seed:
                found[int(words[3])] = record["steps"] or np.inf
        return found

    def best(self) -> int | None:
        """The place with the fewest steps; None where none reached the target."""
        there = {place: steps for place, steps in self.steps().items() if np.isfinite(steps)}
        return min(there, key=lambda place: (there[place], place)) if there else None

    def middle(self) -> int:
        """Where to begin."""
        name, each, factor, seed = self.key
        if seed != RUN["seeds"][0]:
            earlier = Search(self.store, name, each, factor, RUN["seeds"][0]).best()
            if earlier is not None:
                return earlier
        if factor == 1:
            return self.grid_best
        own = Search(self.store, name, each, 1.0, seed).best()
        start = self.grid_best if own is None else own
        return start + round(1.5 * float(np.log10(factor)))

    def next_place(self) -> int | None:
        """The place to run next; None where the search has ended."""
        there, best, middle = self.steps(), self.best(), self.middle()
        wanted = [middle, middle - 1, middle + 1]
        wanted += [middle - 2, middle + 2] if best is None else [best - 1, best + 1]
        return next((place for place in wanted if place not in there), None)

    def complete(self) -> None:
        """Runs what is missing."""
        name, each, factor, seed = self.key
        smaller = Search(self.store, name, each, 1.0, seed).steps()
        while (place := self.next_place()) is not None:
            fewest = [*self.steps().values(), *(smaller.values() if factor > 1 else ())]
            most = min(MOST, SLOWER * min(fewest, default=np.inf))
            record = run(task(name), each, factor, place, seed, (self.target, most))
            self.store.add(f"{name}|{each}|{factor:g}|{place}|{seed}", record)
            print(name, each, f"x{factor:g}", f"{rate(place):.2g}", seed, record, flush=True)

    def place(self) -> float | None:
        """The best place, between those that were run."""
        best, steps = self.best(), self.steps()
        if best is None:
            return None
        most = float(np.log(SLOWER * steps[best]))
        return vertex({p: min(float(np.log(s)), most) for p, s in steps.items()})


def complete(
    store: Store, names: Iterable[str], seeds: Iterable[int], optimizers: Iterable[str]
) -> None:
    """Runs what is missing, one seed after the other."""
    for seed in seeds:
        for each in optimizers:
            for name in names if each == "adamw" else [n for n in names if n in WITH_MOMENTUM]:
                key = f"noise|{name}|{each}|{seed}"
                if key not in store.runs:
                    store.add(key, noise(task(name), each, target_of(name, each)[1], seed))
                for factor in (1.0, *(f for f in FACTORS if f != 1)):
                    Search(store, name, each, factor, seed).complete()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tasks", nargs="+", choices=NAMES, default=list(NAMES))
    parser.add_argument("--seeds", nargs="+", type=int, choices=RUN["seeds"], default=RUN["seeds"])
    parser.add_argument("--optimizers", nargs="+", default=["adamw", "momentum"])
    parser.add_argument("--report", action="store_true", help="print what is there, run nothing")
    asked = parser.parse_args()
    if lacking := [words for name in asked.tasks if (words := missing(name))]:
        sys.exit("; ".join(dict.fromkeys(lacking)))
    torch.set_num_threads(1)
    store = Store()
    if not asked.report:
        complete(store, asked.tasks, asked.seeds, asked.optimizers)
    from benchmarks.knobs.batches_tables import report

    print(report(store))


if __name__ == "__main__":
    main()
