"""The metric of the second protocol: regret of an advice, its share of the fall, the constant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .sweep import RUNS_OF, Case, rate
from .tasks import PROTOCOL

SCORE = PROTOCOL["score"]
ON_THE_GRID = 1e-9  # relative


def logs(losses: Sequence[float | None]) -> np.ndarray:
    """Natural logarithms of losses, at the protocol's floor; None, a diverged run, is infinite."""
    return np.array([np.inf if x is None else np.log(max(x, SCORE["floor"])) for x in losses])


def regret(advised: Sequence[float | None], best: np.ndarray) -> float:
    """Mean over seeds of log losses less those at the best rate; infinite where one diverged.

    Args:
        advised: Final losses, one a seed; None where there was no usable rate or the run diverged.
        best: Log final losses at the best rate of the grid, one a seed.
    """
    return float((logs(advised) - best).mean())


def passed(found: float) -> bool:
    return found <= SCORE["regret_passed"]


def share_of_fall(
    advised: Sequence[float | None], best: np.ndarray, constant: float
) -> float | None:
    """Mean over seeds of ``(c - L) / (c - L best)``; None where not defined or a run diverged.

    ``c`` is the loss of the best constant predictor, ``best`` log final losses as in ``regret``.
    """
    falls = constant - np.exp(best)
    if (falls <= 0).any() or any(x is None for x in advised):
        return None
    return float(((constant - np.exp(logs(advised))) / falls).mean())


def judged(
    case: Case,
    horizon: str,
    final: Sequence[float | None],
    validation: Sequence[float | None],
    constant: float,
) -> dict[str, Any]:
    """What an advice is worth in a case; an infinite regret is None, for JSON."""
    best = case.log_losses(horizon)[_place(case, horizon, "final")]
    kept = case.log_losses(horizon, "validation")[_place(case, horizon, "validation")]
    found = {"regret": regret(final, best), "validation_regret": regret(validation, kept)}
    return {
        **{name: value if np.isfinite(value) else None for name, value in found.items()},
        "passed": passed(found["regret"]),
        "share_of_fall": share_of_fall(final, best, constant),
    }


def _place(case: Case, horizon: str, field: str) -> int:
    place = case.best(horizon, field)
    if place is None:
        raise ValueError(f"the grid of {case.name}, {case.optimizer}, {horizon} has no best rate.")
    return place


def grid_run(
    case: Case, horizon: str, rate_: float, seed: int
) -> tuple[int, dict[str, Any]] | None:
    """The run of the grid at this rate, with its place; None where the rate is not on it."""
    place = round(float(np.log10(rate_)) * PROTOCOL["grid"]["rates_per_decade"])
    if abs(rate_ / rate(place) - 1) > ON_THE_GRID:
        return None
    keys = (f"{of}|{place}|{seed}" for of in RUNS_OF.get(horizon, (horizon,)))
    found = next((case.runs[key] for key in keys if key in case.runs), None)
    return None if found is None else (place, found)


def training_seconds(case: Case, horizon: str) -> float:
    """CPU seconds of a training of this length: the median of the grid's runs that did not diverge.

    Runs of 1500 steps count for 200 by their number of steps.
    """
    of, steps = PROTOCOL["horizon"], PROTOCOL["horizon"][horizon]["steps"]
    seconds = []
    for key, run in case.runs.items():
        made = key.split("|")[0]
        if made in RUNS_OF.get(horizon, (horizon,)) and run["final"].get(made) is not None:
            seconds.append(run["cpu_s"] * steps / of[made]["steps"])
    return float(np.median(seconds))


def regrets(case: Case, horizon: str) -> dict[int, float]:
    """Regret of each rate that the grid of a case tried; empty where it has no best."""
    there, best = case.log_losses(horizon), case.best(horizon)
    if best is None:
        return {}
    return {place: float((of - there[best]).mean()) for place, of in there.items()}


def constant_place(curves: Mapping[str, Mapping[int, float]], without: str = "") -> int:
    """The place of the grid with the smallest mean regret over tasks.

    The grid of a task ends beyond two rates that are worse than its best. Where another task was
    tried further out, its regret is continued by the straight line through its two outermost rates;
    beyond a diverged one it is infinite. Of two equal places the lower.

    Args:
        curves: For each task the regret by place.
        without: A task to leave out.
    """
    mine = [dict(curve) for name, curve in curves.items() if name != without and curve]
    places = sorted({place for curve in mine for place in curve})
    means = [np.mean([_continued(curve, place) for curve in mine]) for place in places]
    return places[int(np.argmin(means))]


def _continued(curve: dict[int, float], place: int) -> float:
    if place in curve:
        return curve[place]
    tried = sorted(curve, key=lambda at: abs(at - place))
    (a, b), (fa, fb) = tried[:2], (curve[at] for at in tried[:2])
    if not np.isfinite([fa, fb]).all():
        return fa
    return max(fa, fa + (fa - fb) * (place - a) / (a - b))
