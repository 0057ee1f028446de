"""Convolution by Fourier transforms beside torch's own, and which of them a layer takes.

Layers and pictures that the rule was not fitted to, kernels from small to large (padding half a
kernel, stride 1), each a forward and backward pass on one thread; the median of the repeats. A
series ends where the transform is five times as fast, or a pass grows too long. ``auto`` goes by a
rule; ``measured`` is what ``measure_convolutions`` chose before, from timings of its own.

    python benchmarks/convolution.py
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from itertools import groupby
from typing import Any

from _side_by_side import apart, keep, table

LAYERS = [(2, 1, 6, 1), (16, 1, 12, 1), (16, 3, 24, 1), (1, 24, 24, 1), (12, 24, 24, 1),
          (8, 32, 48, 1), (8, 10, 30, 1), (6, 24, 24, 24)]  # fmt: skip
SIDES, KERNELS = (24, 48, 96), (3, 5, 7, 9, 11, 13, 15, 19, 25, 31)
MOST, ENOUGH, LIMIT = 1.5e9, 5.0, 1.2
CHOSEN = ("auto", "measured")


def measured(task: dict[str, Any]) -> list[dict[str, Any]]:
    """Seconds of both ways, by kernel, and what the rule chooses."""
    import torch

    from nakami.nn import FFTConv2d, measure_convolutions

    torch.set_num_threads(1)
    batch, channels, outputs, groups = task["layer"]
    side, dtype = task["side"], getattr(torch, task["dtype"])
    x = torch.randn(batch, channels, side, side, dtype=dtype, requires_grad=True)
    found = []
    for kernel in KERNELS:
        sums = batch * outputs * channels // groups * (kernel * side) ** 2
        if kernel > side or sums > MOST * (1 if task["dtype"] == "float32" else 0.3):
            break
        options = {"padding": kernel // 2, "groups": groups, "dtype": dtype}
        layer = FFTConv2d(channels, outputs, kernel, **options)
        row: dict[str, Any] = {"kernel": kernel, "auto": layer.plan(x)}
        measure_convolutions(layer, x)
        row["measured"] = layer.method
        row |= both(layer, x)
        found.append(row)
        if row["direct"] > ENOUGH * row["fft"]:
            break
    return found


def both(layer: Any, x: Any) -> dict[str, float]:
    """Medians of the two ways, in turns."""

    def once(method: str) -> float:
        layer.method = method
        layer.zero_grad()
        began = time.process_time()
        layer(x).sum().backward()
        return time.process_time() - began

    ways = ("fft", "direct")
    first = sum(once(way) for way in ways for _ in range(2)) / 2  # warm
    repeats = 9 if first < 0.02 else 5 if first < 0.2 else 3
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for _ in range(repeats):
        for way in ways:
            seconds[way].append(once(way))
    return {way: statistics.median(values) for way, values in seconds.items()}


def ratio(row: dict[str, Any], chosen: str = "auto") -> float:
    """Time of what was chosen over that of the faster."""
    return row[row[chosen]] / min(row["fft"], row["direct"])


def lines(rows: list[dict[str, Any]]) -> list[list[str]]:
    """A line for each layer and picture."""
    found = []
    for row in rows:
        batch, channels, outputs, groups = row["layer"]
        name = f"{batch} x {channels} to {outputs}" + (f", {groups} groups" if groups > 1 else "")
        ahead = [f"{k['direct'] / k['fft']:.2f} at {k['kernel']}" for k in row["kernels"]]
        faster = [k["kernel"] for k in row["kernels"] if k["fft"] < k["direct"]]
        chosen = [k["kernel"] for k in row["kernels"] if k["auto"] == "fft"]
        worst = [f"{max(ratio(k, how) for k in row['kernels']):.2f}" for how in CHOSEN]
        ends = (str(min(each)) if each else "none" for each in (faster, chosen))
        side = f"{row['side']} x {row['side']}"
        found.append([name, side, row["dtype"], ", ".join(ahead), *ends, *worst])
    return found


def report(rows: list[dict[str, Any]]) -> str:
    """How often the rule is within its limit, then the table."""
    text = ""
    for dtype, group in groupby(rows, key=lambda row: row["dtype"]):
        kernels = [k for row in group for k in row["kernels"]]
        for chosen in CHOSEN:
            ratios = [ratio(k, chosen) for k in kernels]
            within = sum(r <= LIMIT for r in ratios)
            text += (
                f"{dtype}: `{chosen}` is within {LIMIT} of the faster in {within} of "
                f"{len(ratios)} cases, at most {max(ratios):.2f} of it, "
                f"{statistics.mean(ratios):.3f} in the mean.\n\n"
            )
    heads = ["pictures, channels", "picture", "numbers", "direct / FFT by side of the kernel",
             "FFT faster from", "`auto` takes it from", "worst of `auto` / faster",
             "worst of `measured` / faster"]  # fmt: skip
    return text + table(heads, lines(rows))


def main() -> None:
    if "--child" in sys.argv:
        print(json.dumps({"kernels": measured(json.loads(sys.argv[-1]))}))
        return
    tasks = [{"layer": layer, "side": side, "dtype": dtype}
             for dtype in ("float32", "float64") for layer in LAYERS for side in SIDES]  # fmt: skip
    rows = [row for task in tasks if (row := apart(__file__, **task))["kernels"]]
    keep("convolution", rows, report(rows))


if __name__ == "__main__":
    main()
