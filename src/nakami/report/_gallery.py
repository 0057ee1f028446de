"""The section of pictures, and the words about area."""

from __future__ import annotations

import numpy as np

from nakami.results import PairedChange, paired_change

from . import _numbers as num
from ._aids import picture_aids
from ._pictures import Frame, areas, chosen, frame, grids
from ._reading import Reading
from ._sections import Figure, Section


def pictures_section(reading: Reading) -> Section | None:
    """Right singular vectors as pictures; None where inputs are not pictures."""
    shape = frame(reading.main.run)
    made = grids(reading, shape) if shape else None
    if shape is None or made is None:
        return None
    first, last, change = _ends(reading, made.stages[-1], shape)
    root = (
        "Root of the energy of the channels, with the sign of their sum. " if shape.channels > 1 else ""
    )
    caption = (
        f"{root}Area: participation ratio of pixel energy, mean of {reading.inputs()}. All pictures share one colour "
        "scale; the overall sign of a vector has no meaning."
    )
    figure = Figure("Right singular vectors, input to stage, as pictures", caption, grids=made)
    heading, text, verdict = _words(reading, made.stages[-1], shape, first, last, change)
    may, may_not = picture_aids(reading, verdict)
    return Section("pictures", "Directions as pictures", heading, text, [figure], may, may_not, wide=True)


def _ends(
    reading: Reading, stage: str, shape: Frame
) -> tuple[tuple[int, float], tuple[int, float], PairedChange]:
    """Index and mean area of the first and the last shown direction, and their paired change."""
    covered = areas(reading.main, stage, shape)
    shown = chosen(reading.main.run.at(stage))
    a, b = covered[shown[0]], covered[shown[-1]]
    n = min(len(a), len(b))
    change = paired_change(stage, "area", list(a[:n]), list(b[:n]))
    return (shown[0] + 1, float(np.mean(a))), (shown[-1] + 1, float(np.mean(b))), change


def _words(
    reading: Reading, stage: str, shape: Frame, first: tuple[int, float], last: tuple[int, float],
    change: PairedChange,
) -> tuple[str, str, str]:  # fmt: skip
    solid = all(s.converged for net in reading.networks for s in net.run.at(stage))
    where = num.short(stage)
    size = f"of {num.whole(shape.pixels)} pixels"
    text = (
        f"At {where} the {num.ordinal(first[0])} direction covers {num.whole(first[1])} {size}, "
        f"the {num.ordinal(last[0])} covers {num.whole(last[1])} (mean of {reading.inputs()})."
    )
    if not solid:
        return "Directions as pictures", f"{text} Some have not converged, so they decide nothing.", ""
    if first[0] == last[0]:
        return f"The first direction covers {num.whole(first[1])} {size}", text, ""
    word = change.verdict if reading.n > 1 else ""
    heading = {
        "rises": "Leading directions are local, later ones spread",
        "falls": "Leading directions are spread, later ones local",
        "not distinguishable": "Leading and later directions cover like areas",
    }.get(word, f"Directions at one {reading.noun}, as pictures")
    if reading.n > 1:
        more = num.pair(change.mean, change.se, sign=True).striptags()
        text += f" Paired by {reading.noun}, the difference is {more} px (s.e.)."
    return heading, text, word
