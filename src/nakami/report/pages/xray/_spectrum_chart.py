"""Chart of singular values by index: one curve for each stage or network, with a read-out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

from nakami.results import Spectrum, Xray

from ...charts._axes import index_axes, value_axes
from ...charts._chart import Chart, Columns, Spec, chart, columns, digits
from ...charts._marks import DASHES, DOTS, INK, Axes, Label, Layers, layer, spread
from ...charts._marks import name as label
from ...words import _numbers as num

NAMED = 24  # of more curves, so many are named, evenly spread over depth


def spectrum_chart(
    name: str,
    curves: list[Series],
    text: str,
    *,
    height: int,
    title: str = "",
    group: str | None = None,
    like: list[Series] | None = None,
    linear: bool = False,
    y_title: str = "singular value s",
) -> Chart:
    """Singular values by index, one curve for each stage or network."""
    every = like or curves
    k = max(c.k for c in every)
    modes = {"x": index_axes(k, small=bool(title)), "y": _values(every)}
    known = any(c.complete for c in every)  # then the whole width means something
    state = {
        "y": "linear" if linear or "log" not in modes["y"] else "log",
        "x": "log" if known and "log" in modes["x"] else "linear",
    }
    first = {way: {"type": "quantitative", **modes[way][state[way]]} for way in ("x", "y")}
    x = {**first["x"], "title": "index of the direction, largest first"}
    axes, ends = Axes(x, {**first["y"], "title": y_title}), cuts(curves)
    colour = _by_name(curves, [f"var(--{c.colour})" for c in curves])
    data = {"src": rows(curves)}
    layers: Layers = [*_curves(curves, axes, colour), _border(axes), *_reading(axes, colour)]
    if ends["i"]:  # where a curve stops because no more values were computed
        end = {"orient": "vertical", "size": 15, "thickness": 2, "clip": True}
        data["cuts"] = ends
        layers.append(layer("cuts", axes.at("i", "v", color=colour), "tick", **end))
    named = [_named(c, k) for c in curves]
    if not title:
        layers += _texts(named, data["src"], modes)
    drawn = chart(name, layers, data, text, height=height, title=title, modes=modes, state=state,
                  group=group or name, curves=named)  # fmt: skip
    drawn.spec["params"] = [{"name": "idx", "value": min(10, k)}]
    return drawn


def _values(every: list[Series]) -> dict[str, Spec]:
    means = [digits(v) or 0.0 for c in every for v in c.mean.tolist()]
    highs = [v for c in every for v in (c.mean + c.sd).tolist() if math.isfinite(v)]
    top = digits(max([*means, *highs])) or 0.0
    return value_axes(top, means, [float(c.mean[0]) for c in every])


def _named(c: Series, k: int) -> dict[str, str]:
    end = f", cut at {num.whole(c.k)}" if not c.complete and c.k < k else ""
    return {"name": c.name, "colour": f"var(--{c.colour})", "text": f"var(--{c.text})", "end": end}


def _by_name(curves: list[Series], values: list[object]) -> Spec:
    scale = {"domain": [c.name for c in curves], "range": values}
    return {"field": "c", "type": "nominal", "legend": None, "scale": scale}


def _curves(curves: list[Series], axes: Axes, colour: Spec) -> list[Spec]:
    def drawn(kind: str, y: str, more: Spec | None = None, **mark: object) -> Spec:
        return layer("src", axes.at("i", y, color=colour, **(more or {})), kind, clip=True, **mark)

    out = []
    if any(np.isfinite(c.sd).any() for c in curves):
        out.append(drawn("area", "lo", {"y2": {"field": "hi"}}, opacity=0.16))
    dashed = {}
    if any(c.dashed for c in curves):
        dashed["strokeDash"] = _by_name(curves, [DASHES if c.dashed else [1, 0] for c in curves])
    out.append(drawn("line", "d", dashed, strokeWidth=2))
    if any((c.state == UNCONVERGED).any() for c in curves):
        out.append(drawn("line", "u", strokeWidth=2, strokeDash=[0.1, 4.5]))
    if any(len(c.index) == 1 for c in curves):
        out.append(drawn("point", "m", filled=True, size=46, opacity=1))
    return out


def _border(axes: Axes) -> Spec:
    """The line s = 1."""
    one = {"y": {**axes.y, "datum": 1}}
    return layer([{}], one, "rule", color=INK, strokeWidth=1, strokeDash=DOTS, clip=True)


def _texts(
    curves: list[dict[str, str]], src: Columns, modes: dict[str, dict[str, Spec]]
) -> Iterator[Label]:
    """What lies on each side of s = 1, and the names of curves, for each pair of axes."""
    floor = 1.01 * min(v for v in (*src["d"], *src["u"]) if v is not None)
    for x, y in product(modes["x"], modes["y"]):
        kinds = {"x": modes["x"][x], "y": modes["y"][y]}
        axes = Axes(*({"type": "quantitative", **kinds[way]} for way in ("x", "y")))
        more: Spec = {"dropped": True, "modes": f"{x} {y}"}
        low, high = axes.y["scale"]["domain"]
        for note, short, down in (("stretched, s > 1", "s > 1", -8), ("shrunk, s < 1", "s < 1", 9)):
            along = [(float(at), 1.0) for at in spread(axes.x)[::-1]]
            if low <= 1 <= high:
                ways = ((-1, down), (1, down))
                yield label(note, axes, "var(--ink-2)", along, ways, short=short, **more)
        for c in curves[:: -(-len(curves) // NAMED)]:
            rows = zip(src["i"], src["c"], src["d"], src["u"], strict=True)
            seen = [(i, d or u or 0.0) for i, of, d, u in rows if of == c["name"]]
            at = [place for place in seen if max(low, floor) < place[1] < high]
            if at:
                text, at = c["name"] + c["end"], at[:: -max(1, len(at) // 30)]
                yield label(text, axes, c["text"], at, far=True, short=c["name"], **more)


def _reading(axes: Axes, colour: Spec) -> list[Spec]:
    """The line and the points of the read-out, at the index ``idx``."""
    here = {"filter": "datum.i == idx"}
    once = {"aggregate": [{"op": "count", "as": "n"}], "groupby": ["i"]}
    rule = layer("src", axes.at("i", None), "rule", color="var(--ink-3)", strokeWidth=1)
    look = {"filled": True, "size": 46, "clip": True, "opacity": 1}
    edge = {"stroke": "var(--paper)", "strokeWidth": 1.5}
    value = layer("src", axes.at("i", "m", color=colour), "point", **look, **edge)
    return [
        {**rule, "name": "reader", "transform": [here, once]},
        {**value, "name": "read", "transform": [here]},
    ]


WHOLE = 120  # every index up to here is drawn, beyond it about 24 a decade
OK, UNCONVERGED, NOISE = 1, 0, 2


@dataclass(frozen=True)
class Series:
    """One curve: singular values of one stage of one network, over inputs.

    Attributes:
        name: The curve's name in the chart and its read-out.
        colour, text: CSS variables of the curve and of its name.
        dashed: Drawn dashed (the network before).
        index: Drawn indices, from 1. mean, sd: at those indices (sd NaN for one input).
        state: 1 converged; 0 not converged at some input; 2 below the floor of the arithmetic.
        k: Number of values behind the curve.
        complete: Whether they are all there are.
    """

    name: str
    colour: str
    text: str
    dashed: bool
    index: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    state: np.ndarray
    k: int
    complete: bool


def series(
    run: Xray, stage: str, source: str | None, name: str, look: tuple[str, str, bool]
) -> Series:
    """The curve of one stage; its look is the colour, that of its name, and whether dashed."""
    spectra = run.at(stage, source)
    mean, sd = run.mean_sd(stage, source)
    index = thinned(len(mean))
    state = np.min([_state(s, run.settings.get("tol"), len(mean)) for s in spectra], axis=0)
    noise = np.any([~s.reliable[: len(mean)] for s in spectra], axis=0) & (mean > 0)
    state = np.where(noise & (state == OK), NOISE, state)
    at = index - 1
    complete = all(s.complete for s in spectra)
    return Series(name, *look, index, mean[at], sd[at], state[at], len(mean), complete)


def thinned(k: int) -> np.ndarray:
    """Indices to draw, 1 to k: all up to 120, then about 24 a decade and the last."""
    if k <= WHOLE:
        return np.arange(1, k + 1)
    more = np.geomspace(WHOLE, k, max(2, int(24 * np.log10(k / WHOLE)) + 2))
    return np.unique([*range(1, WHOLE + 1), *more.round().astype(int)])


def rows(curves: list[Series]) -> Columns:
    """Columns for the chart: to read (m; in words t ± e) and, clamped, to draw (d, u, lo, hi)."""
    top = max((float(c.mean.max(initial=0)) for c in curves), default=0.0)
    tiny = top * 1e-12 or 1e-12
    out: Columns = {k: [] for k in ("i", "c", "m", "t", "e", "d", "u", "lo", "hi", "ok")}
    for c in curves:
        drawn, shaky = np.maximum(c.mean, tiny), c.state == UNCONVERGED
        near = shaky | np.append(shaky[1:], False) | np.insert(shaky[:-1], 0, False)
        texts = [num.split(float(m), float(sd)) for m, sd in zip(c.mean, c.sd, strict=True)]
        one = columns(
            i=c.index, c=c.name, m=c.mean, t=[t for t, _ in texts], e=[e for _, e in texts],
            d=np.where(shaky, np.nan, drawn), u=np.where(near, drawn, np.nan),
            lo=np.maximum(c.mean - c.sd, tiny), hi=np.maximum(c.mean + c.sd, tiny), ok=c.state,
        )  # fmt: skip
        for key, column in one.items():
            out[key] += column
    return out


def cuts(curves: list[Series]) -> Columns:
    """Columns of the ends of those curves that were cut at their largest values."""
    ends = [c for c in curves if not c.complete and c.mean[-1] > 0]
    return columns(
        i=[c.k for c in ends], v=[float(c.mean[-1]) for c in ends], c=[c.name for c in ends]
    )


def _state(spectrum: Spectrum, tol: float | None, k: int) -> np.ndarray:
    if spectrum.converged:
        return np.ones(k, dtype=int)
    if tol is None:
        return np.zeros(k, dtype=int)
    # a residual below tol * s bounds the value's error whatever the gaps are
    return (spectrum.residuals[:k] <= float(tol) * spectrum.values[:k]).astype(int)
