"""The density of eigenvalues, with its standard error over probes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..charts import _marks as kit
from ..charts._chart import Chart, chart, columns
from ..charts._marks import Axes
from ..page._kinds import ChartKind
from ..words import _numbers as num

CURVES = {"density": "share of eigenvalues per unit", "cumulative": "share of eigenvalues below"}


def _draw(result: Any) -> list[Chart]:
    return [_curve(result, name, noun) for name, noun in CURVES.items()]


def _curve(result: Any, name: str, noun: str) -> Chart:
    x, y, se = (
        np.asarray(getattr(result, field).tolist(), dtype=np.float64)
        for field in ("points", name, f"{name}_se")
    )
    spread = 2 * np.nan_to_num(se)
    low, high = np.maximum(y - spread, 0.0), y + spread
    axes = Axes(
        kit.axis(float(x.min()), float(x.max()), "eigenvalue", log=False),
        kit.axis(0.0, float(high.max()) or 1.0, noun, log=False),
    )
    drawn: kit.Layers = [kit.band(name, axes, "var(--d1)"), kit.line(name, axes, "var(--d1)")]
    ends = f"{num.number(float(x.min()))} to {num.number(float(x.max()))}"
    text = f"{noun.capitalize()}, from {ends}; shaded: two standard errors."
    return chart(name, drawn, {name: columns(x=x, y=y, lo=low, hi=high)}, text, height=260)


ENTRY = ChartKind(results=("nakami.spectra:DensityResult",), draw=_draw)
