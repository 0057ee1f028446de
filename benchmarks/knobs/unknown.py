"""Cases made for "I don't know", by the second protocol, and how often it is said wrongly.

    python benchmarks/knobs/unknown.py             what is missing, twelve cases and development
    python benchmarks/knobs/unknown.py --anew --because "another engine"
    python benchmarks/knobs/unknown.py --report    the tables of what is there

Nothing is to be gained in the twelve cases of ``[unknown]``. Right is no rate, or a rate with a
note whose ``converged`` is False; a method that fails is not right. The protocol asks at 200 steps,
where a budget of 3 % pays one gradient and no trial; 1,500 steps are asked beyond it. The other
way, on development tasks: doubt is wrong where the best rate of the grid brings the loss below 0.98
of the best constant predictor's. Held-back tasks are not asked here.

``trained`` needs the grid of 6,000 steps of its task, and trains that long once; weights stay in
``--weights``, outside git. Results: ``results/unknown.json``, written after every case.
"""

from __future__ import annotations

import argparse
import itertools
import logging
import sys
import time
import warnings
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.knobs.advice import Held, key_of, twin, warm
from benchmarks.knobs.methods import Asked, Own, advise
from benchmarks.knobs.sweep import RESULTS, RUN, Case, Record
from benchmarks.knobs.tasks import (
    OPTIMIZERS,
    PROTOCOL,
    TASKS,
    Task,
    missing,
    optimizer,
    task,
)
from benchmarks.knobs.unknown_cases import CASES, LONG, WEIGHTS, made
from benchmarks.lr.advice import table

DEVELOPMENT = tuple(n for n in TASKS if PROTOCOL["task"][n]["role"] == "development")
ASKED = ("nakami", "nakami tune")
STEPS = ("200", "1500")  # horizons; the protocol's is the first
OPEN = "AT_END"  # the search did not end: a doubt about the rate, not about what can be learned
BELOW = 0.98  # of the constant predictor's loss: something was learned
TITLES = {
    CASES: "seeds doubted, which is right",
    DEVELOPMENT: "seeds doubted, which is wrong where something can be learned",
}


def lacking(case: str) -> str:
    """What a case needs and is not there, in words."""
    kind, _, name = case.rpartition(": ")
    words = missing(name)
    if not words and kind == "trained":
        grid = Case(name, "adamw")
        if grid.best(LONG) is None or grid.next_place(LONG) is not None:
            words = f"the grid of {name}, adamw, {LONG} is not complete"
    return words


def ask(which: Task, method: str, horizon: str, name: str, seed: int) -> Record:
    """What is said for one seed, and what that cost."""
    model, loss = which.model(seed), which.loss()
    asked = Asked(which, model, optimizer(name, model, 1e-3), name, horizon, seed)
    x, y = next(asked.batches())
    with torch.no_grad():
        start = float(loss(which.model(seed).eval()(x), y))
    began = time.process_time()
    said = advise(method, asked)
    spent = time.process_time() - began
    found = said.more["rate"] if isinstance(said, Own) else said.rate
    return {
        "rate": found, "doubts": said.more.get("doubts", []), "failed": "failed" in said.more,
        "cost": said.cost, "cpu_s": round(spent, 4), "start": start, "more": said.more,
    }  # fmt: skip


def doubted(run: Record) -> bool:
    """Whether it was said that no rate is known; a failure is no such answer."""
    return not run["failed"] and (run["rate"] is None or bool(run["doubts"]))


def learned(case: str, name: str, horizon: str) -> bool | None:
    """Whether the best rate of a development task's grid learns; None of the protocol's cases."""
    if case in CASES:
        return None
    grid = Case(case, name)
    best = grid.best(horizon)
    if best is None:
        return False
    return bool(np.exp(grid.log_losses(horizon)[best].mean()) < BELOW * task(case).constant)


def run(held: Held, asked: dict[str, list[str]], weights: Path = WEIGHTS) -> bool:
    """Runs what is missing; True where all that was asked for is there."""
    whole = True
    for case in asked["tasks"]:
        if words := lacking(case):
            print(f"{case}: left out, {words}", flush=True)
            whole = False
            continue
        which = made(case, weights)
        for each in itertools.product(asked["methods"], asked["horizons"], OPTIMIZERS):
            method, horizon, name = each
            key = key_of(method, horizon, case, name)
            if key not in held.cases:
                same = twin(held, method, horizon, case, name)
                runs = same["runs"] if same else [ask(which, *each, s) for s in RUN["seeds"]]
                held.cases[key] = {
                    "doubted": [doubted(run) for run in runs],
                    "learned": learned(case, name, horizon),
                    "constant": which.constant,
                    "runs": runs,
                }
                held.write()
                print(key, shown(held.cases[key]), flush=True)
    return whole


def shown(found: Record) -> str:
    """How many seeds were doubted, and why."""
    runs = found["runs"]
    why = dict.fromkeys(itertools.chain.from_iterable(run["doubts"] for run in runs))
    why |= {words: None for words in ("no rate", "failed") if any(_is(run, words) for run in runs)}
    return f"{sum(found['doubted'])} of {len(runs)}" + (f" ({', '.join(why)})" if why else "")


def _is(run: Record, words: str) -> bool:
    return bool(run["failed"]) if words == "failed" else run["rate"] is None


def report(cases: dict[str, Record]) -> str:
    """Doubt by case and horizon: where it is right, and where it is wrong."""
    told = []
    asked = list(itertools.product(ASKED, OPTIMIZERS))
    heads = ["case", *(", ".join(each) for each in asked)]
    for horizon, (names, title) in itertools.product(STEPS, TITLES.items()):
        columns = [
            [cases.get(key_of(method, horizon, case, name)) for case in names]
            for method, name in asked
        ]
        rows = [
            [case, *(shown(found) if found else "" for found in row)]
            for case, row in zip(names, zip(*columns, strict=True), strict=True)
        ]
        for words, without in (("all", ""), (f"without {OPEN}", OPEN)):
            counts = [count(filter(None, column), without) for column in columns]
            rows.append([f"**{words}**", *counts])
        beyond = "" if horizon == STEPS[0] else ", beyond the protocol"
        told.append(f"{horizon} steps{beyond}: {title}\n\n{table(heads, rows)}")
    return "\n".join(told)


def count(found: Iterable[Record], without: str = "") -> str:
    """Doubted seeds, of those where nothing or where something can be learned; a note left out."""
    seeds = [
        doubted({**run, "doubts": [note for note in run["doubts"] if note != without]})
        for case in found
        if case["learned"] is not False
        for run in case["runs"]
    ]
    return f"{sum(seeds)} of {len(seeds)}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    every = [*CASES, *DEVELOPMENT]
    parser.add_argument("--cases", nargs="+", choices=every, default=every)
    parser.add_argument("--methods", nargs="+", choices=ASKED, default=list(ASKED))
    parser.add_argument("--horizons", nargs="+", choices=STEPS, default=list(STEPS))
    parser.add_argument("--weights", type=Path, default=WEIGHTS, help="folder of trained weights")
    parser.add_argument("--anew", action="store_true", help="run what is there again")
    parser.add_argument("--because", default="", help="why it is run again")
    parser.add_argument("--report", action="store_true", help="print what is there, run nothing")
    said = parser.parse_args()
    held = Held("unknown", file=RESULTS / "unknown.json")
    if not said.report:
        torch.set_num_threads(1)
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        asked = {"methods": said.methods, "horizons": said.horizons, "tasks": said.cases}
        held.begin(asked, said.because, said.anew)
        warm(said.methods, said.horizons)
        held.end(run(held, asked, said.weights))
    print(report(held.cases))


if __name__ == "__main__":
    main()
