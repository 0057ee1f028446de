"""The section of right singular vectors as pictures: signed grey, coloured by one shared scale."""

from __future__ import annotations

import numpy as np
from markupsafe import escape

from nakami.results import PairedChange, Spectrum, evenly, paired_change

from ...page._encoded import encoded
from ...page._grids import Grid, Grids, Picture, Row
from ...page._sections import Figure, Section
from ...words import _numbers as num
from ._data import Network, Reading, say
from ._images import VECTOR, Frame, area, frame, grey, signed_plane, unnormalised
from ._locality import counts_pixels, locality_figure, locality_text


def pictures_section(reading: Reading) -> Section | None:
    """Right singular vectors as pictures; None where inputs are not pictures."""
    shape = frame(reading.main.run)
    made = grids(reading, shape) if shape else None
    if shape is None or made is None:
        return None
    caption: str = reading.say("pictures.caption", colour=shape.channels > 1)
    shown, stages = len(made.stages), len(reading.stages)
    if shown < stages:
        case = "spread" if shown == MOST_STAGES else "vectors"
        caption += say(f"pictures.offered_{case}", shown=shown, stages=stages)
    figure = Figure(say("pictures.title"), caption, grids=made)
    heading, text, verdict = _words(reading, made.stages[-1], shape)
    case = f"may_{verdict}" if verdict in ("rises", "falls") else "may"
    may = [reading.say(f"pictures.{case}")]
    last, figures = made.stages[-1], [figure]
    if counts_pixels(reading, shape):
        text += locality_text(reading, last) if last in reading.solid else ""
        figures += filter(None, [locality_figure(reading)])
    return reading.section("pictures", heading, text, figures, may=may, wide=True)


def _words(reading: Reading, stage: str, shape: Frame) -> tuple[str, str, str]:
    """Heading, sentence and verdict: the first against the last shown direction that is solid."""
    spectra = reading.main.run.at(stage)
    shown = [i for i in chosen(spectra) if all(s.reliable[i] for s in spectra)]
    solid = all(s.converged for s in spectra)
    if len(shown) < 2 or not solid:
        case = "pictures.few" if solid else "pictures.doubt"
        return say("pictures.nav"), say(case, stage=stage), ""
    covered = areas(reading.main, stage, shape)
    if shown[-1] < LEADING:  # the later ones drown in the floor: nothing to compare with
        means = [float(covered[i].mean()) for i in shown]
        low, high = size(min(means), shape), sized(max(means), shape)
        told = {"stage": stage, "many": len(means), "low": low, "high": high}
        heading = say("pictures.leading", **told)
        return heading, reading.say("pictures.leading_text", **told), ""
    change = paired_change(stage, "area", list(covered[shown[0]]), list(covered[shown[-1]]))
    text = _sentence(reading, stage, shape, shown[-1] + 1, change)
    if reading.n == 1:
        return reading.say("pictures.one"), text, ""
    case = change.verdict if change.verdict in ("rises", "falls") else "still"
    return say(f"pictures.{case}"), text, change.verdict


def _sentence(reading: Reading, stage: str, shape: Frame, last: int, change: PairedChange) -> str:
    a, b = (float(np.mean(v)) for v in (change.before, change.after))
    covers = {"a": sized(a, shape), "b": size(b, shape), "last": last, "stage": stage}
    scale, unit = (1.0, "px") if shape.small else (100 / shape.pixels, "% of the picture")
    more = num.pair(change.mean * scale, change.se * scale, sign=True)
    case = "pictures.text_one" if reading.n == 1 else "pictures.text"
    return reading.say(case, **covers, more=more, unit=unit)


MOST_STAGES = 12  # more would make the page heavy
LEADING = 3  # rows before the middle and the last
PERCENTILE = 99.8  # of the leading vectors' entries: the end of the colour scale
COLUMNS = {True: 6, False: 4}  # inputs shown, of small pictures and of photographs


def grids(reading: Reading, shape: Frame) -> Grids | None:
    """Pictures of the kept directions at every stage, or at twelve spread over depth."""
    stages = evenly([s for s in reading.stages if _kept(reading, s)], MOST_STAGES)
    if not stages:
        return None
    leading = [
        signed_plane(shape.planes(s.right[:LEADING])).ravel()
        for stage in stages
        for net in reading.networks
        for s in net.run.at(stage)
    ]
    top = float(np.percentile(np.abs(np.concatenate(leading)), PERCENTILE)) or 1.0
    pixels = unnormalised(shape, reading.main.run.inputs)
    dark = shape.channels == 1 and shape.small and float(np.median(pixels)) < 0.1
    by_stage = {
        stage: [_grid(reading, net, stage, shape, top) for net in reading.networks]
        for stage in stages
    }
    return Grids(shape.width, shape.height, shape.small, top, dark, by_stage)


def areas(net: Network, stage: str, shape: Frame) -> dict[int, np.ndarray]:
    """Area covered by each kept direction, by its index (0 = largest), one value for an input."""
    out: dict[int, list[float]] = {}
    for s in net.run.at(stage):
        for i, a in zip(s.kept, area(shape.planes(s.right)), strict=True):
            out.setdefault(int(i), []).append(float(a))
    return {i: np.array(v) for i, v in sorted(out.items())}


def chosen(spectra: tuple[Spectrum, ...]) -> list[int]:
    """Indices shown: 1st, 2nd, 3rd, middle and last of those that every input kept."""
    shared = set.intersection(*({int(i) for i in s.kept} for s in spectra))
    kept = sorted(shared)
    middle = (min(len(s.values) for s in spectra) - 1) / 2
    near = min(kept, key=lambda i: abs(i - middle), default=0)
    return sorted({*kept[:LEADING], *([near, kept[-1]] if kept else [])})


def _grid(reading: Reading, net: Network, stage: str, shape: Frame, top: float) -> Grid:
    spectra = net.run.at(stage)
    shown = spectra[: COLUMNS[shape.small]]
    pixels = unnormalised(shape, net.run.inputs)
    names = {s.input: escape(reading.name_of(s.input)) for s in shown}
    sources = {i: encoded(pixels[i], shape.small) for i in names}
    inputs = [Picture(sources[i], name, signed=False) for i, name in names.items()]
    who = f"{net.label}, " if len(reading.networks) > 1 else ""
    covered = areas(net, stage, shape)
    rows = [
        Row(
            num.whole(i + 1),
            [_picture(f"{who}{reading.name_of(s.input)}", s, i, shape, top) for s in shown],
            num.number(float(np.mean([s.values[i] for s in spectra])), 2),
            size(float(covered[i].mean()), shape),
        )
        for i in chosen(spectra)
    ]
    return Grid(net.label if who else "", inputs, rows)


def _picture(who: str, s: Spectrum, index: int, shape: Frame, top: float) -> Picture:
    planes = shape.planes(s.right[list(s.kept).index(index)])
    covers, value = float(area(planes)), float(s.values[index])
    doubt = "" if s.converged else "not converged"
    if not s.reliable[index]:
        doubt = "below the floor of the arithmetic"
    told = {"area": sized(covers, shape, "px"), "doubt": f", {doubt}" if doubt else ""}
    alt = say("pictures.alt", who=who, stage=s.stage, i=index + 1, value=value, **told)
    source = encoded(grey(signed_plane(planes), top)[None], shape.small, VECTOR)
    gain = num.number(value, 2)
    return Picture(source, escape(alt), doubt=doubt, gain=gain, area=size(covers, shape))


def size(pixels: float, shape: Frame) -> str:
    """An area in pixels, or in per cent of a large picture."""
    if shape.small:
        return num.whole(pixels)
    return f"{num.fixed(100 * pixels / shape.pixels, 1)}{num.NBSP}%"


def sized(pixels: float, shape: Frame, unit: str = "pixels") -> str:
    """An area and of how much: ``34 of 784 pixels``, ``1.2 % of the picture``."""
    of = f"of {num.whole(shape.pixels)} {unit}" if shape.small else "of the picture"
    return f"{size(pixels, shape)} {of}"


def _kept(reading: Reading, stage: str) -> bool:
    return all(
        all(len(s.kept) for s in net.run.at(stage)) and chosen(net.run.at(stage))
        for net in reading.networks
    )
