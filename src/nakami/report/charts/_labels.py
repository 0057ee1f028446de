"""Where the texts of a chart stand: clear of lines, of points and of each other at every width.

A page is drawn at many widths, so a place is judged at several of them, and by its worst. Texts are
then anchored to the data with a distance in pixels, and nothing is left to do where they are drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, final

import numpy as np

from ._ink import CELL, Data, share, strokes

Place = tuple[float | str, float]
# of a text from its place: -1, 0, 1 for left of it, centred, right of it; and pixels down
AROUND = ((1, -10), (-1, 13), (1, 13), (-1, -10), (0, -15), (0, 16), (1, 0), (-1, 0))
BESIDE = ((1, 0), (1, -7), (1, 7), (1, -14), (1, 14), (1, -21), (1, 21), (0, -14), (0, 14))
WIDTHS = (280, 340, 420, 520, 660)
THIRD = 160  # of a plot that may stand beside two others
NARROW, TALL, LOWER = 430, 260, 0.8  # the page draws tall charts lower where it is narrow
LEFT, TOP, RIGHT, BOTTOM = 40, 30, 120, 30  # margins of the plot
SLIM, BROAD = " .,:;il|'()ft1-", "mwMW@%"
HEIGHT, BESIDE_IT = 13, 9  # of a text, and its distance from its place, in pixels
CLOSE, CLEAR = (2,), (2, 4, 7, 10, 15, 24)  # distances to keep to what is not one's own, in pixels


@final
@dataclass(frozen=True)
class Label:
    """A text beside a place of a chart.

    Attributes:
        axes: Encodings by ``x`` and ``y``, with their scales.
        at: Places that it may stand beside, in data, the first preferred. ways: How it may stand
            there, likewise. shift: Pixels that its place lies right of its data.
        far: Whether it seeks distance from what it does not name.
        short: Another text where there is no room for it. dropped: Whether it is then left out.
        modes: The kinds of both axes that it is for, where the page can switch them.
    """

    text: str
    colour: str
    axes: Data
    at: Sequence[Place]
    ways: Sequence[tuple[int, int]] = AROUND
    shift: int = 0
    far: bool = False
    dropped: bool = False
    short: str = ""
    modes: str = ""

    @property
    def width(self) -> float:
        """An upper estimate in pixels, semi-bold at 13 px."""
        narrow, wide = (sum(c in some for c in self.text) for some in (SLIM, BROAD))
        return 7.4 * (len(self.text) - narrow - wide) + 4.6 * narrow + 11 * wide


def spread(axis: Data, n: int = 12) -> np.ndarray:
    """Values evenly spread over an axis, from its start."""
    low, high = axis["scale"]["domain"]
    out: np.ndarray = (np.geomspace if axis["scale"]["type"] == "log" else np.linspace)(
        low, high, n
    )
    return out


@final
class Paper:
    """The plot at one width: what is drawn where, by colour, and the texts that stand."""

    def __init__(self, layers: list[Any], data: Data, axes: Data, width: float, height: float):
        self.width, self.height = width, height
        self._shape = (int(height + TOP + BOTTOM) // CELL, int(width + LEFT + RIGHT) // CELL)
        cells: dict[str, list[np.ndarray]] = {}
        for layer in layers:
            for colour, x, y in strokes(layer, data, axes, width, height):
                seen = (y >= -4) & (y <= height + 4) & (x >= -4) & (x <= width + 4)
                i, j = (v[seen].astype(int) + more for v, more in ((y, TOP), (x, LEFT)))
                cells.setdefault(colour, []).append(i // CELL * self._shape[1] + j // CELL)
        self._ink = {colour: np.unique(np.concatenate(some)) for colour, some in cells.items()}
        self._sums = {"": self._summed(*self._ink.values())}
        self._taken: list[np.ndarray] = []

    def boxes(self, label: Label) -> np.ndarray:
        """Left, upper, right and lower edge of a text at each place and each way there."""
        x = share(label.axes["x"], [p[0] for p in label.at]) * self.width + label.shift
        y = share(label.axes["y"], [p[1] for p in label.at])
        y = (y if label.axes["y"]["type"] != "quantitative" else 1 - y) * self.height
        side, down = np.array(label.ways, dtype=float).T
        left = x[:, None] + side * BESIDE_IT + (side - 1) / 2 * label.width
        upper = y[:, None] + down - HEIGHT / 2
        edges = (left, upper, left + label.width, upper + HEIGHT)
        return np.stack([np.ravel(e) for e in edges], axis=1)

    def scores(self, label: Label, right: float) -> np.ndarray:
        """How good each place is: below 0 where the text would touch something or stick out."""
        boxes = self.boxes(label)
        mine, far = label.colour.replace("--t", "--d"), CLEAR if label.far else CLOSE
        free = (self._count(boxes, far, mine) == 0).sum(axis=0)
        touched = 5 * (self._count(boxes, (1,))[0] > 0)
        x0, y0, x1, y1 = boxes.T
        for left, top, right_end, bottom in self._taken:
            meets = (x0 < right_end + 3) & (x1 > left - 3) & (y0 < bottom) & (y1 > top)
            touched = np.maximum(touched, 20 * meets)
        out = (x0 < -2) | (x1 > self.width + right) | (y0 < -6) | (y1 > self.height)
        found: np.ndarray = np.where(touched > 0, -touched, free) - 50 * out
        return found

    def _summed(self, *inks: np.ndarray) -> np.ndarray:
        """Cells above and left of each place, so that a box is counted from its corners."""
        out = np.zeros((self._shape[0] + 1, self._shape[1] + 1), dtype=np.int32)
        grid = np.zeros(self._shape, dtype=np.int32)
        for cells in inks:
            grid.flat[cells] += 1
        inner = out[1:, 1:]
        grid.cumsum(0, out=inner).cumsum(1, out=inner)
        return out

    def _count(self, boxes: np.ndarray, more: Sequence[float], own: str = "") -> np.ndarray:
        """Cells but those of ``own`` in each box made larger by so many pixels, a row for each."""
        if own not in self._ink:
            own = ""
        if own not in self._sums:
            self._sums[own] = self._sums[""] - self._summed(self._ink[own])
        sums, wider = self._sums[own], np.multiply.outer(more, (-1, -1, 1, 1))
        rows, columns = (n - 1 for n in sums.shape)
        grown = boxes + np.array([LEFT, TOP, LEFT, TOP]) + wider[:, None]
        cells = np.clip(np.round(grown / CELL), 0, [columns, rows, columns, rows]).astype(int)
        x0, y0, x1, y1 = np.moveaxis(cells, -1, 0)
        out: np.ndarray = sums[y1, x1] - sums[y0, x1] - sums[y1, x0] + sums[y0, x0]
        return out

    def take(self, box: np.ndarray) -> None:
        """Keep the place of a text."""
        self._taken.append(box)


def placed(
    labels: Sequence[Label],
    layers: list[Any],
    data: Data,
    height: int,
    right: float,
    third: bool = False,
) -> list[Data]:
    """Rows of text, each at the place whose worst is best over all widths of a page.

    ``third``: also where the chart stands beside two others.
    """
    out = []
    widths = (THIRD, *WIDTHS) if third else WIDTHS
    low = LOWER if height > TALL else 1
    for modes in dict.fromkeys(label.modes for label in labels):
        some = [label for label in labels if label.modes == modes]
        papers = [
            Paper(layers, data, some[0].axes, width, height * (low if width < NARROW else 1))
            for width in widths
        ]
        out += [row for label in some if (row := _row(label, papers, right)) is not None]
    return out


def _row(label: Label, papers: list[Paper], right: float) -> Data | None:
    if not label.at:  # of a curve without a point in the chart
        return None
    worst = np.min([paper.scores(label, right) for paper in papers], axis=0)
    best = int(worst.argmax())
    if worst[best] < 0 and label.short not in ("", label.text):
        return _row(replace(label, text=label.short), papers, right)
    if worst[best] < 0 and label.dropped:
        return None
    for paper in papers:
        paper.take(paper.boxes(label)[best])
    place, way = divmod(best, len(label.ways))
    (x, y), (side, down) = label.at[place], label.ways[way]
    align = {-1: "right", 0: "center", 1: "left"}[side]
    aside = {"dx": label.shift + side * BESIDE_IT, "dy": down, "align": align}
    return {"x": x, "y": y, "t": label.text, "c": label.colour, "modes": label.modes, **aside}
