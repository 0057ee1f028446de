"""Advice against the grid: rates advised before training, judged by the second protocol.

    python benchmarks/knobs/advice.py --horizons 200        development tasks, what is missing
    python benchmarks/knobs/advice.py --anew --methods nakami
    python benchmarks/knobs/advice.py --role "held back"    once; again only with --because
    python benchmarks/knobs/advice.py --report              the tables of what is there

Each method (``methods.py``) gives for each seed a rate, or a setting of its own, from the seed's
initial weights and batches in its own order; the model is then trained with it as ``sweep.py``
trains, and compared with the best rate of the grid, which must be there. A rate of the grid takes
the grid's run. Peers that are not installed are left out (``../requirements.txt``).

Costs are in gradients on one batch, and in CPU seconds of the advice over those of the training
(the median of the grid's runs); before the clock runs, each method is called once on a small task,
so that imports do not count, nor does reading files. A setting of its own costs nothing before the
training. Results: ``results/advice.<role>.json``, written after every case.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import json
import logging
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.knobs import score, summary
from benchmarks.knobs.methods import METHODS, Asked, Own, advise
from benchmarks.knobs.sweep import RESULTS, RUN, Case, Record, train
from benchmarks.knobs.tasks import (
    HORIZONS,
    OPTIMIZERS,
    PROTOCOL,
    TASKS,
    Task,
    missing,
    optimizer,
    task,
)

ROLES = ("development", "held back")
SMALL = "committee"  # the task on which methods are called first


def key_of(method: str, horizon: str, name: str, each: str) -> str:
    return "/".join((method, horizon, name, each))


def judge(
    which: Task, name: str, horizon: str, method: str, grid: Case, twin: Record | None = None
) -> Record:
    """One method on one task, optimizer and horizon, all seeds.

    ``twin`` is what was found in a case that is the same to the method.
    """
    runs = (
        twin["runs"] if twin else [one(which, name, horizon, method, grid, s) for s in RUN["seeds"]]
    )
    final, validation = ([run[what] for run in runs] for what in ("final", "validation"))
    seconds = score.training_seconds(grid, horizon)
    steps = PROTOCOL["horizon"][horizon]["steps"]
    return {
        **score.judged(grid, horizon, final, validation, which.constant),
        "cost_share": float(np.mean([run["cost"] for run in runs])) / steps,
        "cpu_share": float(np.mean([run["advice_cpu_s"] for run in runs])) / seconds,
        "training_cpu_s": round(seconds, 3),
        "runs": runs,
    }


def one(which: Task, name: str, horizon: str, method: str, grid: Case, seed: int) -> Record:
    """One seed: what was said, what it cost, and how the training with it ended."""
    model = which.model(seed)
    asked = Asked(which, model, optimizer(name, model, 1e-3), name, horizon, seed)
    next(asked.batches())  # files are read before the clock runs
    began = time.process_time()
    said = advise(method, asked)
    spent = time.process_time() - began
    made = {"advice_cpu_s": round(spent, 4), "more": said.more, "place": None}
    if isinstance(said, Own):
        made |= {"rate": None, "cost": said.cost, "refused": False}
        run = train(which, name, seed, np.nan, horizon, said.make)
    else:
        usable = said.rate is not None and np.isfinite(said.rate) and said.rate > 0
        rate = float(said.rate) if usable else None
        made |= {"rate": rate, "cost": said.cost, "refused": not usable}
        run = {"final": {}, "validation": {}, "cpu_s": 0.0}
        if rate is not None:
            found = score.grid_run(grid, horizon, rate, seed)
            if found:
                made["place"], run = found
            else:
                run = train(which, name, seed, rate, horizon)
    ended = {of: run[of].get(horizon) for of in ("final", "validation")}
    return {**made, **ended, "cpu_s": run["cpu_s"]}


def path(role: str, folder: Path = RESULTS) -> Path:
    return folder / f"advice.{role.replace(' ', '-')}.json"


class Held:
    """The results of a role: ``runs``, what was asked for, and why; ``cases``; ``earlier`` ones."""

    def __init__(self, role: str, folder: Path = RESULTS, file: Path | None = None):
        self.role, self.path = role, file or path(role, folder)
        found = json.loads(self.path.read_text()) if self.path.exists() else {}
        self.runs: list[Record] = found.get("runs", [])
        self.cases: dict[str, Record] = found.get("cases", {})
        self.earlier: list[dict[str, Record]] = found.get("earlier", [])

    def write(self) -> None:
        """The file, whole or not at all; a line a case."""
        lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in self.cases.items())
        runs, earlier = json.dumps(self.runs), json.dumps(self.earlier)
        text = f'{{"runs": {runs},\n"cases": {{\n{lines}\n}},\n"earlier": {earlier}}}\n'
        part = self.path.with_suffix(".json.part")
        part.write_text(text)
        part.replace(self.path)

    def begin(self, asked: dict[str, list[str]], because: str, anew: bool) -> None:
        """Writes down what is asked for; refuses held-back tasks that were run, without a reason.

        ``asked`` has ``methods``, ``horizons`` and ``tasks``; ``anew`` puts the cases aside that
        are there, as does a reason. The same words after an interruption go on with that run.
        """
        wanted = {**asked, "because": because or "first run", "anew": anew, "whole": False}
        if wanted in self.runs:  # it was interrupted
            self.runs.remove(wanted)
        else:
            mine = [key for key in self.cases if _asked(key, asked)]
            done = any(each["whole"] and _common(each, asked) for each in self.runs)
            if self.role == "held back" and not because and (done or (anew and mine)):
                sys.exit(
                    "held-back tasks were run; give the reason of a further run with --because."
                )
            if mine and (anew or (self.role == "held back" and because)):
                self.earlier.append({key: self.cases.pop(key) for key in mine})
        self.runs.append(wanted)
        self.write()

    def end(self, whole: bool) -> None:
        """Writes down whether all that was asked for is there."""
        self.runs[-1]["whole"] = whole
        self.write()


def _asked(key: str, asked: dict[str, list[str]]) -> bool:
    method, horizon, name, _ = key.split("/")
    return method in asked["methods"] and horizon in asked["horizons"] and name in asked["tasks"]


def _common(run: Record, asked: dict[str, list[str]]) -> bool:
    """Whether a run had one of these tasks at one of these horizons, whichever its methods."""
    return all(set(run[of]) & set(asked[of]) for of in ("horizons", "tasks"))


def run(held: Held, asked: dict[str, list[str]], minutes: float = np.inf) -> bool:
    """Runs what is missing, cheap tasks first; True where all that was asked for is there."""
    ends, whole = time.monotonic() + 60 * minutes, True
    for horizon, name in itertools.product(asked["horizons"], asked["tasks"]):
        for each in OPTIMIZERS:
            grid = Case(name, each)
            if grid.best(horizon) is None or grid.next_place(horizon) is not None:
                print(f"{name} {each} {horizon}: the grid is not complete", flush=True)
                whole = False
                continue
            for method in asked["methods"]:
                key = key_of(method, horizon, name, each)
                if key in held.cases:
                    continue
                if time.monotonic() > ends:
                    return False
                held.cases[key] = found = judge(
                    task(name), each, horizon, method, grid, twin(held, method, horizon, name, each)
                )
                held.write()
                print(key, summary.number(found["regret"]), flush=True)
    return whole


def twin(held: Held, method: str, horizon: str, name: str, each: str) -> Record | None:
    """The case of another optimizer or schedule, where the method does not ask which."""
    of, asks = PROTOCOL["horizon"], METHODS[method]
    alike = [h for h in HORIZONS if h == horizon or asks.unscheduled]
    keys = (
        key_of(method, other, name, kind)
        for other, kind in itertools.product(alike, OPTIMIZERS if asks.same else (each,))
        if of[other]["steps"] == of[horizon]["steps"]
    )
    return next((held.cases[key] for key in keys if key in held.cases), None)


def installed(methods: list[str]) -> list[str]:
    """Those whose packages are there; the others are told."""
    there = []
    for method in methods:
        if importlib.util.find_spec(METHODS[method].package):
            there.append(method)
        else:
            print(f"{method}: {METHODS[method].package} is not installed, left out", flush=True)
    return there


def warm(methods: list[str], horizons: list[str]) -> None:
    """Calls each method once, so that what is imported and read is there."""
    which = task(SMALL)
    for method, name, horizon in itertools.product(methods, OPTIMIZERS, horizons):
        model = which.model(0)
        advise(method, Asked(which, model, optimizer(name, model, 1e-3), name, horizon, 0))


def by_cost(names: list[str]) -> list[str]:
    """Cheap tasks first, by the grid's trainings of 1500 steps."""
    return sorted(names, key=lambda n: score.training_seconds(Case(n, "adamw"), "1500"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--role", choices=ROLES, default="development")
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--horizons", nargs="+", choices=HORIZONS, default=list(HORIZONS))
    parser.add_argument("--minutes", type=float, default=np.inf, help="begin no case after these")
    parser.add_argument("--anew", action="store_true", help="run what is there again")
    parser.add_argument("--because", default="", help="why held-back tasks are run again")
    parser.add_argument("--report", action="store_true", help="print what is there, run nothing")
    said = parser.parse_args()
    held = Held(said.role)
    if not said.report:
        names = [n for n in said.tasks if PROTOCOL["task"][n]["role"] == said.role]
        if lacking := [words for name in names if (words := missing(name))]:
            sys.exit("; ".join(dict.fromkeys(lacking)))
        torch.set_num_threads(1)
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        methods = installed(said.methods)
        asked = {"methods": methods, "horizons": said.horizons, "tasks": by_cost(names)}
        held.begin(asked, said.because, said.anew)
        warm(methods, said.horizons)
        held.end(run(held, asked, said.minutes))
    print(summary.report(held.role, held.runs, held.cases))


if __name__ == "__main__":
    main()
