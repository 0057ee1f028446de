"""The section of pictures, and the words about area."""

from __future__ import annotations

import numpy as np

from nakami.results import PairedChange, paired_change

from ...page._sections import Figure, Section
from ...words import _numbers as num
from ._images import Frame, frame
from ._interpretation import picture_aids
from ._page_data import Reading, outcome
from ._pictures import LEADING, MOST_STAGES, areas, chosen, grids, size

HEADINGS = {
    "rises": "Leading directions are local, later ones spread",
    "falls": "Leading directions are spread, later ones local",
    "not distinguishable": "Leading and later directions cover like areas",
}
ROOT = "Root of the energy of the channels, with the sign of their sum. "


def pictures_section(reading: Reading) -> Section | None:
    """Right singular vectors as pictures; None where inputs are not pictures."""
    shape = frame(reading.main.run)
    made = grids(reading, shape) if shape else None
    if shape is None or made is None:
        return None
    caption = (
        f"{ROOT if shape.channels > 1 else ''}Area: participation ratio of pixel energy, mean of "
        f"{reading.inputs()}. All pictures share one colour scale; the overall sign of a vector "
        "has no meaning."
    )
    if len(made.stages) < len(reading.stages):
        caption += f" {len(made.stages)} of {len(reading.stages)} stages are offered, " + (
            "spread over depth." if len(made.stages) == MOST_STAGES else "those with vectors."
        )
    figure = Figure("Right singular vectors, input to stage, as pictures", caption, grids=made)
    heading, text, verdict = _words(reading, made.stages[-1], shape)
    aids = picture_aids(reading, verdict)
    nav = "Directions as pictures"
    return Section("pictures", nav, heading, text, [figure], *aids, wide=True)


def _words(reading: Reading, stage: str, shape: Frame) -> tuple[str, str, str]:
    """Heading, sentence and verdict: the first against the last shown direction that is solid."""
    spectra = reading.main.run.at(stage)
    shown = [i for i in chosen(spectra) if all(s.reliable[i] for s in spectra)]
    solid = all(s.converged for s in spectra)
    if len(shown) < 2 or not solid:
        few = f"At {num.short(stage)} there are no two directions above the floor to compare."
        text = few if solid else "No verdict: some of these spectra have not converged."
        return "Directions as pictures", text, ""
    covered = areas(reading.main, stage, shape)
    if shown[-1] < LEADING:  # the later ones drown in the floor: nothing to compare with
        return *_leading_words(reading, stage, shape, [covered[i] for i in shown]), ""
    change = paired_change(stage, "area", list(covered[shown[0]]), list(covered[shown[-1]]))
    word = outcome(change) if reading.n > 1 else ""
    heading = HEADINGS.get(word, f"Directions at one {reading.noun}, as pictures")
    return heading, _sentence(reading, stage, shape, shown[-1] + 1, change), word


def _leading_words(
    reading: Reading, stage: str, shape: Frame, covered: list[np.ndarray]
) -> tuple[str, str]:
    """Heading and sentence where only the leading directions lie above the floor."""
    means = [float(v.mean()) for v in covered]
    many = num.spelled(len(means))
    ends = [size(v, shape) for v in (min(means), max(means))]
    of = f"of {num.whole(shape.pixels)} pixels" if shape.small else "of the picture"
    covers = f"the first {many} directions cover {ends[0]} to {ends[1]} {of}"
    text = (
        f"At {num.short(stage)} {covers} (mean of {reading.inputs()}). The later ones shown lie "
        "below the floor of the arithmetic: what they look like is chance."
    )
    return f"T{covers[1:]}", text


def _sentence(reading: Reading, stage: str, shape: Frame, last: int, change: PairedChange) -> str:
    of = f"of {num.whole(shape.pixels)} pixels" if shape.small else "of the picture"
    a, b = (size(float(np.mean(v)), shape) for v in (change.before, change.after))
    who = "the one" if reading.n == 1 else f"mean of {reading.inputs()}"
    text = (
        f"At {num.short(stage)} the first direction covers {a} {of}, the {num.nth(last)} covers {b}"
    )
    if reading.n == 1:
        return f"{text}, at {who} {reading.noun} read."
    scale, unit = (1.0, "px") if shape.small else (100 / shape.pixels, "% of the picture")
    more = num.pair(change.mean * scale, change.se * scale, sign=True)
    return f"{text} ({who}). Paired by {reading.noun}, the difference is {more} {unit} (s.e.)."
