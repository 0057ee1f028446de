"""The averaged detached Jacobian beside the averaged Jacobian, for the table of the lens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from _wide import digits, table
from torch import nn

import nakami
from nakami.results import Jackknifed, Lens

NUMBERS = ("identity", "identity_share", "agreement", "participation_beyond")


def detached(model: nn.Module, data: Any, stages: Any, **more: Any) -> dict[str, Any]:
    """Both lenses of a net by stage: how far apart they are, and numbers of each.

    Their residual, how far ``J x + b`` is from the output, is read in float64 at the first input.
    """
    first = {k: v[:1] for k, v in data.items()} if isinstance(data, Mapping) else data[:1]
    exact = nakami.lens(model, data, stages, **more)
    held = nakami.lens(nakami.View(model, derivative="detached"), data, stages, **more)
    double = nakami.View(model, dtype="float64", derivative="detached")
    return {
        "residual": digits(nakami.jacobian(double, first).residual, 2),
        "stages": {stage: _both(exact[stage], held[stage]) for stage in exact},
    }


def _both(exact: Lens, held: Lens) -> dict[str, Any]:
    gap = float(np.linalg.norm(held.mean - exact.mean)) / exact.norm.value
    cosine = float((held.mean * exact.mean).sum()) / exact.norm.value / held.norm.value
    numbers = {
        name: [[digits(n.value, 6), digits(n.se, 3)] for n in (getattr(one, name) for one in pair)]
        for name in NUMBERS
        for pair in [(exact, held)]
    }
    largest = [[digits(o.values[0], 6), digits(o.value_errors[0], 3)] for o in (exact, held)]
    return {
        "gap": digits(gap), "cosine": digits(cosine), **numbers, "largest": largest,
        "error": [digits(exact.error), digits(held.error)],
    }  # fmt: skip


def lines(records: Mapping[str, Any], titles: Mapping[str, str]) -> Iterator[str]:
    """A table for each net."""
    for name, title in titles.items():
        record = records.get(name)
        if record is None:
            continue
        yield f"{title}: the output is J x + b to {record['residual']:.1g} of its size in float64."
        yield ""
        rows = [
            [
                stage, f"{100 * r['gap']:.0f} %", f"{r['cosine']:.2f}",
                *(" / ".join(_with(pair) for pair in r[key]) for key in ("largest", *NUMBERS)),
            ]
            for stage, r in record["stages"].items()
        ]  # fmt: skip
        head = ["layer", "apart", "cosine", "s_1", *(n.replace("_", " ") for n in NUMBERS)]
        yield from table(head, rows)
        yield ""


def _with(pair: list[float]) -> str:
    return str(Jackknifed(*pair, bias=0.0))
