"""Sections of the page: states of rest, their eigenvalues, exponents along real inputs."""

from __future__ import annotations

from ...page._sections import Section, section
from ...words import _numbers as num
from ._data import Data, case_of, say, short, steps_of
from ._figures import exponents_figure, planes_figure, portraits_figure


def rest_section(data: Data) -> Section:
    """Where the states move, and where they would rest."""
    fixed = [layer.fixed_points for layer in data.found.layers]
    count, stable = sum(len(f.points) for f in fixed), sum(int(f.stable.sum()) for f in fixed)
    where = say(f"where.{data.found.constant}")
    case = "none" if not count else "all" if stable == count else "some" if stable else "saddles"
    heading = say(f"rest.{case}", count=count, stable=stable, where=where)
    parts = []
    for layer in data.found.layers:
        off = layer.portrait.off_plane
        name = f"{short(layer)}: " if data.several else ""
        text = say("rest.text", share=100 * layer.portrait.share, reason=layer.fixed_points.reason)
        far = say("rest.off", off=float(off.max())) if len(off) else ""
        parts.append(f"{name}{text}{far}")
    return section(say, "rest", heading, " ".join(parts), [portraits_figure(data)])


def eigenvalues_section(data: Data) -> Section | None:
    """The Jacobians at the states of rest."""
    some = [layer for layer in data.found.layers if len(layer.fixed_points.points)]
    if not some:
        return None
    layer = min(some, key=lambda one: float(one.fixed_points.radii[0]))
    fixed = layer.fixed_points
    radius, crossing = float(fixed.radii[0]), fixed.crossings[0]
    case = "inside" if radius < 1 else "outside"
    heading = say(f"eigenvalues.{case}", radius=radius)
    text: str = say("eigenvalues.text", crossing=say(f"crossing.{crossing}"),
                    outside=case == "outside")  # fmt: skip
    if case == "outside":
        text += say("eigenvalues.unstable", count=int(fixed.unstable_directions[0]))
    return section(say, "eigenvalues", heading, text, [planes_figure(data)])


def exponents_section(data: Data) -> Section:
    """How fast differences grow or shrink along real inputs."""
    layer = data.first
    found, about = layer.exponents, data.about(layer)
    first, error = float(found.exponents[0]), float(found.standard_errors[0])
    heading = say(f"exponents.{case_of(layer)}", pair=num.pair(first, error))
    case = "joined" if about["joined"] else "alone"
    text = say(
        f"exponents.{case}", sequences=about["sequences"], steps=steps_of(about),
        discard=about["discard"], averaged=found.steps,
    )  # fmt: skip
    growth = say("exponents.growth", growth=layer.median_growth, steps=layer.growth.length,
                 grows=layer.median_growth > 1, sequences=len(layer.growth.at))  # fmt: skip
    doubt = "" if found.converged else say("exponents.doubt", reason=found.reason)
    return section(say, "exponents", heading, text + growth + doubt, [exponents_figure(data)])
