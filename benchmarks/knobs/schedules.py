"""Which schedule ends lowest, each at the peak rate that is advised for it? Development tasks.

    python benchmarks/knobs/schedules.py           what is missing of results/schedules.json
    python benchmarks/knobs/schedules.py --report  the tables of what is there

AdamW from each seed's initial weights, 200 and 1,500 steps, a warm-up of a twentieth: constant,
cosine, linear, and wsd (constant, and linear to 0 over the last fifth), each at what
``nakami.learning_rate(..., steps=, schedule=, warmup=)`` advises for it. Final losses are compared
with the best constant rate of the protocol's grid, as regret. About ``12 x 4 x 2 x 1,700`` steps of
1 to 26 ms: 25 minutes of one core. Only the development tasks: what is seen here may change
defaults.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.knobs import score
from benchmarks.knobs.advice import by_cost
from benchmarks.knobs.kept import DEVELOPMENT, asked, read, write
from benchmarks.knobs.sweep import RESULTS, Case, Update, train
from benchmarks.knobs.tasks import PROTOCOL, RUN, Task, optimizer, task
from benchmarks.lr.advice import table

SCHEDULES = ("constant", "cosine", "linear", "wsd")
HORIZONS = ("200", "1500")
WARMUP = 20  # steps for each one of the warm-up
CLOSE = 0.02  # log losses that differ by less count as equal
PATH = RESULTS / "schedules.json"


def one(which: Task, horizon: str, schedule: str, seed: int) -> dict[str, Any]:
    """Advised peak, and the final loss of the training with it."""
    import nakami

    steps = PROTOCOL["horizon"][horizon]["steps"]
    model = which.model(seed)
    found = nakami.learning_rate(
        model, which.batches(seed, "advice"), which.loss(), optimizer("adamw", model, 1e-3),
        steps=steps, schedule=schedule, warmup=steps // WARMUP,
    )  # fmt: skip
    peak = found.advised
    if peak is None:
        return {"rate": None, "final": None}

    def own(_: Task, model: nn.Module, __: int) -> Update:
        made = optimizer("adamw", model, peak)
        return Update(made, peak, factor=lambda t: found.factor(t) or 0.0)

    run = train(which, "adamw", seed, peak, horizon, own)
    return {"rate": peak, "final": run["final"][horizon], "cpu_s": run["cpu_s"]}


def regrets(runs: dict[str, dict[str, Any]], horizon: str) -> dict[str, dict[str, float]]:
    """By task and schedule, where all schedules are there: mean log loss over the grid's best."""
    found: dict[str, dict[str, float]] = {}
    for name in DEVELOPMENT:
        keys = [[f"{horizon}|{name}|{s}|{seed}" for seed in RUN["seeds"]] for s in SCHEDULES]
        if all(key in runs for key in itertools.chain(*keys)):
            case = Case(name, "adamw")
            best = case.log_losses(horizon)[case.best(horizon)]  # type: ignore[index]
            found[name] = {
                schedule: score.regret([runs[key]["final"] for key in own], best)
                for schedule, own in zip(SCHEDULES, keys, strict=True)
            }
    return found


def report(runs: dict[str, dict[str, Any]]) -> str:
    told = []
    for horizon in HORIZONS:
        found = regrets(runs, horizon)
        if not found:
            continue
        rows = [[name, *(f"{each[s]:.3f}" for s in SCHEDULES)] for name, each in found.items()]
        every = {s: np.array([each[s] for each in found.values()]) for s in SCHEDULES}
        rows += [
            ["**median**", *(f"{np.median(r):.3f}" for r in every.values())],
            ["**mean of min(., 1)**", *(f"{np.minimum(r, 1).mean():.3f}" for r in every.values())],
            ["**passed (0.1)**", *(f"{(r <= 0.1).sum()} of {len(r)}" for r in every.values())],
            [
                "**lower, higher than cosine**",
                *(
                    f"{(r < every['cosine'] - CLOSE).sum()}, {(r > every['cosine'] + CLOSE).sum()}"
                    for r in every.values()
                ),
            ],
        ]
        told.append(f"{horizon} steps, regret\n\n{table(['task', *SCHEDULES], rows)}")
    return "\n".join(told)


def main() -> None:
    names, runs = asked(__doc__), read(PATH)
    for horizon, name in itertools.product(HORIZONS, by_cost(names)):
        for schedule, seed in itertools.product(SCHEDULES, RUN["seeds"]):
            key = f"{horizon}|{name}|{schedule}|{seed}"
            if key not in runs:
                runs[key] = one(task(name), horizon, schedule, seed)
                write(PATH, runs)
        print(f"{name}, {horizon} steps", flush=True)
    print(report(runs))


if __name__ == "__main__":
    main()
