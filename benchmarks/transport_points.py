"""Entropic transport between two clouds of 20,000 points, tile by tile: CPU seconds and memory.

A matrix of all pairs would hold 4e8 numbers: 1.6 GB in float32, 3.2 GB in float64. Clouds in three
dimensions, ``|x - y|^2``, reg 0.01, the default memory budget (1 GiB); one thread, a process for
each. The marginal error is measured afterwards, by a loop over rows that uses nothing of nakami.

    python benchmarks/transport_points.py        about 7 minutes
"""

from __future__ import annotations

import json
import sys
from typing import Any

import torch
from _side_by_side import apart, cpu_seconds, keep, memory, peak_memory, table

CASES = ((5_000, "float64"), (20_000, "float32"))
REG, TARGET = 1e-2, {"float64": 1e-6, "float32": 1e-4}


def clouds(n: int, kind: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """A cube, and a cloud that is denser at one corner."""
    g = torch.Generator().manual_seed(0)
    x, y = (torch.rand(n, 3, generator=g, dtype=torch.float64) for _ in "xy")
    return x.to(kind), (0.3 + 0.8 * y**2).to(kind)


def child(n: int, kind: str) -> dict[str, Any]:
    from nakami import transport

    torch.set_num_threads(1)
    x, y = clouds(n, getattr(torch, kind))
    mass = torch.full((n,), 1 / n, dtype=x.dtype)
    small = transport.Points(x[:50], y[:50])
    transport.sinkhorn(mass[:50] * n / 50, mass[:50] * n / 50, small, REG, tolerance=1e-3)
    before = memory()
    spent, found = cpu_seconds(
        lambda: transport.sinkhorn(mass, mass, transport.Points(x, y), REG, tolerance=TARGET[kind])
    )
    peak = peak_memory() - before
    return {"cpu_s": round(spent, 1), "mb": peak // 2**20, "steps": found.steps,
            "error": error(found, x, y), "value": float(found.relative)}  # fmt: skip


def error(found: Any, x: torch.Tensor, y: torch.Tensor) -> float:
    """L1 distance of the plan's rows from the masses, in float64, 500 rows at a time."""
    f, g, x, y = (part.double() for part in (found.f, found.g, x, y))
    n, total = len(x), 0.0
    for rows in torch.arange(n).split(500):
        cost = torch.cdist(x[rows], y).square_()
        sums = ((f[rows, None] + g - cost) / REG).exp().sum(1) / n**2
        total += float((sums - 1 / n).abs().sum())
    return total


def main() -> None:
    if len(sys.argv) > 2:
        print(json.dumps(child(**json.loads(sys.argv[2]))))
        return
    rows = [apart(__file__, n=n, kind=kind) for n, kind in CASES]
    shown = [
        [f"{r['n']:,} x {r['n']:,}, {r['kind']}", f"{r['cpu_s']:.0f}", f"{r['mb']:,}",
         f"{r['steps']}", f"{r['error']:.0e}"]
        for r in rows
    ]  # fmt: skip
    head = ["clouds of points", "CPU s", "MB above the clouds", "steps", "marginal error"]
    keep("transport_points", rows, table(head, shown))


if __name__ == "__main__":
    main()
