"""Where the constants of ``learning_rate(..., steps=)`` come from: the development tasks alone.

    python benchmarks/knobs/calibrate.py

Reads the grid of the twelve development tasks (``sweep.py``) and one gradient of each; prints

* how far the best rate of 20 steps lies from what one gradient says (each task left out in turn),
  also where the loss is a function that is below 0, so that its size says nothing;
* by how much short trials (beginnings of the grid's constant runs) must be moved to choose the best
  rate of 200 or 1,500 steps, and how well they then choose, for the same and the other seed;
* how well the whole grid of one seed chooses for the other;
* where AdamW by cosine ended below the others, each at its best rate.

Regrets are read between neighbouring rates of the grid by straight lines of the log loss.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks.knobs.kept import DEVELOPMENT
from benchmarks.knobs.sweep import BLOCK, RUNS_OF, Case
from benchmarks.knobs.tasks import OPTIMIZERS, RUN, missing, optimizer, task

SHORT = ("200", "1500", "1500-cosine")
LENGTHS = (10, 20, 30, 60, 90, 120, 200)
SHIFTS = np.arange(-3, 2.01, 0.25)
DIVERGED = 9.0  # log loss that stands for it
BELOW, ABOVE = 0.3, 1.0  # regret of a step of the grid beyond its ends


def vertex(scores: dict[int, float]) -> float:
    """The best place, by a parabola through it and its neighbours."""
    best = min(scores, key=lambda p: (scores[p], p))
    if best - 1 not in scores or best + 1 not in scores:
        return float(best)
    below, here, above = (scores[best + way] for way in (-1, 0, 1))
    below, above = min(below, here + 2), min(above, here + 2)
    bend = below - 2 * here + above
    return best + float(np.clip((below - above) / (2 * bend), -0.5, 0.5)) if bend > 0 else best


def regret(case: Case, horizon: str, place: float, seed: int) -> float:
    """Of a place between those of the grid, for one seed."""
    logs = case.log_losses(horizon)
    places = sorted(logs)
    values = np.array([min(logs[p][seed], DIVERGED) for p in places])
    best = min(logs[case.best(horizon)][seed], DIVERGED)  # type: ignore[index]
    if place < places[0]:
        return float(values[0] - best + BELOW * (places[0] - place))
    if place > places[-1]:
        return float(values[-1] - best + ABOVE * (place - places[-1]))
    return float(np.interp(place, places, values) - best)


def trial(case: Case, seed: int, steps: int) -> float:
    """The place that the beginnings of a seed's constant runs choose."""
    blocks, scores = steps // BLOCK, dict[int, float]()
    last = max(1, blocks // 3)
    for key, record in case.runs.items():
        of, place, own = key.split("|")
        if of in RUNS_OF["200"] and int(own) == seed:
            course = np.maximum(record["course"][:blocks], 1e-12)
            whole = len(course) == blocks
            scores[int(place)] = float(np.log(course[-last:]).mean()) if whole else DIVERGED
    return vertex(scores)


def told(regrets: Iterable[float]) -> str:
    r = np.array(list(regrets))
    passed = f"{int((r <= 0.1).sum())} of {len(r)} passed"
    middle = f"median {np.median(r):.3f}, mean {np.minimum(r, 1).mean():.3f}"
    return f"{middle}, {passed}, worst {r.max():.2f}"


def below_zero(loss: Any, model: Any, batch: Any) -> Any:
    """The same loss as a function, moved below 0."""
    with torch.no_grad():
        down = 10 * float(loss(model(batch[0]), batch[1]))
    return lambda z, y: loss(z, y) - down


def first_rates(name: str, moved: bool = False) -> None:
    """One gradient against the best rate of 20 steps, in steps of the grid (2.15)."""
    from nakami import View
    from nakami.geometry.rate._first_rate import CURVED, CURVED_PLAIN, NORMALISED, PLAIN, first_rate
    from nakami.geometry.rate._optimizers import fastest_group
    from nakami.geometry.rate._rehearsal import Rehearsal
    from nakami.operators import LiveLoss

    away: dict[str, list[float]] = {}
    for each in DEVELOPMENT:
        of, case = task(each), Case(each, name)
        for seed in RUN["seeds"]:
            model = of.model(seed)
            steps = optimizer(name, model, 1e-3)
            loss = of.loss()
            if moved:
                loss = below_zero(loss, model, next(of.batches(seed, "advice")))
            live = LiveLoss(View(model), of.batches(seed, "advice"), loss)
            made = Rehearsal(live, steps, dict(model.named_parameters()), 0)
            found = first_rate(made, fastest_group(steps)[1])
            place = 3 * np.log10(found.rate)
            away.setdefault(each, []).append(trial(case, seed, 20) - place)
    every = np.array(list(away.values()))
    left_out = [row - np.delete(every, i, 0).mean() for i, row in enumerate(every)]
    factors = (CURVED_PLAIN, CURVED) if moved else (PLAIN, NORMALISED)
    factor = factors[name != "momentum"]
    words = f"{name}, loss below 0" if moved else name
    print(
        f"{words}: the best of 20 steps over one gradient's: factor {factor:g} becomes "
        f"{factor * 10 ** (every.mean() / 3):.2g}; scatter, each task left out, "
        f"{np.sqrt(np.mean(np.square(left_out))):.2f} steps of the grid, worst "
        f"{np.abs(left_out).max():.2f}"
    )


def shifts(name: str, horizon: str) -> None:
    """The best common shift of trials of each length, and how they then choose."""
    cases = [Case(each, name) for each in DEVELOPMENT]
    both = [(a, b) for a in RUN["seeds"] for b in RUN["seeds"]]
    for steps in LENGTHS:
        places = [[trial(case, seed, steps) for seed in RUN["seeds"]] for case in cases]
        tried = []
        for by in SHIFTS:
            each = [
                float(np.mean([regret(c, horizon, p[a] + by, b) for a, b in both]))
                for c, p in zip(cases, places, strict=True)
            ]
            tried.append((float(np.minimum(each, 1).mean()), float(by), each))
        _, by, each = min(tried, key=lambda t: t[0])
        print(f"  {name}, {horizon}, trials of {steps}: shift {by:+.2f}: {told(each)}")


def other_seed(name: str, horizon: str) -> None:
    """A whole grid of one seed, for the other."""
    found = []
    for each in DEVELOPMENT:
        case = Case(each, name)
        logs = case.log_losses(horizon)
        best = [min(logs, key=lambda p, s=s: logs[p][s]) for s in RUN["seeds"]]  # type: ignore[misc]
        found.append(float(np.mean([regret(case, horizon, best[s], 1 - s) for s in RUN["seeds"]])))
    print(f"  {name}, {horizon}, the other seed's grid: {told(found)}")


def schedules() -> None:
    """AdamW by cosine against the others, 1,500 steps, each at its best rate."""

    def best(each: str, name: str, horizon: str) -> tuple[float, int]:
        case = Case(each, name)
        place: Any = case.best(horizon)
        return float(case.log_losses(horizon)[place].mean()), place

    ours = {each: best(each, "adamw", "1500-cosine")[0] for each in DEVELOPMENT}
    for name in OPTIMIZERS:
        for horizon in ("1500", "1500-cosine"):
            gaps = np.array([best(each, name, horizon)[0] - ours[each] for each in DEVELOPMENT])
            print(
                f"  AdamW by cosine against {name}, {horizon}: lower on {int((gaps > 0).sum())} of "
                f"{len(gaps)}, log loss lower by {np.median(gaps):.2f} (median)"
            )
        places = np.array([[best(e, name, h)[1] for h in SHORT] for e in DEVELOPMENT])
        moved = np.median(places[:, 1:] - places[:, :-1], 0)
        print(
            f"  {name}: best rate from 200 to 1,500 steps {moved[0]:+g}, to a cosine {moved[1]:+g}"
        )


def main() -> None:
    lacking = [words for each in DEVELOPMENT if (words := missing(each))]
    if lacking:
        sys.exit("; ".join(dict.fromkeys(lacking)))
    torch.set_num_threads(1)
    for name in OPTIMIZERS:
        first_rates(name)
        first_rates(name, moved=True)
        for horizon in SHORT:
            shifts(name, horizon)
            other_seed(name, horizon)
    schedules()


if __name__ == "__main__":
    main()
