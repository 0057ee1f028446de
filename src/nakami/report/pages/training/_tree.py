"""A tree with a value at each node: leaves in a line with their texts, parents above them."""

from __future__ import annotations

import numpy as np

from nakami import results

from ...charts import _marks as kit
from ...charts._chart import Chart, chart, columns
from ...charts._marks import Axes
from ...words import _numbers as num

LEVEL, BELOW = 44, 70  # pixels of a level, and of the texts of the leaves
LEAST = 0.05  # of a value; a smaller one is written as 0
NEGATIVE, NONE = "var(--d0)", "var(--ink-2)"


def tree_chart(index: int, found: results.Tree) -> Chart:
    """Circles filled by the sign of the value, which stands above each."""
    x, y = places(found.parents)
    child = np.flatnonzero(np.asarray(found.parents) >= 0)
    parent = np.asarray(found.parents)[child]
    top, wide = max(float(y.max()), 1.0), max(float(x.max()), 1.0)
    data = {
        "edges": columns(x=x[child], y=y[child], x2=x[parent], y2=y[parent]),
        "nodes": columns(
            x=x,
            y=y,
            fill=[
                kit.AFTER if v > LEAST else NEGATIVE if v < -LEAST else NONE for v in found.values
            ],
            value=[f"{v:+.1f}" if abs(v) > LEAST else "0" for v in found.values],
        ),
        "texts": columns(
            x=x[y == 0], y=y[y == 0], t=[t for t, at in zip(found.texts, y, strict=True) if not at]
        ),
    }
    bare = {"type": "quantitative", "axis": None}
    axes = Axes(
        {**bare, "scale": {"domain": [-0.6, wide + 0.6], "nice": False}},
        {**bare, "scale": {"domain": [-BELOW / LEVEL, top + 0.6], "nice": False}},
    )
    ends = {"x2": {"field": "x2"}, "y2": {"field": "y2"}}
    told = {"text": {"field": "value", "type": "nominal"}}
    words = {"text": {"field": "t", "type": "nominal"}}
    size = {"fontSize": 12, "color": kit.INK}
    drawn = [
        kit.layer("edges", {**axes.at(), **ends}, "rule", color="var(--ink-2)", strokeWidth=1),
        kit.layer("nodes", axes.at(**kit.as_given("fill")), "circle", size=90, opacity=1),
        kit.layer("nodes", {**axes.at(), **told}, "text", dy=-13, **size),
        kit.layer(
            "texts", {**axes.at(), **words}, "text", angle=-40, align="right", dx=-4, dy=12, **size
        ),
    ]
    return chart(
        f"tree{index}", drawn, data, described(found), height=int(LEVEL * (top + 0.6)) + BELOW
    )


def places(parents: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Leaves in order at height 0, parents in the middle of their children and above them."""
    children: list[list[int]] = [[] for _ in parents]
    for node, parent in enumerate(parents):
        if parent >= 0:
            children[parent].append(node)
    x, y, leaves = np.zeros(len(parents)), np.zeros(len(parents)), 0
    for node, below in enumerate(children):  # children stand before their parents
        if below:
            x[node], y[node] = x[below].mean(), y[below].max() + 1
        else:
            x[node], leaves = leaves, leaves + 1
    return x, y


def described(found: results.Tree) -> str:
    """The leaves with their values, and that of the root."""
    leaves = set(range(len(found.parents))) - set(found.parents)
    told = (f"{found.texts[i]} {num.number(found.values[i], 2)}" for i in sorted(leaves))
    root = num.number(found.values[found.parents.index(-1)], 2)
    return f"{found.title}. {', '.join(told)}; at the root {root}. {found.caption}"
