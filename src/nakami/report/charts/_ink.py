"""What a chart draws where, in pixels, as texts must know it to stand clear."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

Data = dict[str, Any]
CELL = 2  # side of a cell of the grid that ink is noted on, in pixels


def share(axis: Data, values: Sequence[Any] | np.ndarray) -> np.ndarray:
    """Where values lie on an axis, 0 to 1 from its start."""
    if axis["type"] != "quantitative":
        order = {name: i for i, name in enumerate(axis["sort"])}
        return (np.array([order[v] for v in values]) + 0.5) / len(order)
    at, ends = np.array(values, dtype=float), np.array(axis["scale"]["domain"], dtype=float)
    if axis["scale"]["type"] == "log":
        at, ends = np.log(np.maximum(at, ends[0] * 1e-6)), np.log(ends)
    out: np.ndarray = (at - ends[0]) / (ends[1] - ends[0])
    return out


def strokes(
    layer: Data, data: Data, axes: Data, width: float, height: float
) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Where a layer leaves ink: colour, and places in pixels."""
    mark, source = layer["mark"], layer["data"]
    if mark["type"] in ("text", "area", "rect") or "name" in layer:
        return []
    found = data.get(source.get("name"), {})
    if "values" in source:
        found = {key: [row[key] for row in source["values"]] for key in source["values"][0]}
    n = len(next(iter(found.values()))) if found else 1
    colours = _colours(layer, found, n)
    (x, x2), (y, y2) = (
        _ends(layer, found, n, way, axes[way], whole)
        for way, whole in (("x", width), ("y", height))
    )
    good, out = np.isfinite([x, x2, y, y2]).all(0), []
    for colour in dict.fromkeys(colours):
        some = good & (np.array(colours) == colour)
        if mark["type"] == "line":
            ways = [_way(x[some], y[some])]
        elif x is x2 and y is y2:
            ways = [_spot(x[some], y[some], mark)]
        else:
            both = np.stack([[x, x2], [y, y2]])[..., some].transpose(2, 0, 1)
            ways = [_way(*one) for one in both]
        out += [(colour, *way) for way in ways]
    return out


def _colours(layer: Data, found: Data, n: int) -> list[str]:
    """The colour of each row of a layer."""
    mark, coded = layer["mark"], layer["encoding"]
    code = coded.get("stroke") or coded.get("color")
    if code is None:
        return [str(mark.get("stroke", mark.get("color")))] * n
    scale = code.get("scale") or {"domain": (), "range": ()}
    painted = dict(zip(scale["domain"], scale["range"], strict=True))
    return [painted.get(v, v) for v in found[code["field"]]]


def _ends(
    layer: Data, found: Data, n: int, way: str, axis: Data, whole: float
) -> tuple[np.ndarray, np.ndarray]:
    """Where each row of a layer starts and ends along an axis, in pixels; one array if at once."""
    mark, coded = layer["mark"], layer["encoding"]
    if "scale" not in coded.get(way, ()):
        return np.zeros(n), np.full(n, whole)
    places = []
    for code in (coded[way], coded.get(f"{way}2")):
        if code is not None:
            values = found[code["field"]] if "field" in code else [code["datum"]] * n
            at = share(axis, [np.nan if v is None else v for v in values])
            up = way == "y" and axis["type"] == "quantitative"
            places.append((1 - at if up else at) * whole + float(mark.get(f"{way}Offset", 0)))
    return places[0], places[-1]


def _way(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places along a way, one a cell."""
    if not len(x):
        return x, y
    x, y = (np.clip(v, -2000, 4000) for v in (x, y))  # far outside the plot nothing is seen
    way = np.concatenate([[0.0], np.hypot(np.diff(x), np.diff(y)).cumsum()])
    at = np.arange(0, way[-1] + CELL, CELL)
    return np.interp(at, way, x), np.interp(at, way, y)


def _spot(x: np.ndarray, y: np.ndarray, mark: Data) -> tuple[np.ndarray, np.ndarray]:
    """Places of marks, and those around them that their ink reaches."""
    wide = (mark.get("size", 60) / np.pi) ** 0.5 if mark["type"] in ("point", "circle") else 0.0
    dx, dy = np.array(list(product((-wide, 0, wide), repeat=2)) if wide else [(0.0, 0.0)]).T
    return np.add.outer(x, dx).ravel(), np.add.outer(y, dy).ravel()
