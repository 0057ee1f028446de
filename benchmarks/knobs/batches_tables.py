"""The tables of ``batches.py``: critical batches, noise scales, best rates, know-how."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from benchmarks.lr.advice import table

from .batches_fit import Fit, fit
from .calibrate import DEVELOPMENT
from .sweep import RESULTS, RUN, Case, rate
from .tasks import OPTIMIZERS, PROTOCOL

if TYPE_CHECKING:
    from .batches import Store

HORIZONS = ("200", "1500", "1500-cosine")
READINGS = {
    "tune": "tune's, 8 batches at the start", "start": "64 batches at the start",
    "after": "64 batches after 750 steps", "metric": "the same in AdamW's metric",
}  # fmt: skip
KINDS = {
    "friedman": "table of numbers, noisy, ReLU", "waves": "two numbers, large targets, tanh",
    "committee": "teacher of three units", "fashion-dropout": "pictures, dense, dropout",
    "autoencoder": "pictures, dense autoencoder", "speech-cnn": "sound, convolutions in time",
    "cifar-bn-augmented": "pictures, CNN, batch norm, augmented",
    "vit-mnist": "pictures, vision transformer", "finetune-vit": "pictures, ViT that is fine-tuned",
    "sentiment-bag": "sentences, bag of words", "gru-nottingham": "music, GRU",
    "lm-shakespeare": "characters, transformer",
}  # fmt: skip


@dataclass(frozen=True)
class Found:
    """What was measured of one task and optimizer.

    Attributes:
        name, each: Task and optimizer. own: its own batch. target: the loss.
        steps, places: By factor of the batch, of each seed whose search has ended; a batch at which
            one of these did not reach the loss is left out.
        noise: By reading, examples, mean of logs over seeds; None where a seed has none.
        gain: What the sentence of tune says of twice the batch, mean over seeds, or None.
    """

    name: str
    each: str
    own: int
    target: float
    steps: dict[float, list[float]]
    places: dict[float, list[float]]
    noise: dict[str, float | None]
    gain: float | None

    @property
    def fit(self) -> Fit | None:
        """Of all seeds; None below three batches."""
        pairs = [(self.own * f, s) for f, of in self.steps.items() for s in of]
        return fit(*map(np.array, zip(*pairs, strict=True))) if len(self.steps) > 2 else None

    @property
    def slope(self) -> tuple[float, float]:
        """Of log rate in log batch, with its standard error over batches and seeds."""
        pairs = [(np.log10(f), p / 3) for f, of in self.places.items() for p in of]
        x, y = map(np.array, zip(*pairs, strict=True))
        x = x - x.mean()
        slope = float((x * y).sum() / (x * x).sum())
        left = y - y.mean() - slope * x
        return slope, float(np.sqrt((left**2).sum() / max(1, len(x) - 2) / (x * x).sum()))


def found_of(store: Store, name: str, each: str) -> Found:
    """What a store has of a task and optimizer."""
    from .batches import FACTORS, Search, target_of

    steps: dict[float, list[float]] = {}
    places: dict[float, list[float]] = {}
    for factor in FACTORS:
        tried = [Search(store, name, each, factor, seed) for seed in RUN["seeds"]]
        ended = [search for search in tried if search.next_place() is None]
        of = [
            (search.steps()[p], search.place())
            for search in ended
            if (p := search.best()) is not None
        ]
        if ended and len(of) == len(ended):  # every seed that was searched reached the loss
            steps[factor] = [s for s, _ in of]
            places[factor] = [place for _, place in of if place is not None]
    read = [store.runs.get(f"noise|{name}|{each}|{seed}") for seed in RUN["seeds"]]
    there = [of for of in read if of is not None]
    own = PROTOCOL["task"][name]["batch"]
    noise = {key: _mean([of[key][0] for of in there if key in of]) for key in READINGS}
    scale = [of["tune"][0] or of["tune"][2] for of in there if "tune" in of]
    gains = [2 * (own + s) / (2 * own + s) if s else None for s in scale]
    gain = _mean(gains)
    return Found(name, each, own, target_of(name, each)[0], steps, places, noise, gain)


def _mean(values: list[float | None]) -> float | None:
    if not values or any(v is None for v in values):
        return None
    return float(np.exp(np.log(np.array(values, float)).mean()))


def report(store: Store) -> str:
    """All tables."""
    from .batches import NAMES, WITH_MOMENTUM

    every = [found_of(store, n, "adamw") for n in NAMES]
    every += [found_of(store, n, "momentum") for n in WITH_MOMENTUM]
    every = [of for of in every if len(of.steps) > 2]
    spent = sum(run["cpu_s"] for run in store.runs.values())
    parts = [courses(every), critical(every), predictors(every), doubling(every), know_how(every)]
    return "\n".join([*parts, f"{len(store.runs)} runs, {spent / 60:.1f} CPU minutes"])


def courses(every: list[Found]) -> str:
    """Steps to the target, and the best rate, of each batch."""
    from .batches import FACTORS

    rows = []
    for of in every:
        cells = [
            f"{np.exp(np.log(of.steps[f]).mean()):.0f} at {rate(float(np.mean(of.places[f]))):.2g}"  # type: ignore[arg-type]
            if f in of.steps
            else "-"
            for f in FACTORS
        ]
        slope, error = of.slope
        seeds = str(min(len(s) for s in of.steps.values()))
        first = [f"{of.name}, {of.each}", f"{of.target:.4g}", str(of.own)]
        rows.append([*first, *cells, f"{slope:.2f} ± {error:.2f}", seeds])
    heads = ["task, optimizer", "loss", "batch", *(f"x {f:g}" for f in FACTORS)]
    slopes = [of.slope[0] for of in every if of.each == "adamw"]
    ends = f"{min(slopes):.2f} to {max(slopes):.2f}"
    middle = f"\nslope for AdamW: median {np.median(slopes):.2f}, {ends}\n"
    return table([*heads, "slope of the rate", "seeds"], rows) + middle


def critical(every: list[Found]) -> str:
    """The fits beside the readings of noise."""
    rows = []
    for of in every:
        made = of.fit
        assert made is not None
        cells = [_round(v) if (v := of.noise[key]) else "-" for key in READINGS]
        known = [f"{made.s_min:.0f}", _round(made.b_crit), f"{made.factor:.2f}"]
        fitted = known if made.inside else ["-", f"above {_round(made.at_least)}", "-"]
        name = f"{of.name}, {of.each}"
        rows.append([name, str(of.own), *fitted, f"{made.residual:.2f}", *cells])
    heads = ["task, optimizer", "batch", "S_min", "B_crit", "its error, a factor", "residual"]
    return table([*heads, *READINGS.values()], rows)


def ratios(every: list[Found], key: str, each: str, bounds: bool = False) -> np.ndarray:
    """Natural log of B_crit over a reading of noise, of each task where both are known.

    Args:
        every: What was found.
        key: The reading.
        each: The optimizer.
        bounds: Whether a lower bound stands for a B_crit beyond the batches that were run.
    """
    pairs = [(of.fit, of.noise[key]) for of in every if of.each == each]
    there = [(made, v) for made, v in pairs if made and v and (made.inside or bounds)]
    return np.log([(m.b_crit if m.inside else m.at_least) / v for m, v in there])


def predictors(every: list[Found]) -> str:
    """How well each reading foretells the critical batch."""
    rows = []
    for each in OPTIMIZERS[::-1]:
        for key, words in READINGS.items():
            logs, wide = (ratios(every, key, each, bounds) for bounds in (False, True))
            if len(logs) > 1:
                cells = [f"{np.exp(logs.mean()):.2g}", f"{np.exp(logs.std(ddof=1)):.1f}"]
                ends = f"{np.exp(logs.min()):.2g} to {_round(np.exp(logs.max()))}"
                middle = f"{np.exp(np.median(wide)):.2g} ({len(wide)})"
                rows.append([f"{each}, {words}", str(len(logs)), *cells, ends, middle])
    heads = ["reading", "tasks", "B_crit over it (mean of logs)", "scatter, a factor", "range"]
    return table([*heads, "median with lower bounds"], rows)


def doubling(every: list[Found]) -> str:
    """What twice the task's own batch costs and saves, and what tune says."""
    rows = []
    for of in every:
        made = of.fit
        assert made is not None
        fewer = made.steps(of.own) / made.steps(2 * of.own)
        said = "-" if of.gain is None else f"{of.gain:.2f}"
        four = of.steps.get(1.0), of.steps.get(4.0)
        seen = "-"
        if four[0] and four[1]:
            seen = f"{np.exp(np.log(four[0]).mean() - np.log(four[1]).mean()):.2f}"
        rows.append([f"{of.name}, {of.each}", f"{2 / fewer:.2f}", f"{fewer:.2f}", said, seen])
    heads = ["task, optimizer", "examples times", "steps divided by", "tune says"]
    return table([*heads, "four times the batch: steps divided by"], rows)


def know_how(every: list[Found]) -> str:
    """For each kind of task: batch, rates by optimizer and length, initial scale."""
    critical_of = {of.name: of.fit for of in every if of.each == "adamw"}
    rows = []
    for name in DEVELOPMENT:
        made, own = critical_of.get(name), PROTOCOL["task"][name]["batch"]
        batch = "-"
        if made:
            batch = _round(made.b_crit) if made.inside else f"above {_round(made.at_least)}"
        rates = []
        for each in OPTIMIZERS[::-1]:
            places = [Case(name, each).best(horizon) for horizon in HORIZONS]
            rates.append(", ".join("-" if p is None else f"{rate(p):.2g}" for p in places))
        rows.append([f"{name}: {KINDS[name]}", str(own), batch, *rates, _scale(name)])
    heads = ["task", "its batch", "critical batch", "AdamW's rate", "momentum's rate"]
    return table([*heads, "initial scales"], rows)


def _round(value: float) -> str:
    return f"{float(f'{value:.2g}'):g}"


def _scale(name: str) -> str:
    """Which of the starts of ``scales.py`` ended lowest, and by how much the log loss is lower."""
    runs: dict[str, dict[str, Any]] = json.loads((RESULTS / "scales.json").read_text())
    logs = {
        start: np.mean([np.log(runs[f"{name}|{start}|{s}"]["final"]) for s in RUN["seeds"]])
        for start in ("torch", "proposed", "orthogonal")
        if f"{name}|{start}|0" in runs
    }
    if not logs:
        return "-"
    best = min(logs, key=lambda start: logs[start])
    if logs["torch"] - logs[best] <= 0.02:
        return "torch's own"
    return f"{best}, by {logs['torch'] - logs[best]:.2f}"
