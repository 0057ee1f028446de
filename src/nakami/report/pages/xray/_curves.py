"""What the sections share: curves by depth, their captions and tables, and lists of texts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from nakami.results import PairedChange, Spectrum, StageSummary

from ...charts._chart import Chart
from ...page._html import rich
from ...page._sections import Table, Text
from ...words import _numbers as num
from ._completeness import cut_stages
from ._page_data import Network, Reading, steady
from ._series import NOISE, UNCONVERGED, Series, series

MAX_PANELS = 6


def depth_curves(net: Network, stages: tuple[str, ...], source: str | None) -> list[Series]:
    """One curve for each stage, coloured by depth."""
    names = num.unique([num.short(s) for s in stages])
    return [
        series(net.run, s, source, name, f"d{i + 1}", f"t{i + 1}")
        for i, (s, name) in enumerate(zip(stages, names, strict=True))
    ]


def spread_caption(reading: Reading, curves: list[Series], spectra: Sequence[Spectrum]) -> str:
    """Of how many inputs, what the band is, what dotted means, and what limits the ``spectra``."""
    one = f"One {reading.noun}, no spread."
    text = f"Mean over {reading.inputs()}; band, ± 1 sd." if reading.n > 1 else one
    if any((c.state == UNCONVERGED).any() for c in curves):
        tol = reading.main.run.settings.get("tol")
        aim = f" of {num.number(float(tol))}" if tol else ""
        who = f"every {reading.noun}" if reading.n > 1 else f"the {reading.noun}"
        text += f" Solid where {who} reached the tolerance{aim}, dotted where not."
    text += _limits(spectra)
    if any((c.state == NOISE).any() for c in curves):
        text += " Values below the floor of the arithmetic are noise; the read-out says so."
    return text


def _limits(spectra: Sequence[Spectrum]) -> str:
    """How many of the values the arithmetic keeps from the tolerance."""
    limited, total = sum(s.limited for s in spectra), sum(len(s.values) for s in spectra)
    if not limited:
        return ""
    of = f"{num.whole(limited)} of {num.whole(total)} values"
    return f" {of} are at the limit of the arithmetic and may miss the tolerance."


def ends_caption(rows: list[StageSummary], curves: list[Series], chart: Chart) -> str:
    """Where curves are cut, and which run on below the end of the log axis."""
    cut = cut_stages(rows)
    text = f" Upright end mark: only {cut}." if cut else ""
    log = chart.modes["y"].get("log")
    low = log["scale"]["domain"][0] if log else 0.0
    below = [c.name for c in curves if float(c.mean[-1]) < low]
    if below:
        who, runs = f"{len(below)} of {len(curves)} curves", "run"
        if len(below) == len(curves):
            who, runs = ("every curve", "runs") if len(below) > 1 else ("the curve", "runs")
        elif len(below) <= 3 and len(set(below)) == len(below):
            who, runs = num.listing(below), "runs" if len(below) == 1 else "run"
        text += f" The log axis ends at {num.power(low)}; {who} {runs} on below it."
    return text


def values_table(curves: list[Series]) -> Table:
    """Values at a few indices, as the chart has them."""
    wanted = sorted({int(i) for c in curves for i in c.index if _round(int(i)) or i == c.k})
    rows: list[list[Text]] = []
    for i in wanted:
        cells: list[Text] = [num.whole(i)]
        for c in curves:
            at = np.flatnonzero(c.index == i)
            cells.append(_cell(c, int(at[0])) if len(at) else "")
        rows.append(cells)
    head: list[Text] = ["index", *(c.name for c in curves)]
    return Table("Singular values by index", head, rows, tuple(range(len(head))))


def _cell(curve: Series, at: int) -> Text:
    text = num.pair(float(curve.mean[at]), float(curve.sd[at]))
    doubt = {UNCONVERGED: "not converged", NOISE: "noise"}.get(int(curve.state[at]))
    return Markup("{} <i>{}</i>").format(rich(text), doubt) if doubt else text


def _round(i: int) -> bool:
    return str(i).rstrip("0") in ("1", "2", "5")


def described(curves: list[Series]) -> str:
    """The description of a chart of spectra, with its numbers."""
    ends = [
        f"{c.name} from {num.number(float(c.mean[0]))} at index 1 to "
        f"{num.number(float(c.mean[-1]))} at index {num.whole(c.k)}"
        + (" (below the floor)" if c.state[-1] == NOISE else "")
        + ("" if c.complete else ", cut there")
        + (", not all converged" if (c.state == UNCONVERGED).any() else "")
        for c in curves
    ]
    return f"Line chart. Singular values by index: {'; '.join(ends)}."


def direction(changes: list[PairedChange]) -> str:
    """``falls``, ``rises`` or ``still`` if every step does so with 95 % confidence, else ``mixed``.

    With one input there is no s.e., and the plain order is taken.
    """
    words = {step(c) for c in changes}
    return words.pop() if len(words) == 1 else "mixed"


def step(change: PairedChange) -> str:
    """``falls``, ``rises`` or ``still``: the verdict of one change, or the order of one input."""
    if steady(change):
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
    if len(stages) <= MAX_PANELS:
        return list(stages)
    at = np.linspace(0, len(stages) - 1, MAX_PANELS).round().astype(int)
    return [stages[i] for i in at]
