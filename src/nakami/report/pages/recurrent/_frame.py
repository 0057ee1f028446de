"""All of the page but its sections: verdict, tables and words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...page._origin import BESIDE, measured, versions
from ...page._sections import Frame, KeyFigure, Section, Table, Text, Verdict
from ...words import _numbers as num
from ._data import Data, case_of, say, short, steps_of

if TYPE_CHECKING:
    from nakami.results import RecurrentLayer

EXPONENTS = 16  # rows of a layer in the table of exponents


def frame(data: Data, sections: list[Section]) -> Frame:
    """Verdict, tables and words."""
    name = data.found.subject
    return Frame(
        kind="Recurrent layers",
        title=f"nakami xray: {num.short(name, 60)}, recurrent layers",
        name=name,
        verdict=_verdict(data),
        tables=[_layers_table(data), _points_table(data), _exponents_table(data)],
        how=_how(data),
        note=BESIDE,
        words=say.words,
        n_curves=_curves(data),
        **measured(data.found.settings),
    )


def _curves(data: Data) -> int:
    """Colours: of the eigenvalues and exponents, and a curve for each time."""
    times = [one.over_time.steps for one in data.found.layers if one.over_time is not None]
    return max(4, *map(len, times)) if times else 4


def _verdict(data: Data) -> Verdict:
    layer, settings = data.first, data.found.settings
    first, error = float(layer.exponents.exponents[0]), float(layer.exponents.standard_errors[0])
    share = 100 * abs(1 - 2.718281828459045**first)
    fixed = layer.fixed_points
    rest = say(
        "verdict.rest", count=len(fixed.points), stable=int(fixed.stable.sum()),
        where=say(f"where.{data.found.constant}"),
    )  # fmt: skip
    grown = say("verdict.growth", growth=layer.median_growth, steps=layer.growth.length,
                grows=layer.median_growth > 1, sequences=len(layer.growth.at))  # fmt: skip
    size = settings["model"]["parameters"]
    return Verdict(
        kicker=say("verdict.kicker", layer=short(layer), kind=layer.kind, states=layer.state_size),
        headline=say(f"verdict.{case_of(layer)}", share=share),
        standfirst=[grown, rest],
        figures=_key_figures(layer, first, error),
        meta=[
            ("Network", say("meta.network", name=data.found.subject, size=size,
                            training=num.short(data.text("training"), 120))),
            ("Data", num.short(data.text("data"), 200)),
            ("Measured", num.date(data.text("created", ""))),
            versions(settings, f"seed {settings['seed']}"),
        ],
    )  # fmt: skip


def _key_figures(layer: RecurrentLayer, first: float, error: float) -> list[KeyFigure]:
    value, unit = num.split(first, error)
    out = [KeyFigure(value, unit, say("figure.exponent"), reference=say("figure.zero"))]
    grown = layer.growth.singular_values[:, 0]
    ends = (float(grown.min()), float(grown.max()))
    label = say("figure.growth", steps=layer.growth.length, sequences=len(layer.growth.at))
    out.append(KeyFigure(num.number(layer.median_growth), "", label,
                         reference=say("figure.range", ends=ends)))  # fmt: skip
    if len(layer.fixed_points.points):
        radius = num.number(float(layer.fixed_points.radii[0]), 4)
        out.append(KeyFigure(radius, "", say("figure.radius"), reference=say("figure.one")))
    if layer.margins:
        sigma = num.number(max(m.sigma for m in layer.margins))
        out.append(KeyFigure(sigma, "", say("figure.sigma"), reference=say("figure.two")))
    return out


def _layers_table(data: Data) -> Table:
    head: list[Text] = [
        "layer", "kind", "states", "Λ₁", "Λ above 0", "growth", "fixed points", "stable",
        "least radius", "σ₁(W_hn)",
    ]  # fmt: skip
    rows: list[list[Text]] = []
    for layer in data.found.layers:
        found, fixed = layer.exponents, layer.fixed_points
        first, error = float(found.exponents[0]), float(found.standard_errors[0])
        above = f"{int((found.exponents > 0).sum())} of {len(found.exponents)}"
        rows.append([
            short(layer), layer.kind, num.whole(layer.state_size), num.pair(first, error), above,
            num.number(layer.median_growth), str(len(fixed.points)), str(int(fixed.stable.sum())),
            num.number(float(fixed.radii[0]), 4) if len(fixed.points) else "",
            ", ".join(num.number(m.sigma) for m in layer.margins),
        ])  # fmt: skip
    return Table("Layers", head, rows, tuple(range(2, 10)), 760, say("table.layers"))


def _points_table(data: Data) -> Table:
    head: list[Text] = [
        "layer", "point", "radius", "unstable directions", "crossing", "starts", "error",
        "off the plane",
    ]  # fmt: skip
    rows: list[list[Text]] = []
    for layer in data.found.layers:
        f = layer.fixed_points
        for i, radius in enumerate(f.radii):
            rows.append([
                short(layer), str(i + 1), num.number(float(radius), 6),
                str(int(f.unstable_directions[i])), f.crossings[i], str(int(f.starts[i])),
                num.number(float(f.errors[i]), 1), num.number(float(layer.portrait.off_plane[i])),
            ])  # fmt: skip
    return Table("Fixed points", head, rows, (1, 2, 3, 5, 6, 7), 640, say("table.points"))


def _exponents_table(data: Data) -> Table:
    head: list[Text] = ["layer", "index", "exponent, nats a step", "s.e."]
    rows: list[list[Text]] = []
    for layer in data.found.layers:
        found = layer.exponents
        pairs = list(zip(found.exponents, found.standard_errors, strict=True))[:EXPONENTS]
        for i, (value, error) in enumerate(pairs, 1):
            head_, tail = num.split(float(value), float(error))
            rows.append([short(layer), str(i), head_, tail])
    note = say("table.exponents", most=EXPONENTS)
    return Table("Lyapunov exponents", head, rows, (1, 2, 3), 420, note)


def _how(data: Data) -> Table:
    rows: list[list[Text]] = [
        ["States", say("how.states")],
        ["Fixed points", say("how.points", where=say(f"where.{data.found.constant}"))],
        ["Exponents", say("how.exponents")],
        ["Growth", say("how.growth")],
        ["Plane", say("how.plane")],
    ]
    for layer in data.found.layers:
        about = data.about(layer)
        case = "joined" if about["joined"] else "alone"
        how = say(f"how.{case}", sequences=about["sequences"], steps=steps_of(about),
                  discard=about["discard"], reason=layer.exponents.reason)  # fmt: skip
        rows.append([f"Sequences, {short(layer)}", how])
    rows.append(["Source", say("how.source")])
    return Table("How it was measured", ["", "this network"], rows, (), 480)
