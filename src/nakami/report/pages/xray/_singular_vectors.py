"""The section of pictures, and the words about area."""

from __future__ import annotations

import numpy as np

from nakami.results import PairedChange, paired_change

from ...page._sections import Figure, Section
from ...words import _numbers as num
from ._images import Frame, frame
from ._interpretation import picture_aids
from ._page_data import Reading
from ._pictures import LEADING, MOST_STAGES, areas, chosen, grids, size, sized
from ._say import say


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
    aids = picture_aids(reading, verdict)
    return Section("pictures", say("pictures.nav"), heading, text, [figure], *aids, wide=True)


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
