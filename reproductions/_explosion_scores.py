"""Warnings by thresholds on the signals of explosion_monitor.py, and how good they are."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np

HORIZON, CALM, RECENT, FEWEST = 50, 20, 50, 5
MOST_FALSE = 2.0  # in 1000 steps, of the seeds that thresholds are set on
Trace = dict[str, list[float]]
Series = list[float]


def as_read(name: str) -> Callable[[Trace], Series]:
    """The signal itself."""
    return lambda trace: trace[name]


def over_median(name: str) -> Callable[[Trace], Series]:
    """Over its running median of the 50 steps before."""
    return lambda trace: _against(trace[name], lambda now, usual: now / max(usual, 1e-30))


def above_median(name: str) -> Callable[[Trace], Series]:
    """Less its running median of the 50 steps before."""
    return lambda trace: _against(trace[name], lambda now, usual: now - usual)


def _against(x: Series, compare: Callable[[float, float], float]) -> Series:
    return [
        compare(x[i], median(x[max(0, i - RECENT) : i])) if i >= FEWEST else -math.inf
        for i in range(len(x))
    ]


def opposed(trace: Trace) -> Series:
    """Minus the mean cosine of the last 5 pairs of successive gradients."""
    x = trace["cosine"]
    return [-sum(x[max(0, i - 4) : i + 1]) / len(x[max(0, i - 4) : i + 1]) for i in range(len(x))]


def last_update(trace: Trace) -> Series:
    """Of the step before, as the monitor reads it."""
    return [-math.inf, *trace["update"]][: len(trace["loss"])]


def coming_update(trace: Trace) -> Series:
    """Of the step to come, as plain descent knows it; 0 for a step that was not made."""
    return [*trace["update"], 0.0][: len(trace["loss"])]


def z_score(trace: Trace) -> Series:
    """ZClip's: deviations of the norm from its running mean, after 25 steps; it clips nothing."""
    mean, variance, found = 0.0, 0.0, []
    norms = trace["norm"]
    for i, norm in enumerate(norms):
        if i < 25:
            mean, variance = float(np.mean(norms[: i + 1])), float(np.var(norms[: i + 1]))
            found.append(-math.inf)
            continue
        z = (norm - mean) / (math.sqrt(variance) + 1e-6)
        found.append(z)
        pulled = mean + 2.5**2 / z * math.sqrt(variance) if z > 2.5 else norm
        mean = 0.97 * mean + 0.03 * pulled
        variance = 0.97 * variance + 0.03 * (pulled - mean) ** 2
    return found


SIGNALS: dict[str, Callable[[Trace], Series]] = {
    "gradient norm (clip_grad_norm_)": as_read("norm"),
    "gradient norm over its running median": over_median("norm"),
    "z-score of the norm (ZClip)": z_score,
    "share of rows that AGC clips": as_read("agc"),
    "loss over its running median": over_median("loss"),
    "sigma_1 of the recurrent matrix": as_read("sigma"),
    "sigma_1 over its running median": over_median("sigma"),
    "spectral radius": as_read("radius"),
    "spectral radius over its running median": over_median("radius"),
    "backward growth": as_read("growth"),
    "backward growth above its running median": above_median("growth"),
    "mean backward growth": as_read("mean_growth"),
    "mean backward growth above its running median": above_median("mean_growth"),
    "minus cosine of successive gradients": opposed,
    "rate times curvature along the last step": as_read("secant"),
    "relative update (the monitor)": last_update,
    "relative update, known before the step": coming_update,
}


@dataclass
class Score:
    """Of one signal at one threshold.

    Attributes:
        leads: Of explosions that were warned of, in steps. explosions: how many there were.
        false, steps: Warnings and steps in trainings without an explosion. early: warnings before
            an explosion by more than 50 steps.
    """

    leads: list[int] = field(default_factory=list)
    explosions: int = 0
    false: int = 0
    steps: int = 0
    early: int = 0

    @property
    def share(self) -> float:
        """Of explosions warned of."""
        return len(self.leads) / max(1, self.explosions)

    @property
    def false_rate(self) -> float:
        """False alarms in 1000 steps."""
        return 1000 * self.false / max(1, self.steps)


def warnings(series: Sequence[float], threshold: float, every: int = 1) -> list[int]:
    """Steps at which a warning is given, the signal read every so many steps."""
    found, last_on = [], -math.inf
    for i in range(0, len(series), every):
        if series[i] > threshold:
            if i - last_on > CALM:
                found.append(i)
            last_on = i
    return found


def score(
    records: Sequence[dict[str, Any]],
    signal: Callable[[Trace], Series],
    threshold: float,
    every: int = 1,
) -> Score:
    """Over trainings."""
    return _scored([(r["explosion"], signal(r["trace"])) for r in records], threshold, every)


def _scored(runs: Sequence[tuple[int | None, Series]], threshold: float, every: int) -> Score:
    total = Score()
    for explosion, series in runs:
        if explosion is None:
            total.steps += len(series)
            total.false += len(warnings(series, threshold, every))
            continue
        total.explosions += 1
        leads = [explosion - w for w in warnings(series[:explosion], threshold, every)]
        total.early += sum(lead > HORIZON for lead in leads)
        right = [lead for lead in leads if lead <= HORIZON]
        if right:
            total.leads.append(right[0])
    return total


def best_threshold(
    records: Sequence[dict[str, Any]], signal: Callable[[Trace], Series], every: int = 1
) -> float | None:
    """Most explosions warned of with few false alarms; None where no threshold warns of any."""
    runs = [(r["explosion"], signal(r["trace"])) for r in records]
    values = np.concatenate([series for _, series in runs])
    values = values[np.isfinite(values)]
    tried = sorted({float(f"{v:.2g}") for v in np.quantile(values, np.linspace(0, 1, 400)[:-1])})
    scored = [(_scored(runs, threshold, every), threshold) for threshold in tried]
    allowed = [(s, t) for s, t in scored if s.false_rate <= MOST_FALSE and s.leads]
    if not allowed:
        return None
    return max(allowed, key=lambda one: (len(one[0].leads), median(one[0].leads), one[1]))[1]
