"""What decides the statements on depth: differences, slopes and their errors."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
from _wide import mean_error

Records = dict[str, Any]
Pair = tuple[float, float]
BINS = ((2, 9), (10, 19), (20, 29), (30, 99))  # words of a sentence
TREE, RIVALS = "rnn along trees, sentences, 5 classes", (
    "rnn along chains, 5 classes", "GRU, sentences, 5 classes", "LSTM, sentences, 5 classes",
)  # fmt: skip
GATED = {
    "characters": (
        ("GRU, characters", "LSTM, characters"),
        ("sigmoid, characters", "tanh, characters"),
    ),
    "sentences": (RIVALS[1:], (RIVALS[0], TREE)),
}
TASKS = {
    "perceptron": [
        [f"perceptron, {units} units, {classes} classes" for classes in (10, 2)] for units in (4, 8)
    ],
    "GRU, sentences": [[f"GRU, sentences, {classes} classes" for classes in (5, 2)]],
    "rnn along trees": [[f"rnn along trees, {classes} classes" for classes in (5, 2)]],
}
DEPTH, WORDS, TOP, KEPT, RANK = range(5)  # columns of the ends


def sign(pair: Pair) -> int:
    """1 or -1 for a mean above or below 0 by two errors, else 0."""
    mean, error = pair
    return int(math.copysign(1, mean)) if abs(mean) > 2 * error else 0


def ends(records: Records, key: str, column: int, weights: str = "trained") -> np.ndarray:
    """A column of what is read at the last depth, by input; NaN where nothing is left."""
    rows = records[key][weights]["ends"]
    return np.array([np.nan if row[column] is None else row[column] for row in rows], float)


def there(records: Records, name: str) -> list[str]:
    """The records of a network, one for each seed."""
    return [key for key in records if key.rpartition("/")[0] == name]


def against_time(records: Records) -> Iterator[tuple[str, str, str, list[Pair]]]:
    """Rival, weights, seed; ``ln s_1`` of the tree minus the rival's by words of a sentence."""
    for rival, weights, key in product(RIVALS, ("trained", "untrained"), there(records, TREE)):
        seed = key.rpartition("/")[2]
        if f"{rival}/{seed}" in records:
            other = f"{rival}/{seed}"
            words = ends(records, key, WORDS)
            apart = ends(records, key, TOP, weights) - ends(records, other, TOP, weights)
            good = np.isfinite(apart)
            some = [apart[good & (words >= low) & (words <= high)] for low, high in BINS]
            yield rival, weights, seed, [mean_error(each) for each in some]


def toward_one(record: dict[str, Any]) -> tuple[Pair, Pair, str]:
    """Trained minus untrained, of the first exponent's size and of the mean size of all."""
    trained, fresh = record["trained"], record["untrained"]
    first, flat = (
        mean_error(np.subtract(trained[name], fresh[name])) for name in ("first", "flat")
    )
    both = sign(first), sign(flat)
    said = {(-1, -1): "toward 1", (1, 1): "away from 1"}.get(both, "not both")
    return first, flat, said


def ranks(records: Records) -> Iterator[tuple[str, str, Pair, Pair, str]]:
    """Differences of the log effective rank at the end, by classes and by depth; which is larger.

    Yields:
        Task, seed, more classes minus two, shallow minus deep, and what decides.
    """
    for task, grid in TASKS.items():
        names = [name for row in grid for name in row]
        for seed in ("0", "1"):
            if not all(f"{name}/{seed}" in records for name in names):
                continue
            logs = np.log([[ends(records, f"{name}/{seed}", RANK) for name in row] for row in grid])
            by_task = mean_error((logs[:, 0] - logs[:, 1]).mean(0))
            if len(grid) > 1:
                by_depth = mean_error((logs[0] - logs[1]).mean(0))
            else:
                by_depth = thirds(ends(records, f"{names[0]}/{seed}", DEPTH), logs[0].mean(0))
            apart = abs(by_task[0]) - abs(by_depth[0]), math.hypot(by_task[1], by_depth[1])
            said = {1: "task", -1: "depth", 0: "undecided"}[sign(apart)]
            yield task, seed, by_task, by_depth, said


def thirds(depths: np.ndarray, values: np.ndarray) -> Pair:
    """Mean where depth is in its lowest third minus that in its highest, with its error."""
    low, high = np.quantile(depths, (1 / 3, 2 / 3))
    a, b = mean_error(values[depths <= low]), mean_error(values[depths >= high])
    return a[0] - b[0], math.hypot(a[1], b[1])


def bends(record: dict[str, Any]) -> tuple[Pair, Pair, str]:
    """Slope and quadratic term of ``ln s_1`` over depth, and whether it is exponential.

    Over inputs where these end at different depths, as words do; else means of each input's own.
    """
    trained = record["trained"]
    rows = [row for row in trained["ends"] if row[TOP] is not None]
    depths = [row[DEPTH] for row in rows]
    if len(set(depths)) > 1:
        tops = [row[TOP] for row in rows]
        slope, bend = fitted(depths, tops, 1), fitted(depths, tops, 2)
    else:
        slope, bend = map(tuple, trained["bends"])
    if not math.isfinite(bend[1]):
        return slope, bend, "too few depths"
    falls = "exponential" if sign(slope) < 0 else "grows" if sign(slope) > 0 else "does not fall"
    return slope, bend, falls if sign(bend) == 0 else f"bends {'up' if bend[0] > 0 else 'down'}"


def fitted(x: Sequence[float], y: Sequence[float], degree: int) -> Pair:
    """The highest coefficient of a polynomial by least squares, and its standard error."""
    columns = np.vander(np.asarray(x, float), degree + 1)
    found, *_ = np.linalg.lstsq(columns, np.asarray(y, float), rcond=None)
    rest = np.asarray(y) - columns @ found
    covariance = np.linalg.inv(columns.T @ columns) * (rest @ rest) / (len(rest) - degree - 1)
    return float(found[0]), float(covariance[0, 0] ** 0.5)


def rate(record: dict[str, Any]) -> Pair:
    """``ln s_1`` a unit of depth in the trained network."""
    return mean_error(record["trained"]["rates"])


def gates(records: Records) -> Iterator[tuple[str, str, Pair, Pair, int]]:
    """Gated and ungated networks of one task, their rates, and 1 where the gated one loses less."""
    for gated, plain in GATED.values():
        for one, other in product(gated, plain):
            for key in there(records, one):
                rival = f"{other}/{key.rpartition('/')[2]}"
                if rival in records:
                    a, b = rate(records[key]), rate(records[rival])
                    apart = abs(b[0]) - abs(a[0]), math.hypot(a[1], b[1])
                    yield key, rival, a, b, sign(apart)
