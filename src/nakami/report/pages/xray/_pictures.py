"""Right singular vectors as pictures: signed grey, coloured in the page by one shared scale."""

from __future__ import annotations

import numpy as np
from markupsafe import escape

from nakami.results import Spectrum

from ...page._grids import Grid, Grids, Picture, Row
from ...words import _numbers as num
from ._images import PHOTO, VECTOR, Frame, area, encoded, grey, signed_plane, unnormalised
from ._page_data import Network, Reading
from ._say import say

MOST_STAGES = 12  # more would make the page heavy
LEADING = 3  # rows before the middle and the last
PERCENTILE = 99.8  # of the leading vectors' entries: the end of the colour scale
COLUMNS = {True: 6, False: 4}  # inputs shown, of small pictures and of photographs


def grids(reading: Reading, shape: Frame) -> Grids | None:
    """Pictures of the kept directions at every stage, or at twelve spread over depth."""
    stages = _spread([s for s in reading.stages if _kept(reading, s)])
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
    sources = {i: encoded(pixels[i], shape, PHOTO) for i in names}
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
    source = encoded(grey(signed_plane(planes), top)[None], shape, VECTOR)
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


def _spread(stages: list[str]) -> list[str]:
    n = min(len(stages), MOST_STAGES)
    return [stages[i] for i in np.linspace(0, len(stages) - 1, n).round().astype(int)]


def _kept(reading: Reading, stage: str) -> bool:
    return all(
        all(len(s.kept) for s in net.run.at(stage)) and chosen(net.run.at(stage))
        for net in reading.networks
    )
