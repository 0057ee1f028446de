"""The page of ``pooling_and_sharing.py``, from its records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _shared import charts, made_in
from _wide import mean_error, table

Record = dict[str, Any]
TIMES = ("before", "after")
HEADS = {
    "largest": "largest",
    "norm": "norm",
    "effective_rank": "effective rank",
    "above_one": "above 1",
    "differs": "log norm differs",
}


def student(n: int) -> float:
    """What a standard error of ``n`` values is multiplied by for 95 %."""
    from scipy.stats import t

    return float(t.ppf(0.975, n - 1))


def paired(
    records: Sequence[Record], variant: str, get: Callable[[Record], float]
) -> tuple[float, float]:
    """Mean difference to ``base`` over the seeds, and half of its 95 % interval."""
    by = {(r["variant"], r["seed"]): get(r) for r in records}
    seeds = sorted({r["seed"] for r in records})
    mean, error = mean_error([by[variant, s] - by["base", s] for s in seeds])
    return mean, student(len(seeds)) * error


def at(stage: str, field: str, when: str = "after") -> Callable[[Record], float]:
    """A figure of a record."""
    return lambda record: float(record[when][stage][field])


CLAIMS = [
    ("average", "norm at pool1", at("pool1", "norm"), "lower"),
    ("average", "effective rank at pool1", at("pool1", "effective_rank"), "lower"),
    ("l2", "norm at pool1", at("pool1", "norm"), "lower"),
    ("l2", "effective rank at pool1", at("pool1", "effective_rank"), "lower"),
    ("response", "difference of the log norm at pool2", at("pool2", "differs"), "lower"),
    ("contrast", "difference of the log norm at pool2", at("pool2", "differs"), "lower"),
    ("local", "test error, %", lambda r: float(r["error"]), "higher"),
]


def judged(mean: float, half: float, wanted: str) -> str:
    """Whether a difference is what was expected."""
    if abs(mean) <= half or not np.isfinite(half):
        return "cannot be told"
    return "yes" if (mean < 0) == (wanted == "lower") else "no, the other way"


def report(plan: Any, records: list[Record]) -> Iterator[str]:
    """The page, line by line."""
    yield "# What pooling, normalisation and weight sharing do to the inside"
    yield ""
    yield (
        "Made by `reproductions/pooling_and_sharing.py`, whose docstring is the protocol. "
        + made_in(sum(r["cpu"] for r in records))
    )
    yield ""
    yield (
        f"LeNet with {plan.maps[0]} and {plan.maps[1]} maps and {plan.units} units, {plan.train:,} "
        f"shipped digits, {plan.epochs} passes, {len(plan.seeds)} seeds; one part swapped at a "
        f"time. Jacobians at {plan.digits} test digits. Means over seeds ± standard errors."
    )
    yield ""
    yield "## What was expected"
    yield ""
    rows = []
    for variant, what, get, wanted in CLAIMS:
        mean, half = paired(records, variant, get)
        interval = f"{mean:+.3g} ± {half:.2g}"
        rows.append([variant, what, wanted, interval, judged(mean, half, wanted)])
    yield from table(["variant", "figure", "expected", "difference to base, 95 %", "found"], rows)
    yield ""
    yield "## Test errors"
    yield ""
    variants = list(dict.fromkeys(r["variant"] for r in records))
    rows = []
    for variant in variants:
        own = [r for r in records if r["variant"] == variant]
        mean, half = paired(records, variant, lambda r: float(r["error"]))
        change = "" if variant == "base" else f"{mean:+.2f} ± {half:.2f}"
        rows.append([variant, text([r["error"] for r in own], 2), change])
    yield from table(["variant", "test error, %", "difference to base, 95 %"], rows)
    yield ""
    yield from _spectra(records, variants)


def _spectra(records: list[Record], variants: list[str]) -> Iterator[str]:
    for when, title in zip(TIMES, ("Before training", "After training"), strict=True):
        yield f"## {title}"
        yield ""
        rows = []
        for stage in records[0][when]:
            for variant in variants:
                own = [r[when][stage] for r in records if r["variant"] == variant]
                figures = [text([each[field] for each in own]) for field in HEADS]
                rows.append([stage, variant, *figures])
        yield from table(["stage", "variant", *HEADS.values()], rows)
        yield ""
    yield "Mean spectra: `pooling_and_sharing.svg`."


def text(values: Sequence[float], digits: int | None = None) -> str:
    """Mean and standard error; three figures where no number of digits is given."""
    mean, error = mean_error(values)
    if digits is not None:
        return f"{mean:.{digits}f} ± {error:.{digits}f}"
    return f"{mean:.3g} ± {error:.1g}"


def draw(records: list[Record], path: Path) -> None:
    """Mean spectra of each stage before and after; SVG."""
    alt = charts()
    if alt is None:
        return
    variants = list(dict.fromkeys(r["variant"] for r in records))
    rows = [
        {"variant": v, "when": when, "stage": stage, "index": index, "value": float(value)}
        for v in variants
        for when in TIMES
        for stage in records[0][when]
        for index, value in enumerate(_mean(records, v, when, stage), 1)
        if value > 1e-4 and (index < 20 or index % 10 == 0)
    ]
    chart = (
        alt.Chart(alt.Data(values=rows))
        .mark_line()
        .encode(
            x=alt.X("index:Q", scale=alt.Scale(type="log"), title="index"),
            y=alt.Y("value:Q", scale=alt.Scale(type="log"), title="singular value, mean"),
            color=alt.Color("variant:N", sort=variants, title=None),
        )
        .properties(width=190, height=170)
        .facet(
            column=alt.Column("stage:N", sort=list(records[0]["after"]), title=None),
            row=alt.Row("when:N", sort=list(TIMES), title=None),
        )
    )
    chart.save(path)


def _mean(records: list[Record], variant: str, when: str, stage: str) -> Any:
    own = [r[when][stage]["spectrum"] for r in records if r["variant"] == variant]
    return np.mean(own, axis=0)
