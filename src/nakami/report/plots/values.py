"""Singular values, eigenvalues and exponents against their index, with errors where known."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..charts import _marks as kit
from ..charts._chart import Chart, chart, columns
from ..charts._marks import Axes
from ..page._kinds import ChartKind
from ..words import _numbers as num

SHAPES = {  # type of result: its values, their standard errors, what they are called
    "SVDResult": ("values", "", "singular value"),
    "EighResult": ("values", "", "eigenvalue"),
    "Spectrum": ("values", "", "singular value"),
    "Lens": ("values", "value_errors", "singular value"),
    "LyapunovSpectrum": ("exponents", "standard_errors", "exponent, nats a step"),
}
SPREAD, DECADES = 30, 1e-12  # largest over smallest for a log axis; the least share drawn on it
SURE = 2  # standard errors


def _array(values: Any) -> np.ndarray:
    return np.asarray(values.tolist(), dtype=np.float64)


def _draw(result: Any) -> list[Chart]:
    field, error_field, noun = SHAPES[type(result).__name__]
    every = _array(getattr(result, field))
    good = np.isfinite(every)
    values = every[good]
    errors = np.zeros_like(values)
    if error_field:
        errors = SURE * np.nan_to_num(_array(getattr(result, error_field))[good])
    at = np.arange(1, len(every) + 1)[good].tolist()
    top = float((values + errors).max(initial=0.0))
    positive = values[values > top * DECADES] if top > 0 else values[:0]
    log = bool(len(positive) and (values >= 0).all() and top > SPREAD * float(positive.min()))
    if log:
        low = float(positive.min()) / 1.5
        y = kit.axis(low, top * 1.3, noun, log=True)
        values = np.maximum(values, low)
        below = np.maximum(values - errors, low)
    else:
        below = values - errors
        y = kit.axis(min(0.0, float(below.min(initial=0.0))), top or 1.0, noun, log=False)
    axes = Axes(kit.index_axis(len(every), "index"), y)
    rows = columns(
        x=at, y=values, lo=below, hi=values + errors, stroke="var(--d1)", fill="var(--d1)",
        shape="circle",
    )  # fmt: skip
    bars = axes.at(y="lo", y2={"field": "hi"})
    drawn: kit.Layers = [
        kit.layer("values", bars, "rule", color="var(--d1)", strokeWidth=1.6, clip=True),
        kit.points("values", axes, size=30),
    ]
    some = ", ".join(num.number(float(v)) for v in every[:6])
    text = f"{noun.capitalize()} against index, {len(every)} in all; the first: {some}."
    return [chart("values", drawn, {"values": rows}, text, height=260)]


ENTRY = ChartKind(
    results=(
        "nakami.spectra:SVDResult",
        "nakami.spectra:EighResult",
        "nakami.results:Spectrum",
        "nakami.results:Lens",
        "nakami.results:LyapunovSpectrum",
    ),
    draw=_draw,
)
