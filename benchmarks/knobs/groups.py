"""Do a head and a body that learn at rates of their own end lower? Three development tasks, AdamW.

    python benchmarks/knobs/groups.py            what is missing of results/groups.json, then tables
    python benchmarks/knobs/groups.py --report   the tables of what is there

The head is the last layer (with its norm), the body the rest; ``finetune-vit`` has a new head on a
trained body, the others start from scratch. Rates are places of the protocol's grid, thirds of a
decade. Each horizon is run over body rates around the best common one and heads 10 times slower to
10 times faster, two seeds; the common rates are those of the sweep. Then trials: 60 steps on the
batches that an advice may read, at the best common rate and with one of the two groups 4.6 times
up or down.

Estimated before the run, by milliseconds of a step (18, 2.2, 7.7): 200 steps 270 CPU s, 1,500 steps
by cosine, with fewer places, 560 CPU s, trials 20 CPU s: 14 minutes.

Guess, written before the run: at 200 steps ``finetune-vit`` gains 0.10 in the log loss with a head
about 3 times faster than the body, and 0.05 by cosine; ``speech-cnn`` less than 0.08 (its losses
are small, so that the logarithm is noisy), ``lm-shakespeare`` less than 0.03. Trials of 20 to 60
steps choose too fast a head where it is new.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.knobs.sweep import Case, Update, rate, train
from benchmarks.knobs.tasks import PROTOCOL, RUN, Task, factor, missing, task

HEADS = {"finetune-vit": "head.", "speech-cnn": "body.6.", "lm-shakespeare": "output."}
BODIES = (-1, 0, 1)  # places around the best common one
WANTED = {  # places of the head above the body's: all of three bodies, or a few
    "200": {name: [(b, r) for b in BODIES for r in range(-3, 4)] for name in HEADS},
    "1500-cosine": {
        "speech-cnn": [(b, r) for b in BODIES for r in range(-3, 4)],
        "finetune-vit": [(0, -2), (0, 2), (-1, 2), (-1, 3)],
        "lm-shakespeare": [(0, -2), (0, 2), (-1, 2), (1, -2)],
    },
}
STEPS, APART = 60, 2  # of a trial, and places between its rates
LENGTHS = (20, 40, 60)
TRIED = {"both": (0, 0), "head up": (0, APART), "head down": (0, -APART),
         "body up": (APART, 0), "body down": (-APART, 0)}  # fmt: skip
RESULTS = Path(__file__).resolve().parent / "results" / "groups.json"
Found = dict[str, dict[str, Any]]


def adamw(name: str, model: nn.Module, body: float, head: float) -> Optimizer:
    """The protocol's AdamW in two groups: body, head."""
    parts: tuple[list[nn.Parameter], ...] = ([], [])
    for key, p in model.named_parameters():
        parts[key.startswith(HEADS[name])].append(p)
    groups = [{"params": part, "lr": lr} for part, lr in zip(parts, (body, head), strict=True)]
    return AdamW(groups, **PROTOCOL["optimizer"]["adamw"]["settings"])


def scheduled(
    task: Task, model: nn.Module, seed: int, *, rates: tuple[float, float], horizon: str
) -> Update:
    """Both rates times the factor of the horizon, from step to step."""
    optimizer = adamw(task.name, model, *rates)
    course = LambdaLR(optimizer, partial(factor, horizon))
    optimizer.register_step_post_hook(lambda *_: course.step())
    return Update(optimizer, None)


def middle(name: str, horizon: str) -> int:
    """The best common place of the sweep."""
    found = Case(name, "adamw").best(horizon)
    assert found is not None
    return found


def fill(found: Found, name: str, horizon: str) -> None:
    """The runs of a task and horizon that are missing."""
    at = middle(name, horizon)
    for b, r in WANTED[horizon].get(name, []):
        for seed in RUN["seeds"]:
            key = f"{name}|{horizon}|{at + b}|{r}|{seed}"
            if r == 0 or key in found["runs"]:
                continue
            rates = rate(at + b), rate(at + b + r)
            made = train(
                task(name), "adamw", seed, rates[0], horizon,
                partial(scheduled, rates=rates, horizon=horizon),
            )  # fmt: skip
            found["runs"][key] = {"final": made["final"][horizon], "cpu_s": made["cpu_s"]}
            write(found)
            print(key, found["runs"][key], flush=True)


def tried(found: Found, name: str) -> None:
    """The losses of the trials that are missing."""
    of, at = task(name), middle(name, "200")
    for words, (b, h) in TRIED.items():
        for seed in RUN["seeds"]:
            key = f"{name}|{words}|{seed}"
            if key in found["trials"]:
                continue
            model, loss, batches = of.model(seed), of.loss(), of.batches(seed, "advice")
            optimizer, losses = adamw(name, model, rate(at + b), rate(at + h)), list[float]()
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(RUN["dropout_seed"] + seed)
                for _ in range(STEPS):
                    x, y = next(batches)
                    optimizer.zero_grad()
                    value = loss(model(x), y)
                    losses.append(float(f"{value.item():.4g}"))
                    value.backward()
                    optimizer.step()
            found["trials"][key] = {"losses": losses}
            write(found)


def log_losses(found: Found, name: str, horizon: str) -> dict[tuple[int, int], np.ndarray]:
    """Log final losses of the seeds, by places of body and head; the common ones are the sweep's."""
    there = {(p, p): of for p, of in Case(name, "adamw").log_losses(horizon).items()}
    for key in found["runs"]:
        of, at, body, ratio, _ = key.split("|")
        if (of, at) == (name, horizon):
            ends = [found["runs"].get(f"{key[:-1]}{seed}") for seed in RUN["seeds"]]
            if None not in ends:
                logs = [np.log(end["final"]) if end["final"] else np.inf for end in ends]  # type: ignore[index]
                there[int(body), int(body) + int(ratio)] = np.array(logs)
    return there


def gained(found: Found, name: str, horizon: str) -> tuple[str, ...] | None:
    """Best common rate, best pair, gain by both seeds, and by a pair chosen on the other seed."""
    there = log_losses(found, name, horizon)
    common = {key: of for key, of in there.items() if key[0] == key[1]}
    if len(common) == len(there):
        return None
    one, two = (min(each, key=lambda k: each[k].mean()) for each in (common, there))
    gain = float((there[one] - there[two]).mean())
    crossed = []
    for seed in RUN["seeds"]:
        other = 1 - seed
        chosen = [min(each, key=lambda k: each[k][other]) for each in (common, there)]
        crossed.append(float(there[chosen[0]][seed] - there[chosen[1]][seed]))
    at = f"body {rate(two[0]):.2g}, head {rate(two[1]):.2g}"
    cells = (f"{name}, {horizon}", f"{there[one].mean():.3f} at {rate(one[0]):.2g}")
    return (*cells, f"{there[two].mean():.3f} at {at}", f"{gain:.3f}",
            ", ".join(f"{each:+.3f}" for each in crossed))  # fmt: skip


def by_ratio(found: Found, name: str, horizon: str) -> str:
    """The best log loss of each ratio, over the body's rates."""
    best = dict[int, float]()
    for (body, head), of in log_losses(found, name, horizon).items():
        best[head - body] = min(best.get(head - body, np.inf), float(of.mean()))
    return ", ".join(f"{10 ** (r / 3):.2g}: {best[r]:.3f}" for r in sorted(best))


def paired(losses: list[float], base: list[float]) -> tuple[float, float]:
    """Mean fall of the log loss over the last third of two trials, and its standard error."""
    last = max(2, len(base) // 3)
    each = np.log(base[-last:]) - np.log(losses[-last:])
    return float(each.mean()), float(each.std(ddof=1) / np.sqrt(last))


def verdicts(found: Found, name: str) -> list[tuple[str, ...]]:
    """What trials say of each change, beside what it brings at 200 steps, seed by seed."""
    there, at = log_losses(found, name, "200"), middle(name, "200")
    lines = list[tuple[str, ...]]()
    for words, (b, h) in list(TRIED.items())[1:]:
        for seed in RUN["seeds"]:
            pair = [found["trials"].get(f"{name}|{each}|{seed}") for each in (words, "both")]
            if None in pair:
                continue
            mine, base = (each["losses"] for each in pair)  # type: ignore[index]
            said = [paired(mine[:n], base[:n]) for n in LENGTHS]
            place = (at + b, at + h)
            true = f"{there[at, at][seed] - there[place][seed]:+.3f}" if place in there else ""
            cells = (f"{gain:+.3f} ({error:.3f})" for gain, error in said)
            lines.append((f"{name}, {words}, seed {seed}", *cells, true))
    return lines


def table(head: tuple[str, ...], lines: list[tuple[str, ...]]) -> str:
    rows = [head, ("---",) * len(head), *lines]
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)


def report(found: Found) -> str:
    cases = [(name, horizon) for horizon in WANTED for name in HEADS]
    gains = [line for case in cases if (line := gained(found, *case))]
    head = ("task, horizon", "best common", "best pair", "gain", "chosen on the other seed")
    parts = [table(head, gains), "Best log loss by head over body:\n"]
    parts += [f"{name}, {horizon}: {by_ratio(found, name, horizon)}\n" for name, horizon in cases]
    said = [line for name in HEADS for line in verdicts(found, name)]
    head = ("trial", *(f"{n} steps" for n in LENGTHS), "at 200 steps")
    parts += ["\nFall of the log loss below that at the common rate (standard error):\n"]
    spent = sum(run["cpu_s"] for run in found["runs"].values())
    return "\n".join([*parts, table(head, said), f"{spent:.0f} CPU s of trainings."])


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
        for name in HEADS:
            tried(found, name)
        for horizon in WANTED:
            for name in HEADS:
                fill(found, name, horizon)
        print(f"{time.process_time() - began:.0f} CPU s")
    print(report(found))


if __name__ == "__main__":
    main()
