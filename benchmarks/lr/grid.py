"""Runs the grid of the learning-rate protocol: 8 tasks x 3 optimizers x 3 seeds x 13 rates.

    python benchmarks/lr/grid.py                      what is missing, development tasks first
    python benchmarks/lr/grid.py --tasks mlp-mnist --optimizers sgd adam
    python benchmarks/lr/grid.py --report             best rates and losses of what is there

About one CPU hour on one thread (AMD EPYC), estimated before the run: 2 (mlp-mnist) to 57 ms
(resnet-cifar) a step, 187,200 steps; the development tasks take a third of it.

Each case (task, optimizer) has one file ``results/<task>.<optimizer>.npz``: ``losses``
(3, 13, 200) float32, NaN after a run has ended; ``seconds`` of CPU (3, 13), NaN where a run is
missing; ``rates`` (13,); ``settings``. It is written whole after every run. Started again, the
script does what is missing. Several may run at once: a case that another process works on is left
to it.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.lr import score
from benchmarks.lr.tasks import OPTIMIZERS, PROTOCOL, TASKS, Task, missing, optimizer, task

RESULTS = Path(__file__).resolve().parent / "results"
RUN = PROTOCOL["run"]


def train(task: Task, name: str, seed: int, rate: float) -> np.ndarray:
    """Losses of all steps at one rate, ``(steps,)`` float32.

    A run that diverges ends at the step whose loss says so; that loss is kept, NaN follows.
    """
    losses = np.full(RUN["steps"], np.nan, np.float32)
    model, loss, batches = task.model(seed), task.loss(), task.batches(seed)
    steps = optimizer(name, model, rate)
    for t in range(RUN["steps"]):
        x, y = next(batches)
        steps.zero_grad()
        value = loss(model(x), y)
        losses[t] = value.item()
        if not losses[t] <= RUN["diverged_above"]:
            break
        value.backward()
        steps.step()
    return losses


@dataclass
class Case:
    """The grid of one task and optimizer, as far as it was run."""

    task: str
    optimizer: str
    losses: np.ndarray  # (seeds, rates, steps)
    seconds: np.ndarray  # (seeds, rates), NaN: not run

    @property
    def done(self) -> np.ndarray:
        """Which runs are there, ``(seeds, rates)``."""
        return np.isfinite(self.seconds)

    @property
    def final(self) -> np.ndarray:
        """Final losses ``(seeds, rates)``; what was not run counts as infinite."""
        return score.final_losses(self.losses)


def settings(task: str, optimizer: str) -> dict[str, Any]:
    """The part of the protocol that decides the losses of a case."""
    chosen = PROTOCOL["task"][task]
    return {
        "run": RUN,
        "task": chosen,
        "data": PROTOCOL["data"][chosen["data"]],
        "optimizer": PROTOCOL["optimizer"][optimizer],
    }


def read(task: str, optimizer: str, folder: Path = RESULTS) -> Case:
    """A case as its file has it; an empty one where there is no file."""
    shape = (len(RUN["seeds"]), RUN["rates"])
    path = folder / f"{task}.{optimizer}.npz"
    if not path.exists():
        empty = np.full((*shape, RUN["steps"]), np.nan, np.float32)
        return Case(task, optimizer, empty, np.full(shape, np.nan))
    with np.load(path) as stored:
        if json.loads(str(stored["settings"])) != settings(task, optimizer):
            sys.exit(f"{path} was made under another protocol; delete it to run the case again.")
        return Case(task, optimizer, stored["losses"], stored["seconds"])


def write(case: Case, folder: Path = RESULTS) -> None:
    """The case's file, whole or not at all."""
    path = folder / f"{case.task}.{case.optimizer}.npz"
    part = path.with_suffix(".npz.part")
    with part.open("wb") as file:
        np.savez_compressed(
            file,
            losses=case.losses,
            seconds=case.seconds,
            rates=task(case.task).rates(case.optimizer),
            settings=json.dumps(settings(case.task, case.optimizer)),
            made_with=f"torch {torch.__version__}, {platform.machine()}",
        )
    part.replace(path)


@contextmanager
def alone(name: str, folder: Path) -> Iterator[bool]:
    """Whether no other process works on this case; it is held until the block ends."""
    with (folder / f"{name}.lock.part").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def complete(which: Task, name: str, folder: Path = RESULTS) -> None:
    """Runs what is missing of a case."""
    folder.mkdir(parents=True, exist_ok=True)
    with alone(f"{which.name}.{name}", folder) as mine:
        if not mine:
            print(f"{which.name} {name}: another process works on it", flush=True)
            return
        case, rates = read(which.name, name, folder), which.rates(name)
        for s, r in np.argwhere(~case.done):
            start = time.process_time()
            case.losses[s, r] = train(which, name, RUN["seeds"][s], rates[r])
            case.seconds[s, r] = time.process_time() - start
            write(case, folder)
        print(line(case), flush=True)


def line(case: Case) -> str:
    """Best rate and losses of a case, one line of the report."""
    head = f"{case.task:24} {case.optimizer:9} {case.done.sum():3}/{case.done.size}"
    if not case.done.all():
        return f"{head}  not complete"
    final, rates = case.final, task(case.task).rates(case.optimizer)
    best = score.best_rate(final)
    regrets = [score.regret(final[:, r], final) for r in range(len(rates))]
    at = final[:, best]
    error = at.std(ddof=1) / len(at) ** 0.5
    edge = " at the edge" if best in (0, len(rates) - 1) else ""
    return (
        f"{head}  {rates[best]:8.2e} ({best + 1:2}) {at.mean():9.4g} ± {error:<8.2g}"
        f"{sum(r.passed for r in regrets):4} {np.isinf(final).sum():6}"
        f"{case.seconds.sum():8.0f}{edge}"
    )


def report(tasks: list[str], optimizers: list[str]) -> None:
    print(
        f"{'task':24} {'optimizer':9}  runs  best rate (of 13)  loss ± s.e.    pass  div.   CPU s"
    )
    for name in tasks:
        for each in optimizers:
            print(line(read(name, each)))
    print("pass: rates of the grid within the protocol's rule; div.: diverged runs of 39")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--optimizers", nargs="+", choices=OPTIMIZERS, default=list(OPTIMIZERS))
    parser.add_argument("--report", action="store_true", help="print what is there, run nothing")
    asked = parser.parse_args()
    if asked.report:
        report(asked.tasks, asked.optimizers)
        return
    torch.set_num_threads(1)
    if lacking := [words for name in asked.tasks if (words := missing(name))]:
        sys.exit("; ".join(dict.fromkeys(lacking)))
    for name in asked.tasks:
        for each in asked.optimizers:
            complete(task(name), each)


if __name__ == "__main__":
    main()
