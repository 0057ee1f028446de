"""Texts of charts stand clear of lines, of points and of each other, at every width of a page."""

from __future__ import annotations

import numpy as np

from checks import neighbour
from nakami.report.charts import _labels as labels
from nakami.report.charts import _marks as kit
from nakami.report.charts._chart import chart, columns
from nakami.report.page._kinds import page_of
from nakami.theory import meanfield


def at(axis, value, size, up=False):
    """Pixels of a value along an axis, by the rules of Vega written out once more."""
    if axis["type"] != "quantitative":
        return size * (axis["sort"].index(value) + 0.5) / len(axis["sort"])
    (low, high), log = axis["scale"]["domain"], axis["scale"]["type"] == "log"
    part = np.log(value / low) / np.log(high / low) if log else (value - low) / (high - low)
    return size * (1 - part if up else part)


def boxes(drawn, width):
    """Edges of every text of a chart at a width; letters are 6.3 px wide, no more than drawn."""
    spec = drawn.spec
    layer = next(layer for layer in spec["layer"] if layer.get("name") == "labels")
    modes = f"{drawn.state.get('x', '')} {drawn.state.get('y', '')}".strip()
    encoding, cols = layer["encoding"], drawn.data["labels"]
    x_axis, y_axis = (
        {**encoding[k], **(drawn.modes[k][drawn.state[k]] if modes else {})} for k in ("x", "y")
    )
    height = spec["height"] * (0.8 if width < 430 and spec["height"] > 260 else 1)
    out = []
    for i, text in enumerate(cols["t"]):
        if cols["modes"][i] not in ("", modes):
            continue
        w = 6.3 * len(text)
        x = at(x_axis, cols["x"][i], width) + cols["dx"][i]
        x -= {"left": 0, "center": w / 2, "right": w}[cols["align"][i]]
        y = at(y_axis, cols["y"][i], height, y_axis["type"] == "quantitative") + cols["dy"][i]
        out.append((text, x, y - 6, x + w, y + 6))
    return out


def meet(a, b):
    return min(a[3], b[3]) - max(a[1], b[1]) > 1 and min(a[4], b[4]) - max(a[2], b[2]) > 1


def overlaps(drawn, width):
    found = boxes(drawn, width)
    return [(a[0], b[0]) for i, a in enumerate(found) for b in found[:i] if meet(a, b)]


def crossed(drawn, width):
    """Texts that an upright or level line without an end runs through."""
    found, spec = boxes(drawn, width), drawn.spec
    height = spec["height"] * (0.8 if width < 430 and spec["height"] > 260 else 1)
    out = []
    for layer in spec["layer"]:
        coded = layer["encoding"]
        if layer["mark"]["type"] != "rule" or "name" in layer or len({"x", "y"} & set(coded)) == 2:
            continue
        way = "x" if "x" in coded else "y"
        axis = {**coded[way], **(drawn.modes[way][drawn.state[way]] if drawn.modes else {})}
        value = axis["datum"] if "datum" in axis else layer["data"]["values"][0][way]
        line = at(axis, value, width if way == "x" else height, way == "y")
        low, high = (1, 3) if way == "x" else (2, 4)
        out += [box[0] for box in found if box[low] + 1 < line < box[high] - 1]
    return out


def pages(run, two, mixed):
    rates = neighbour("report", "test_learning_rate_page")
    yield page_of(rates.made_up(), rates.ABOUT)
    yield page_of(rates.made_up(advised=2.0, interval=None), rates.ABOUT)
    yield page_of(meanfield.predict((784, 1000, 1000, 10), "tanh", 3, 0.64, samples=100))
    yield page_of(meanfield.predict((50, *[100] * 8, 5), "relu", 2, samples=10))
    yield from (page_of(what) for what in (run, two, mixed()))


def test_no_text_of_a_page_meets_another_or_a_border(run, two, mixed):
    seen = 0
    for page in pages(run, two, mixed):
        for drawn in (c for c in page.charts if "labels" in c.data):
            for width in (280, 310, 380, 470, 600, 700):
                seen += len(boxes(drawn, width))
                assert overlaps(drawn, width) == [], (drawn.name, width)
                assert crossed(drawn, width) == [], (drawn.name, width)
    assert seen > 300


def two_lines(ways):
    """Two borders close together, each with its name."""
    axes = kit.Axes(kit.axis(0, 10, "x", log=False), kit.axis(0, 10, "y", log=False))
    layers = [
        *kit.border(4.5, axes, "the first", kit.INK),
        *kit.border(5, axes, "other", kit.AFTER),
    ]
    if ways:
        layers = [
            kit.name(d.text, axes, d.colour, d.at[:1], ways) if isinstance(d, kit.Label) else d
            for d in layers
        ]
    return chart("a", layers, {"none": columns(x=[])}, "Two lines.")


def test_borders_side_by_side_have_their_names_outside():
    assert not overlaps(two_lines(None), 400)
    assert not crossed(two_lines(None), 400)
    assert overlaps(two_lines(((1, 9),)), 400)  # with one place each they would meet
    assert crossed(two_lines(((1, 9),)), 400)


def test_a_name_stands_where_other_curves_are_far():
    axes = kit.Axes(kit.axis(0, 10, "x", log=False), kit.axis(0, 10, "y", log=False))
    x = np.linspace(0, 10, 40)
    data = {"a": columns(x=x, y=5 + 0 * x), "b": columns(x=x, y=np.maximum(5.2, 9 - x))}
    lines = [
        kit.line(key, axes, colour) for key, colour in (("a", "var(--d1)"), ("b", "var(--d2)"))
    ]
    name = kit.name("b", axes, "var(--t2)", kit.along(x, data["b"]["y"]), far=True)
    found = chart("c", [*lines, name], data, "Two curves.").data["labels"]
    assert found["y"][0] > 5.6  # not on its level part, where the other curve is near
    usual = labels.Label("b", "var(--t2)", name.axes, name.at)
    assert chart("c", [*lines, usual], data, "").data["labels"]["y"] == [5.2]
