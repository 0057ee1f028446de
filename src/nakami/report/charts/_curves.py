"""A chart of a few curves on two axes, with points, bands and names: what most pages need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np

from . import _marks as kit
from ._chart import Chart, Columns, chart, columns
from ._labels import AROUND
from ._marks import Axes

Numbers = Sequence[float] | np.ndarray
MOST_CURVES = 6  # colours of the palette


@dataclass(frozen=True)
class Curve:
    """One curve, or points.

    Attributes:
        name: Beside it; "" leaves it without.
        x, y: Its points; those that are not finite, or not positive on a log axis, are left out.
        low, high: A band around it.
        colour: Its place in the palette from 0 on; None: its place among the curves.
        line: Whether points are joined. marks: Whether they are drawn.
        hollow: Whether marks are empty inside.
        dashed: For what is no stable state, or comes from elsewhere.
    """

    name: str
    x: Numbers
    y: Numbers
    low: Numbers = ()
    high: Numbers = ()
    colour: int | None = None
    line: bool = True
    marks: bool = False
    dashed: bool = False
    hollow: bool = False


@dataclass(frozen=True)
class Scale:
    """An axis: its title, whether it is logarithmic, ends that are kept in sight, whole ticks."""

    title: str
    log: bool = False
    ends: tuple[float, ...] = ()
    whole: bool = False


def curves(
    name: str, lines: Sequence[Curve], x: Scale, y: Scale, text: str, *, title: str = "",
    height: int = 300, level: float | None = None, apart: bool = False,
) -> Chart:  # fmt: skip
    """A chart of curves; ``text`` says what it shows, ``level`` is a dotted horizontal line.

    Names stand at the ends of curves, or with ``apart`` where a curve is far from all others.
    """
    drawn = [(i, line, _kept(line, x, y)) for i, line in enumerate(lines)]
    drawn = [each for each in drawn if each[2]]
    rows = [row for _, _, kept in drawn for row in kept]
    axes = Axes(
        _axis(x, [row[0] for row in rows]),
        _axis(y, [v for row in rows for v in row[1:] if v is not None]),
    )
    layers: kit.Layers = kit.level(level, axes) if level is not None else []
    data: dict[str, Columns] = {}
    for i, line, kept in drawn:
        place = (line.colour if line.colour is not None else i) % MOST_CURVES + 1
        key, colour = f"c{i}", f"var(--d{place})"
        data[key] = columns(
            x=[row[0] for row in kept], y=[row[1] for row in kept],
            lo=[row[1] if row[2] is None else row[2] for row in kept],
            hi=[row[1] if row[3] is None else row[3] for row in kept],
            stroke=colour, fill="var(--paper)" if line.hollow else colour, shape="circle",
        )  # fmt: skip
        layers += _layers(line, key, axes, colour)
        if line.name:
            places = kit.along([row[0] for row in kept], [row[1] for row in kept])
            layers.append(
                kit.name(
                    line.name, axes, f"var(--t{place})", places, AROUND, far=apart, dropped=True
                )
            )
    return chart(name, layers, data, text, height=height, padding={"right": 12}, title=title)


def _layers(line: Curve, key: str, axes: Axes, colour: str) -> kit.Layers:
    made: kit.Layers = []
    banded = len(line.low) > 0
    if banded and line.line:
        made.append(kit.band(key, axes, colour))
    if line.line:  # in the order of the rows: a curve may turn back
        at = axes.at(order={"value": 0})
        dash: dict[str, Any] = {"strokeDash": kit.DASHES} if line.dashed else {}
        made.append(kit.layer(key, at, "line", color=colour, strokeWidth=2, clip=True, **dash))
    if banded and not line.line:
        ends = axes.at(y="lo", y2={"field": "hi"})
        made.append(kit.layer(key, ends, "rule", color=colour, strokeWidth=1.5, clip=True))
    if line.marks or not line.line:
        made.append(kit.points(key, axes, size=46))
    return made


Row = tuple[float, float, float | None, float | None]


def _kept(line: Curve, x: Scale, y: Scale) -> list[Row]:
    none: list[float | None] = [None] * len(line.x)
    lows, highs = (none if len(side) == 0 else list(side) for side in (line.low, line.high))
    found: list[Row] = []
    for a, b, low, high in zip(line.x, line.y, lows, highs, strict=True):
        row = (float(a), float(b))
        if all(map(isfinite, row)) and not (x.log and a <= 0) and not (y.log and b <= 0):
            found.append((*row, _end(low, y), _end(high, y)))
    return found


def _end(value: float | None, scale: Scale) -> float | None:
    good = value is not None and isfinite(value) and not (scale.log and value <= 0)
    return float(value) if good and value is not None else None


def _axis(scale: Scale, values: list[float]) -> dict[str, Any]:
    every = [*values, *scale.ends]
    low, high = min(every), max(every)
    if scale.log:
        if high / low < 10:
            low, high = low / 1.5, high * 1.5
        return kit.axis(low / 1.1, high * 1.1, scale.title, log=True)
    if high == low:
        high = low + 1
    return kit.axis(low, high, scale.title, log=False, whole=scale.whole)
