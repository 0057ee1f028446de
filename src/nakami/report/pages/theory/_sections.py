"""Sections of the page and their charts: signals by depth, eigenvalues, rates by width."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ...charts import _marks as kit
from ...charts._chart import Chart, Columns, Spec, chart, columns
from ...charts._labels import AROUND
from ...charts._marks import AFTER, Axes
from ...page._sections import Figure, Section, section
from ...words import _numbers as num
from ...words._sentences import Sentences

if TYPE_CHECKING:
    from nakami.theory.meanfield import Prediction

say = Sentences(__file__)
SAME, OTHER = ("var(--d1)", "var(--t1)"), ("var(--d2)", "var(--t2)")
WIDE_RANGE = 30  # from here on an axis is logarithmic
STILL = 0.005  # a correlation that moves less stays


def phase(found: Prediction) -> str:
    """Where signals go with more such layers."""
    c = found.criticality
    if c is None:
        return say("phase.mixed")
    if c.reason:
        return say("phase.none", reason=c.reason)
    return say(f"phase.{c.phase}", chi=c.chi_1)


def depth_section(found: Prediction) -> Section:
    """States forward, gradients backward."""
    o = found.order
    start, end = float(found.correlation[0]), float(found.correlation[-1])
    way = "rises" if end > start + STILL else "falls" if end < start - STILL else "stays"
    ratio = float(o.q_tilde1[0]) / float(o.q_tilde1[-1])
    heading = say(f"depth.{way}", start=start, end=end)
    text = say("depth.text", ratio=ratio, phase=phase(found))
    return section(say, "depth", heading, text, [signal_figure(found), gradient_figure(found)])


def eigenvalues_section(found: Prediction) -> Section:
    """Bulk and outliers."""
    f = found.statistics
    above = f.n_outliers + f.n_bulk
    case = "heading" if f.n_bulk and f.bulk else "heading_no_bulk"
    heading = say(f"eigenvalues.{case}", outliers=f.n_outliers, largest=f.largest, bulk=f.bulk)
    text = say(
        "eigenvalues.text", samples=found.samples, parameters=f.parameters, above=above,
        edge=f.largest_edge,
    )  # fmt: skip
    return section(say, "eigenvalues", heading, text, [eigenvalue_figure(found)])


def map_section(found: Prediction) -> Section:
    """Which rates are stable at which width."""
    w, r = found.widths, found.by_width
    fall = (r[0].limit / r[-1].limit) if len(r) > 1 else 1.0
    text = say("map.text", first=w[0], last=w[-1], fall=fall)
    return section(say, "map", say("map.heading"), text, [map_figure(found)])


def signal_figure(found: Prediction) -> Figure:
    """States forward."""
    o = found.order
    same, other = [*o.q_hat1, o.q1[-1]], [*o.q_hat2, o.q2[-1]]
    layers = list(range(len(same)))
    activity = by_layer("activity", layers, {"one input": same, "two inputs": other}, "|h|²/M",
                        "Mean square of states, and overlap of two inputs")  # fmt: skip
    correlation = by_layer("correlation", layers, {"": list(found.correlation)}, "correlation",
                           "Correlation of two inputs’ states", (0.0, 1.0))  # fmt: skip
    title, caption = say("caption.states_title"), say("caption.states")
    return Figure(title, caption, [activity, correlation], layout="duo")


def gradient_figure(found: Prediction) -> Figure:
    """Gradients backward."""
    o = found.order
    layers = list(range(1, len(o.q_tilde1) + 1))
    both = {"one input": list(o.q_tilde1), "two inputs": list(o.q_tilde2)}
    gradients = by_layer("gradients", layers, both, "|∂f/∂u|²", "Squared gradients of an output")
    gain = by_layer("gain", layers, {"": list(o.layer_gain)}, "gain",
                    "Mean squared singular value of each layer", mark=1.0)  # fmt: skip
    title, caption = say("caption.gradients_title"), say("caption.gradients")
    return Figure(title, caption, [gradients, gain], layout="duo")


def by_layer(
    name: str,
    layers: list[int],
    curves: dict[str, list[Any]],
    y_title: str,
    title: str,
    ends: tuple[float, float] | None = None,
    mark: float | None = None,
) -> Chart:
    """One or two quantities by layer."""
    values = [float(v) for curve in curves.values() for v in curve]
    low, high = min(values), max(values)
    log = low > 0 and high / low > WIDE_RANGE
    if log:
        y = kit.axis(low * 0.7, high * 1.4, y_title, log=True)
    else:
        first, last = ends or (min(0.0, low), max(high * 1.06, mark or 0.0) or 1.0)
        y = kit.axis(min(first, low), max(last, high), y_title, log=False)
    axes = Axes(_layer_axis(layers), y)
    drawn: kit.Layers = kit.level(mark, axes) if mark is not None else []
    data: dict[str, Columns] = {}
    for (label, curve), (colour, text) in zip(curves.items(), (SAME, OTHER), strict=False):
        key = f"c{len(data)}"
        points = [float(v) for v in curve]
        data[key] = columns(x=layers, y=points, stroke=colour, fill=colour, shape="circle")
        drawn += [kit.line(key, axes, colour), kit.points(key, axes, size=46)]
        if label:
            drawn.append(kit.name(label, axes, text, kit.along(layers, points)))
    said = "; ".join(
        f"{label or y_title} {', '.join(num.number(float(v)) for v in curve)}"
        for label, curve in curves.items()
    )
    text = f"{title} by layer: {said}."
    return chart(name, drawn, data, text, height=230, padding={"right": 12}, title=title)


def _layer_axis(layers: list[int]) -> Spec:
    step = max(1, -(-(len(layers) - 1) // 6))
    spec: Spec = {"type": "quantitative", "title": "layer"}
    spec["scale"] = {"type": "linear", "domain": [layers[0], layers[-1]], "nice": False}
    spec["axis"] = {"values": layers[::step], "format": "d"}
    return spec


def eigenvalue_figure(found: Prediction) -> Figure:
    """Bulk and outliers: how many eigenvalues lie where."""
    f = found.statistics
    groups = [(f.bulk, f.n_bulk, "bulk", SAME), (f.largest, f.n_outliers, "outliers", OTHER)]
    groups = [g for g in groups if g[0] > 0 and g[1] > 0]
    ends = [g[0] for g in groups]
    x = kit.axis(min(ends) / 3, max(*ends, f.largest_edge) * 2.5, "eigenvalue", log=True)
    top = max(g[1] for g in groups)
    y = kit.axis(0.7, top * 3, "number of eigenvalues", log=True)
    axes = Axes(x, y)
    data = {
        "stems": columns(
            x=[g[0] for g in groups], y=[g[1] for g in groups], lo=[0.7] * len(groups),
            stroke=[g[3][0] for g in groups], fill=[g[3][0] for g in groups],
            shape="circle",
        ),
        "spread": columns(x=[f.largest, f.largest_edge], lo=[0.7, 0.7],
                          hi=[f.n_outliers] * 2),
    }  # fmt: skip
    stems = axes.at(y="lo", y2={"field": "y"}, **kit.as_given(color="stroke"))
    rule = kit.layer("stems", stems, "rule", strokeWidth=2, clip=True)
    spread = kit.band("spread", axes, OTHER[0])
    layers: kit.Layers = [spread, rule, kit.points("stems", axes, size=80)]
    above = ((0, -16), (-1, -10), (1, -10))
    layers += [
        kit.name(f"{num.whole(n)} near {num.number(v)}", axes, look[1], [(v, n)], above)
        for v, n, _, look in groups
    ]
    text = say("caption.eigenvalues_text", outliers=f.n_outliers, largest=f.largest,
               edge=f.largest_edge, others=f.n_bulk, bulk=f.bulk)  # fmt: skip
    drawn = chart("eigenvalues", layers, data, text, height=230)
    return Figure(say("caption.eigenvalues_title"), say("caption.eigenvalues"), [drawn])


def map_figure(found: Prediction) -> Figure:
    """Width by rate, with the theory's border."""
    w = list(found.widths)
    limit = [r.limit for r in found.by_width]
    safe = [r.safe for r in found.by_width]
    advised = [r.advised for r in found.by_width]
    finite = [v for v in limit if np.isfinite(v)]
    low, high = min(advised) / 3, max(finite or safe) * 4
    x = kit.axis(w[0], max(w[-1], w[0] * 1.01), "largest hidden width", log=True,
             ticks=[v for v in w if v in (w[0], w[-1])] + _round_widths(w))  # fmt: skip
    x["axis"].pop("labelExpr", None)
    axes = Axes(x, kit.axis(low, high, "learning rate", log=True))
    top = [min(v, high) for v in limit]
    data = {
        "map": columns(x=w, limit=top, safe=safe, advised=advised, low=[low] * len(w),
                       high=[high] * len(w)),
        "here": columns(x=[found.order.reference_width], y=[found.rates.advised],
                        stroke=AFTER, fill=AFTER, shape="circle"),
    }  # fmt: skip
    layers: kit.Layers = [
        kit.band("map", axes, "var(--d2)", "limit", "high", opacity=0.18),
        kit.band("map", axes, "var(--d1)", "safe", "limit", opacity=0.22),
        kit.line("map", axes, "var(--d2)", "limit"),
        kit.line("map", axes, "var(--d1)", "safe", dash=[5, 4]),
        kit.line("map", axes, "var(--after)", "advised", dash=[1, 3], width=1.6),
        kit.points("here", axes, size=80),
        kit.name(f"this network, {num.number(found.rates.advised)}", axes, AFTER,
                 [(found.order.reference_width, found.rates.advised)],
                 ((-1, 13), *AROUND, (0, 28))),
        kit.name("steps grow", axes, "var(--ink-2)", [(w[-1], high / 1.5)], ((-1, 0),)),
        kit.name("steps shrink", axes, "var(--ink-2)", [(w[0], low * 1.5)], ((1, 0),)),
    ]  # fmt: skip
    fastest = found.rates.fastest
    caption = say("caption.map")
    if found.softmax is not None:
        caption = say("caption.map_bounds")
    elif fastest:
        caption = say("caption.map_fastest", fastest=fastest)
    pairs = [f"width {num.whole(a)}: {num.number(b)}" for a, b in zip(w, limit, strict=True)]
    text = say("caption.map_text", limits="; ".join(pairs))
    drawn = chart("map", layers, data, text, height=340)
    return Figure(say("caption.map_title"), caption, [drawn])


def _round_widths(widths: list[int]) -> list[int]:
    found = [m * 10**p for p in range(1, 7) for m in (1, 2, 5)]
    return [v for v in found if widths[0] * 1.3 < v < widths[-1] / 1.3]
