"""The section of units: rows of the Jacobian beside other ways back to the input."""

from __future__ import annotations

import numpy as np
from markupsafe import escape

from nakami.results import Units, estimate

from ...page._encoded import encoded
from ...page._grids import Grid, Grids, Picture, Row
from ...page._sections import Figure, Section, Table, Text
from ...words import _numbers as num
from ._data import Reading, say
from ._images import VECTOR, Frame, frame, grey, signed_plane, unnormalised
from ._pictures import PERCENTILE
from ._stage_charts import Group, stage_chart

COLUMNS = {True: 6, False: 4}  # units shown, of small pictures and of photographs
INPUTS = 3  # of each unit, those that excite it most
PROJECTIONS = ("exact", "guided", "deconvolved", "occlusion")


def units_section(reading: Reading) -> Section | None:
    """Units at the inputs that excite them most; None where none were read."""
    found = reading.main.run.experiments.get("units")
    if not isinstance(found, Units):
        return None
    data = {"stage": found.stage, "relus": int(found.settings["rectified"])}
    figures = [_cosines(reading, found)]
    shape = frame(reading.main.run)
    if shape is not None:
        title = reading.say("units.title", whose=reading.whose, **data)
        grids = _grids(reading, found, shape)
        figures.insert(0, Figure(title, reading.say("units.caption", **data), grids=grids))
    known = found.arrays["cosine"][np.isfinite(found.arrays["cosine"])]
    if not known.size:
        heading, text = reading.say("units.none"), reading.say("units.text_none", **data)
    else:
        over = estimate(np.array([c[np.isfinite(c)].mean() for c in _lit(found)]))
        low, high = float(known.min()), float(known.max())
        case = "same" if low > 0.999 else "near" if over.mean > 0.5 else "differ"
        heading = reading.say(f"units.{case}")
        mean = num.pair(over.mean, over.se)
        text = reading.say("units.text", mean=mean, low=low, high=high, **data)
    return reading.section("units", heading, text, figures, wide=True, **data)


def _lit(found: Units) -> list[np.ndarray]:
    """The cosines of each input where any is known."""
    return [c for c in found.arrays["cosine"] if np.isfinite(c).any()]


def _cosines(reading: Reading, found: Units) -> Figure:
    each = [c[np.isfinite(c)].tolist() for c in found.arrays["cosine"].T]
    lit = [u for u, cosines in enumerate(each) if cosines]
    names = [say("units.unit", unit=found.units[u]) for u in lit]
    estimates = [found.cosine(found.units[u]) for u in lit]
    told = [say("units.value", name=n, value=e.mean) for n, e in zip(names, estimates, strict=True)]
    text = say("units.chart", values="; ".join(told))
    charts = []
    if lit:
        group = Group(False, estimates, [each[u] for u in lit], [False] * len(lit), joined=False)
        charts = [stage_chart("cosines", [str(n) for n in names], [group], say("units.axis"), text)]
    title, caption = say("units.cosines"), reading.say("units.cosines_caption")
    return Figure(title, caption, charts, table=_table(reading, found))


def _table(reading: Reading, found: Units) -> Table:
    head: list[Text] = ["unit", "most at", "activation", "cosine there", "cosine, mean", "± s.e."]
    rows: list[list[Text]] = []
    for row in found.rows():
        cells = [row[name] for name in ("activation", "cosine_best", "cosine", "cosine_se")]
        numbers = map(num.known, cells)
        rows.append([str(row["unit"]), reading.name_of(row["best"]), *numbers])
    return Table(say("units.table"), head, rows, (0, 2, 3, 4, 5), 480)


def _grids(reading: Reading, found: Units, shape: Frame) -> Grids:
    """Of each unit its best inputs, and all ways back there."""
    pixels = unnormalised(shape, reading.main.run.inputs)
    by_stage = {}
    for rank in reversed(range(min(INPUTS, len(found.inputs)))):  # the last one is opened
        name = found.stage if rank == 0 else say("units.rank", stage=found.stage, rank=rank + 1)
        by_stage[str(name)] = [_grid(reading, found, shape, pixels, rank)]
    dark = shape.channels == 1 and shape.small and float(np.median(pixels)) < 0.1
    return Grids(
        shape.width, shape.height, shape.small, 1.0, dark, by_stage,
        say("units.pictures"), say("units.scale"), ("", ""),
    )  # fmt: skip


def _grid(reading: Reading, found: Units, shape: Frame, pixels: np.ndarray, rank: int) -> Grid:
    """Each unit at the input that excites it most, second most, ..."""
    shown = list(enumerate(found.units))[: COLUMNS[shape.small]]
    best = [found.best(unit, rank + 1)[rank] for _, unit in shown]
    inputs = [
        Picture(
            encoded(pixels[i], shape.small),
            escape(say("units.best", unit=unit, name=reading.name_of(i))),
            signed=False,
        )
        for i, (_, unit) in zip(best, shown, strict=True)
    ]
    at = [(found.inputs.index(i), u) for i, (u, _) in zip(best, shown, strict=True)]
    planes = {
        name: [_plane(found, name, r, u, shape) for r, u in at]
        for name in PROJECTIONS
        if name in found.arrays
    }
    leading = [_leading(reading, found, *place, shape) for place in at]
    planes["singular"] = [plane for plane in leading if plane is not None]
    rows = []
    for name, some in planes.items():
        if len(some) == len(shown):
            pictures = [
                Picture(
                    encoded(grey(_unit(plane), 1.0)[None], shape.small, VECTOR),
                    escape(say(f"units.alt_{name}", unit=unit)),
                )
                for plane, (_, unit) in zip(some, shown, strict=True)
            ]
            rows.append(Row(say(f"units.{name}"), pictures, "", ""))
    return Grid("", inputs, rows)


def _plane(found: Units, name: str, r: int, u: int, shape: Frame) -> np.ndarray:
    """One way back as a picture; of the occlusion how much the unit falls, place by place."""
    values = found.arrays[name][r, u]
    if name != "occlusion":
        return signed_plane(shape.planes(values))
    y, x = (_nearest(side, len(values)) for side in (shape.height, shape.width))
    return -values[np.ix_(y, x)]


def _nearest(side: int, places: int) -> np.ndarray:
    """For each pixel of a side the hiding square, of a quarter of it, whose middle is nearest."""
    middles = np.linspace(side / 8, side * 7 / 8, places) if places > 1 else np.array([side / 2])
    return np.abs(np.arange(side)[:, None] + 0.5 - middles).argmin(1)


def _leading(reading: Reading, found: Units, r: int, u: int, shape: Frame) -> np.ndarray | None:
    """The first right singular vector of the stage at that input, on the side of the row."""
    for spectrum in reading.main.run.at(found.stage):
        if spectrum.input == found.inputs[r] and len(spectrum.right):
            v = spectrum.right[0]
            sign = 1.0 if float(v @ found.arrays["exact"][r, u]) >= 0 else -1.0
            return signed_plane(shape.planes(sign * v))
    return None


def _unit(plane: np.ndarray) -> np.ndarray:
    """A picture over its own largest entries: rows and projections have scales of their own."""
    top = float(np.percentile(np.abs(plane), PERCENTILE)) or float(np.abs(plane).max())
    return plane / top if top > 0 else plane
