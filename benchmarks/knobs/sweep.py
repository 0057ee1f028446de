"""Runs the grid of the second protocol: 24 tasks x 2 optimizers x 4 horizons x 2 seeds.

    python benchmarks/knobs/sweep.py                  what is missing, development tasks first
    python benchmarks/knobs/sweep.py --tasks friedman waves --horizons 200 1500
    python benchmarks/knobs/sweep.py --report         best rates and losses of what is there

About 5.1 CPU hours on one thread, estimated before the run (``protocol.toml``). Each task and
optimizer has one file ``results/<task>.<optimizer>.json``, written whole after every run: for
each schedule, rate and seed the final losses and validation losses at its horizons, CPU seconds,
and the course of the loss, means over ten steps. Started again, the script does what is missing;
several may run at once.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim import Optimizer

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.knobs.tasks import (
    HORIZONS,
    OPTIMIZERS,
    PROTOCOL,
    RUN,
    TASKS,
    Task,
    factor,
    missing,
    optimizer,
    task,
)
from benchmarks.lr.grid import alone

RESULTS = Path(__file__).resolve().parent / "results"
GRID, SCORE = PROTOCOL["grid"], PROTOCOL["score"]
BLOCK = 10
# constant runs of 1500 steps hold the horizon of 200; `200 only` are runs for that alone
RUNS_OF = {"200": ("1500", "200"), "1500": ("1500",)}
Record = dict[str, Any]


def rate(index: int) -> float:
    """The rate of a place of the grid."""
    return float(10 ** (index / GRID["rates_per_decade"]))


@dataclass(frozen=True)
class Update:
    """What moves the weights in a run.

    Attributes:
        optimizer: On the model's parameters. peak: its rate, times the horizon's schedule; None
            where the optimizer keeps its own. validation: how the loss of what was trained is read.
        factor: Of each step, in place of the horizon's schedule.
    """

    optimizer: Optimizer
    peak: float | None
    validation: Callable[[Task, nn.Module], float] = Task.validation
    factor: Callable[[int], float] | None = None


def train(
    task: Task,
    name: str,
    seed: int,
    peak: float,
    horizon: str,
    own: Callable[[Task, nn.Module, int], Update] | None = None,
) -> Record:
    """One run: final and validation loss at the end and at a horizon on the way, and the course.

    ``own`` makes what takes the place of the optimizer ``name`` and its rate ``peak``.
    """
    steps, ends = PROTOCOL["horizon"][horizon]["steps"], _ends(horizon)
    model, loss, batches = task.model(seed), task.loss(), task.batches(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(RUN["dropout_seed"] + seed)
        began, losses, kept = time.process_time(), np.full(steps, np.nan), {}
        chosen = own(task, model, seed) if own else Update(optimizer(name, model, peak), peak)
        update, most = chosen.optimizer, np.inf
        course = chosen.factor or partial(factor, horizon)
        for t in range(steps):
            if chosen.peak is not None:
                for group in update.param_groups:
                    group["lr"] = chosen.peak * course(t)
            x, y = next(batches)
            update.zero_grad()
            value = loss(model(x), y)
            losses[t] = value.item()
            most = RUN["diverged_above"] * max(losses[0], task.constant) if not t else most
            if not losses[t] <= most:
                break
            value.backward()
            update.step()
            if t + 1 in ends:
                kept[ends[t + 1]] = chosen.validation(task, model)
    found = {of: final(losses[:end]) for end, of in ends.items()}
    blocks = losses.reshape(-1, BLOCK).mean(1)
    return {
        "final": found,
        "validation": kept,
        "cpu_s": round(time.process_time() - began, 2),
        "course": [float(f"{x:.4g}") for x in blocks[np.isfinite(blocks)]],
    }


def _ends(horizon: str) -> dict[int, str]:
    """The horizons that a run of this one also reaches, by their last step."""
    of = PROTOCOL["horizon"]
    made = {of[horizon]["steps"]: horizon}
    return {200: "200", **made} if horizon == "1500" else made


def final(losses: np.ndarray) -> float | None:
    """Mean over the last twentieth; None where the run diverged."""
    count = round(len(losses) * SCORE["last_share"])
    return float(losses[-count:].mean()) if np.isfinite(losses).all() else None


class Case:
    """What is known of one task and optimizer."""

    def __init__(self, name: str, optimizer: str, folder: Path = RESULTS):
        self.name, self.optimizer = name, optimizer
        self.path = folder / f"{name}.{optimizer}.json"
        self.settings = {"task": PROTOCOL["task"][name], "run": RUN, "grid": GRID}
        self.runs: dict[str, Record] = {}
        if self.path.exists():
            found = json.loads(self.path.read_text())
            if found["settings"] != self.settings:
                sys.exit(f"{self.path} was made under another protocol; move it away.")
            self.runs = found["runs"]

    def write(self) -> None:
        """The file, whole or not at all."""
        lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in self.runs.items())
        text = f'{{"settings": {json.dumps(self.settings)},\n"runs": {{\n{lines}\n}}}}\n'
        part = self.path.with_suffix(".part")
        part.write_text(text)
        part.replace(self.path)

    def log_losses(self, horizon: str, field: str = "final") -> dict[int, np.ndarray]:
        """By place of the grid, the log loss of each seed; only rates that all seeds have."""
        found: dict[int, dict[int, float]] = {}
        for key, record in self.runs.items():
            of, place, seed = key.split("|")
            if of in RUNS_OF.get(horizon, (horizon,)):
                value = record[field].get(horizon)
                log = np.inf if value is None else float(np.log(max(value, SCORE["floor"])))
                found.setdefault(int(place), {})[int(seed)] = log
        seeds = RUN["seeds"]
        return {
            place: np.array([of[s] for s in seeds])
            for place, of in sorted(found.items())
            if all(s in of for s in seeds)
        }

    def best(self, horizon: str, field: str = "final") -> int | None:
        """The place with the smallest mean log loss; None where all diverged or none is there."""
        means = {place: of.mean() for place, of in self.log_losses(horizon, field).items()}
        there = {place: value for place, value in means.items() if np.isfinite(value)}
        return min(there, key=lambda place: (there[place], place)) if there else None

    def next_place(self, horizon: str) -> int | None:
        """The place to run next, by the rule of the protocol; None where the grid is whole."""
        there = self.log_losses(horizon)
        middle = GRID["middle"][self.optimizer]
        if horizon == "6000-cosine":
            found = self.best("1500-cosine")
            if found is None:
                return None
            middle = found
        for place in (middle, middle - 1, middle + 1):
            if place not in there:
                return place
        best = self.best(horizon)
        if best is None:
            wanted = [min(there) - 1]
        else:
            steps = range(1, GRID["sides"][horizon] + 1)
            wanted = [best + side * step for side in (-1, 1) for step in steps]
        allowed = range(GRID["lowest"], GRID["highest"] + 1)
        return next((p for p in wanted if p not in there and p in allowed), None)

    def complete(self, horizon: str) -> None:
        """Runs what the grid of a horizon lacks."""
        which = task(self.name)
        while (place := self.next_place(horizon)) is not None:
            for seed in RUN["seeds"]:
                key = f"{horizon}|{place}|{seed}"
                if key not in self.runs:
                    self.runs[key] = train(which, self.optimizer, seed, rate(place), horizon)
                    self.write()
            print(f"{self.name} {self.optimizer} {horizon} {rate(place):.2g}", flush=True)


def report(tasks: list[str]) -> str:
    """Best rate and loss of each horizon, beside the constant predictor's."""
    head = ["task, optimizer", "constant predictor", *HORIZONS, "CPU s"]
    lines = [head, ["---"] * len(head)]
    for name in tasks:
        for each in OPTIMIZERS:
            case = Case(name, each)
            cells = []
            for horizon in HORIZONS:
                best = case.best(horizon)
                whole = best is not None and case.next_place(horizon) is None
                loss = np.exp(case.log_losses(horizon)[best].mean()) if whole else 0
                cells.append(
                    f"{loss:.4g} at {rate(best):.2g}" if whole and best is not None else ""
                )
            spent = sum(r["cpu_s"] for r in case.runs.values())
            lines.append([f"{name}, {each}", f"{task(name).constant:.4g}", *cells, f"{spent:.0f}"])
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--horizons", nargs="+", choices=HORIZONS, default=list(HORIZONS))
    parser.add_argument("--report", action="store_true", help="print what is there, run nothing")
    asked = parser.parse_args()
    if lacking := [words for name in asked.tasks if (words := missing(name))]:
        sys.exit("; ".join(dict.fromkeys(lacking)))
    if asked.report:
        print(report(asked.tasks))
        return
    torch.set_num_threads(1)
    RESULTS.mkdir(exist_ok=True)
    for horizon in ("1500", "200", "1500-cosine", "6000-cosine"):
        for name in asked.tasks if horizon in asked.horizons else ():
            for each in OPTIMIZERS:
                with alone(f"{name}.{each}", RESULTS) as mine:
                    if mine:
                        Case(name, each).complete(horizon)


if __name__ == "__main__":
    main()
