"""The tables of ``control.py``: verdicts by peak and optimizer, and the pairs that differ."""

from __future__ import annotations

import statistics
from collections import Counter
from typing import Any

import numpy as np
from benchmarks.knobs.sweep import rate
from benchmarks.lr.advice import table

from .tasks import OPTIMIZERS

KINDS = ("creeps", "good", "high", "lost", "far")
VERDICTS = (
    "saved", "helped", "same", "delayed", "not saved", "harmed", "refused",
)  # fmt: skip
Record = dict[str, Any]


def report(pairs: list[Record], title: str) -> str:
    """Counts, cost, and one line for each pair that is neither the same nor refused."""
    head = ["peak", "pairs", "plain lost", *VERDICTS, "identical", "behind, median", "lowered"]
    rows = []
    for kind in (*KINDS, "all"):
        for opt in (*OPTIMIZERS, "both"):
            mine = [p for p in pairs if kind in (p["kind"], "all")]
            mine = [p for p in mine if opt in (p["optimizer"], "both")]
            rows.append([f"{kind}, {opt}", str(len(mine)), *_counts(mine)])
    heads = ["task, optimizer", "peak", "plain", "control", "verdict", "measures"]
    cells = [
        [
            f"{p['name']}, {p['optimizer']}", f"{p['kind']}: {rate(p['place']):.2g}",
            _ended(p["plain"]), _ended(p["control"]), p["verdict"],
            " ".join(_measure(*m) for m in p["control"]["log"]),
        ]
        for p in pairs if p["verdict"] not in ("same", "refused")
    ]  # fmt: skip
    why = {f"{p['name']}: {p['control']['refused']}" for p in pairs if p["verdict"] == "refused"}
    told = [f"{title}\n\n{table(head, rows)}\n{_costs(pairs)}\n"]
    told.append("step:rate over limit of each measure, ^ steps that the loss is above its band, !")
    told.append(f"lowered\n\n{table(heads, cells)}")
    return "\n".join([*told, *sorted(why)])


def short(before: list[Record], now: list[Record]) -> str:
    """Counts by peak; saved by the rule before, too, where it has as many pairs."""
    head = [
        "peak", "pairs", "identical", "lost without", "saved, rule before", "saved", "delayed",
        "helped", "harmed", "behind the best rate, median",
    ]  # fmt: skip
    rows = []
    for kind in (*KINDS, "all"):
        then, mine = ([p for p in of if kind in (p["kind"], "all")] for of in (before, now))
        counts = Counter(p["verdict"] for p in mine)
        behind = [p["behind"] for p in mine if "behind" in p]
        earlier = str(sum(p["verdict"] == "saved" for p in then))
        rows.append([
            kind, str(len(mine)), str(sum(p["identical"] for p in mine)),
            str(sum(p["plain lost"] for p in mine)), earlier if len(then) == len(mine) else "",
            *(str(counts[v]) for v in ("saved", "delayed", "helped", "harmed")),
            f"{statistics.median(behind):+.2f}" if behind else "",
        ])  # fmt: skip
    return table(head, rows)


def _counts(pairs: list[Record]) -> list[str]:
    verdicts = Counter(p["verdict"] for p in pairs)
    behind = [p["behind"] for p in pairs if "behind" in p]
    lowered = sum(any(m[3] for m in p["control"].get("log", ())) for p in pairs)
    return [
        str(sum(p["plain lost"] for p in pairs)),
        *(str(verdicts[v] or "") for v in VERDICTS),
        str(sum(p["identical"] for p in pairs)),
        f"{statistics.median(behind):+.2f}" if behind else "",
        str(lowered),
    ]


def _measure(step: int, ratio: float, rising: int, lowered: int) -> str:
    return f"{step}:{ratio}" + f"^{rising}" * (rising > 0) + "!" * lowered


def _ended(run: Record) -> str:
    return f"diverged at {run['steps']}" if run["final"] is None else f"{run['final']:.3g}"


def _costs(pairs: list[Record]) -> str:
    whole = [p for p in pairs if p["control"].get("final") and p["plain"]["final"]]
    shares = [p["control"]["cost"] / p["control"]["steps"] for p in whole]
    ratios = [p["control"]["cpu_s"] / p["plain"]["cpu_s"] for p in whole]
    spent = [sum(p[way]["cpu_s"] for p in whole) for way in ("plain", "control")]
    return (
        f"{len(whole)} whole pairs. Gradient evaluations of the control over the steps: median "
        f"{np.median(shares):.1%}, most {max(shares):.1%}. CPU time, control over plain: median "
        f"{np.median(ratios):.2f}, most {max(ratios):.2f}, of the sums {spent[1] / spent[0]:.2f}."
    )
