"""Do a head and a body that learn at rates of their own end lower? Three development tasks.

    python benchmarks/knobs/groups.py            what is missing of results/groups.json, then tables
    python benchmarks/knobs/groups.py --report   the tables of what is there

The head is the last layer (with its norm), the body the rest; ``finetune-vit`` has a new head on a
trained body, the others start from scratch. Rates are places of the protocol's grid, thirds of a
decade. Each horizon is run over body rates around the best common one and heads 10 times slower to
10 times faster, two seeds; the common rates are those of the sweep. Then trials: 60 steps on the
batches that an advice may read, at the best common rate and with one of the two groups 4.6 times
up or down.

Estimated before the run, by milliseconds of a step (18, 2.2, 7.7): 200 steps 270 CPU s, 1,500 steps
by cosine, with fewer places, 560 CPU s, trials 20 CPU s: 14 minutes. 200 steps of momentum were
added after the results of AdamW: two minutes more. It took 15 CPU minutes in all.

Guess, written before the run: at 200 steps ``finetune-vit`` gains 0.10 in the log loss with a head
about 3 times faster than the body, and 0.05 by cosine; ``speech-cnn`` less than 0.08 (its losses
are small, so that the logarithm is noisy), ``lm-shakespeare`` less than 0.03. Trials of 20 to 60
steps choose too fast a head where it is new. For momentum, written before its run: steps are as
long as gradients, so more than AdamW: 0.1 or more on ``finetune-vit`` and ``lm-shakespeare``.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.knobs.sweep import Case, Update, rate, train
from benchmarks.knobs.tasks import RUN, Task, factor, missing, optimizer, task

HEADS = {"finetune-vit": "head.", "speech-cnn": "body.6.", "lm-shakespeare": "output."}
BODIES = (-1, 0, 1)  # places around the best common one
BODY_MOVED = [(2, -2), (-2, 2)]  # what two of the trials try
ALL = [*((b, r) for b in BODIES for r in range(-3, 4)), *BODY_MOVED]
FEW = [(0, -2), (0, 2), (-1, 2)]
WANTED = {  # places of the body from the best common one, and of the head above it
    ("adamw", "200"): dict.fromkeys(HEADS, ALL),
    ("momentum", "200"): {
        "finetune-vit": [*((b, r) for b in BODIES for r in (-2, 2)), *BODY_MOVED],
        "speech-cnn": ALL, "lm-shakespeare": ALL,
    },
    ("adamw", "1500-cosine"): {
        "finetune-vit": FEW, "speech-cnn": ALL[: -len(BODY_MOVED)],
        "lm-shakespeare": FEW[:2],
    },
}  # fmt: skip
CASES = [(name, of, horizon) for of, horizon in WANTED for name in HEADS]
STEPS, APART = 60, 2  # of a trial, and places between its rates
TRIED = {"both": (0, 0), "head up": (0, APART), "head down": (0, -APART),
         "body up": (APART, 0), "body down": (-APART, 0)}  # fmt: skip
RESULTS = Path(__file__).resolve().parent / "results" / "groups.json"
Found = dict[str, dict[str, Any]]
Pair = tuple[int, int]
Losses = list[float | None]


def grouped(name: str, of: str, model: nn.Module, body: float, head: float) -> Optimizer:
    """The protocol's optimizer in two groups: body, head."""
    made = optimizer(of, model, body)
    group = made.param_groups[0]
    last = [p for key, p in model.named_parameters() if key.startswith(HEADS[name])]
    group["params"] = [p for p in group["params"] if all(p is not other for other in last)]
    made.add_param_group({"params": last, "lr": head})
    return made


def scheduled(
    task: Task, model: nn.Module, seed: int, *, rates: tuple[float, float], of: str, horizon: str
) -> Update:
    """Both rates times the factor of the horizon, from step to step."""
    made = grouped(task.name, of, model, *rates)
    course = LambdaLR(made, partial(factor, horizon))
    made.register_step_post_hook(lambda *_: course.step())
    return Update(made, None)


def middle(name: str, of: str, horizon: str) -> int:
    """The best common place of the sweep."""
    found = Case(name, of).best(horizon)
    assert found is not None
    return found


def fill(found: Found, name: str, of: str, horizon: str) -> None:
    """The runs of a case that are missing."""
    at = middle(name, of, horizon)
    for b, r in WANTED[of, horizon][name]:
        for seed in RUN["seeds"]:
            key = f"{name}|{of}|{horizon}|{at + b}|{r}|{seed}"
            if r == 0 or key in found["runs"]:
                continue
            rates = rate(at + b), rate(at + b + r)
            made = train(
                task(name), of, seed, rates[0], horizon,
                partial(scheduled, rates=rates, of=of, horizon=horizon),
            )  # fmt: skip
            found["runs"][key] = {"final": made["final"][horizon], "cpu_s": made["cpu_s"]}
            write(found)
            print(key, found["runs"][key], flush=True)


def tried(found: Found, name: str, of: str) -> None:
    """The losses of the trials that are missing."""
    its, at = task(name), middle(name, of, "200")
    for words, (b, h) in TRIED.items():
        for seed in RUN["seeds"]:
            key = f"{name}|{of}|{words}|{seed}"
            if key in found["trials"]:
                continue
            model, loss, batches = its.model(seed), its.loss(), its.batches(seed, "advice")
            steps = grouped(name, of, model, rate(at + b), rate(at + h))
            losses: Losses = []
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(RUN["dropout_seed"] + seed)
                for _ in range(STEPS):
                    x, y = next(batches)
                    steps.zero_grad()
                    value = loss(model(x), y)
                    each = value.item()
                    losses.append(float(f"{each:.4g}") if isfinite(each) else None)
                    value.backward()
                    steps.step()
            found["trials"][key] = {"losses": losses}
            write(found)


def write(found: Found) -> None:
    lines = (
        f'"{part}": {{\n'
        + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in found[part].items())
        + "\n}"
        for part in found
    )
    new = RESULTS.with_suffix(".part")
    new.write_text("{" + ",\n".join(lines) + "}\n")
    new.replace(RESULTS)


def main() -> None:
    from benchmarks.knobs.groups_tables import report

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--report", action="store_true", help="print what is there, run nothing")
    asked = parser.parse_args()
    found: Found = {"runs": {}, "trials": {}}
    if RESULTS.exists():
        found = json.loads(RESULTS.read_text())
    if not asked.report:
        if lacking := [words for name in HEADS if (words := missing(name))]:
            sys.exit("; ".join(dict.fromkeys(lacking)))
        torch.set_num_threads(1)
        began = time.process_time()
        for name, of, horizon in CASES:
            if horizon == "200":
                tried(found, name, of)
            fill(found, name, of, horizon)
        print(f"{time.process_time() - began:.0f} CPU s")
    print(report(found))


if __name__ == "__main__":
    main()
