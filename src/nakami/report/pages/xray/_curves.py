"""What the sections share: curves by depth, their captions and tables, and the way they go."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from nakami.results import PairedChange, Spectrum, StageSummary, evenly

from ...charts._chart import Chart
from ...page._html import rich
from ...page._sections import Table, Text
from ...words import _numbers as num
from ._completeness import cut_stages
from ._data import Network, Reading, say
from ._spectrum_chart import NOISE, UNCONVERGED, Series, series

MAX_PANELS = 6


def depth_curves(net: Network, stages: tuple[str, ...], source: str | None) -> list[Series]:
    """One curve for each stage, coloured by depth."""
    names = num.unique([num.short(s) for s in stages])
    return [
        series(net.run, s, source, name, (f"d{i}", f"t{i}", False))
        for i, (s, name) in enumerate(zip(stages, names, strict=True), 1)
    ]


def spread_caption(reading: Reading, curves: list[Series], spectra: Sequence[Spectrum]) -> str:
    """Of how many inputs, what the band is, what dotted means, and what limits the ``spectra``."""
    text: str = reading.say("curves.spread")
    if any((c.state == UNCONVERGED).any() for c in curves):
        tol = reading.main.run.settings.get("tol")
        text += reading.say("curves.dotted", aim=say("curves.aim", tol=float(tol)) if tol else "")
    limited, total = sum(s.limited for s in spectra), sum(len(s.values) for s in spectra)
    if limited:
        text += say("curves.limited", limited=limited, total=total)
    if any((c.state == NOISE).any() for c in curves):
        text += say("curves.noise")
    return text


def ends_caption(rows: list[StageSummary], curves: list[Series], chart: Chart) -> str:
    """Where curves are cut, and which run on below the end of the log axis."""
    cut = cut_stages(rows)
    text: str = say("curves.cut", cut=cut) if cut else ""
    log = chart.modes["y"].get("log")
    low = log["scale"]["domain"][0] if log else 0.0
    below = [c.name for c in curves if float(c.mean[-1]) < low]
    if not below:
        return text
    who, one = say("curves.count", below=len(below), curves=len(curves)), False
    if len(below) == len(curves):
        who, one = say("curves.every", curves=len(curves)), True
    elif len(set(below)) == len(below) <= 3:
        return text + say("curves.axis_end", low=low, who=num.listing(below), one=len(below))
    return text + say("curves.axis_end", low=low, who=who, one=one)


def values_table(curves: list[Series]) -> Table:
    """Values at a few indices, as the chart has them."""
    wanted = sorted({int(i) for c in curves for i in c.index if _round(int(i)) or i == c.k})
    rows: list[list[Text]] = [[num.whole(i), *(_cell(c, i) for c in curves)] for i in wanted]
    head: list[Text] = ["index", *(c.name for c in curves)]
    return Table("Singular values by index", head, rows, tuple(range(len(head))))


def _cell(curve: Series, i: int) -> Text:
    found = np.flatnonzero(curve.index == i)
    if not len(found):
        return ""
    at = int(found[0])
    text = num.pair(float(curve.mean[at]), float(curve.sd[at]))
    doubt = {UNCONVERGED: "not converged", NOISE: "noise"}.get(int(curve.state[at]))
    return Markup("{} <i>{}</i>").format(rich(text), doubt) if doubt else text


def _round(i: int) -> bool:
    return str(i).rstrip("0") in ("1", "2", "5")


def described(curves: list[Series]) -> str:
    """The description of a chart of spectra, with its numbers."""
    each = [
        say(
            "curves.curve", name=c.name, first=float(c.mean[0]), last=float(c.mean[-1]), k=c.k,
            noise=bool(c.state[-1] == NOISE), cut=not c.complete,
            doubt=bool((c.state == UNCONVERGED).any()),
        )
        for c in curves
    ]  # fmt: skip
    return say("curves.described", curves="; ".join(each))


def direction(changes: list[PairedChange]) -> str:
    """``falls``, ``rises`` or ``still`` if every step does so with 95 % confidence, else ``mixed``.

    With one input there is no s.e., and the plain order is taken.
    """
    words = {step(c) for c in changes}
    return words.pop() if len(words) == 1 else "mixed"


def step(change: PairedChange) -> str:
    """``falls``, ``rises`` or ``still``: the verdict of one change, or the order of one input."""
    if change.steady or abs(change.mean) < change.open:
        return "still"
    if not math.isfinite(change.se):
        if abs(change.mean) < 0.005 * max(abs(change.before).max(), abs(change.after).max()):
            return "still"
        return "falls" if change.mean < 0 else "rises"
    return "still" if change.verdict == "not distinguishable" else change.verdict


def some(stages: tuple[str, ...]) -> tuple[str, ...]:
    """At most four stages to speak of: all, or first, middle and last."""
    if len(stages) <= 4:
        return stages
    return (stages[0], stages[len(stages) // 2], stages[-1])


def panels(stages: tuple[str, ...]) -> list[str]:
    """At most six stages to draw apart, evenly spread over depth."""
    return evenly(stages, MAX_PANELS)
