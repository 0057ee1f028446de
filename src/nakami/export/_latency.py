"""How long one call takes, in a runtime and in torch, by turns on one thread.

Processor time: on one thread what a call takes on a machine that does nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

SECONDS, LEAST, MOST = 0.5, 20, 2000


@dataclass(frozen=True)
class Latency:
    """Milliseconds of one call: median and quartiles of ``calls`` calls."""

    median: float
    lower: float
    upper: float
    calls: int


def latencies(functions: Mapping[str, Callable[[], object]]) -> dict[str, Latency]:
    """Of each function, called by turns so that other work on the machine harms all alike.

    About half a second for each, 20 to 2,000 calls, after one that is not counted.
    """
    spans: dict[str, list[float]] = {name: [] for name in functions}
    for function in functions.values():
        function()
    start = time.process_time()
    while len(next(iter(spans.values()))) < MOST:
        for name, function in functions.items():
            before = time.process_time()
            function()
            spans[name].append(1e3 * (time.process_time() - before))
        done = len(next(iter(spans.values())))
        if done >= LEAST and time.process_time() - start > SECONDS * len(functions):
            break
    return {name: _told(found) for name, found in spans.items()}


def _told(spans: list[float]) -> Latency:
    lower, median, upper = np.quantile(spans, [0.25, 0.5, 0.75]).tolist()
    return Latency(median, lower, upper, len(spans))
