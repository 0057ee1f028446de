"""Where the numbers of a chart by stage stand: beside their points, off the lines if possible."""

from __future__ import annotations

import math
from itertools import pairwise

LETTER, TALL = 7.0, 13.0  # pixels: width of a letter, height of a line of text
CLEAR = 3.0  # pixels between a number and the nearest line that are enough
MARK = 4.5  # pixels: half the width of a point's mark
GAP = 9.0  # pixels from a point to its number
PLACES: dict[str, tuple[int, int]] = {  # right or left of the point, above or below it
    "right above": (1, -10),
    "left below": (-1, 13),
    "right below": (1, 13),
    "left above": (-1, -10),
}
Point = tuple[float, float]
Box = tuple[float, float, float, float]  # left, right, top, bottom


def places(
    lines: list[list[Point]], bars: list[list[Point]], texts: list[list[str]], height: float
) -> list[list[str]]:
    """A place for each number of each line, in pixels with y downwards.

    Args:
        lines: The points of each line.
        bars: The upper and lower end of the bar at each point, ``(upper, lower)``.
        texts: The number at each point.
        height: Of the plot; a number stays inside.

    The usual place, right above for the last line and left below for one before it, is left only
    where a line crosses it and another place is farther from all lines.
    """
    inks = [p for line in lines for part in _dense(line) for p in part]
    inks += [
        (x, y)
        for line, ends in zip(lines, bars, strict=True)
        for (x, _), (top, low) in zip(line, ends, strict=True)
        for y in _steps(top, low)
    ]
    inks += [mark for line in lines for point in line for mark in _mark(point)]
    taken: list[Box] = []
    out = []
    for number, (line, labels) in enumerate(zip(lines, texts, strict=True)):
        last = number == len(lines) - 1
        order = sorted(PLACES, key=lambda p: p != ("right above" if last else "left below"))
        chosen = []
        for point, text in zip(line, labels, strict=True):
            scored = [(_room(_box(point, text, p), inks, taken, height), p) for p in order]
            enough = [p for room, p in scored if room >= CLEAR]
            best = enough[0] if enough else max(scored, key=lambda s: s[0])[1]
            taken.append(_box(point, text, best))
            chosen.append(best)
        out.append(chosen)
    return out


def _box(point: Point, text: str, place: str) -> Box:
    side, down = PLACES[place]
    near, far = point[0] + side * GAP, point[0] + side * (GAP + LETTER * len(text))
    middle = point[1] + down
    return min(near, far), max(near, far), middle - TALL / 2, middle + TALL / 2


def _room(box: Box, inks: list[Point], taken: list[Box], height: float) -> float:
    """Distance to the nearest line; below zero outside the plot or on another number."""
    left, right, top, bottom = box
    if top < -TALL / 2 or bottom > height:
        return -2.0
    if any(left < r and right > a and top < d and bottom > c for a, r, c, d in taken):
        return -1.0
    gaps = (math.hypot(max(left - x, 0, x - right), max(top - y, 0, y - bottom)) for x, y in inks)
    return min(gaps, default=CLEAR)


def _dense(line: list[Point]) -> list[list[Point]]:
    """Points along the line, at most 4 pixels apart."""
    out = []
    for (x0, y0), (x1, y1) in pairwise(line):
        n = max(1, math.ceil(math.hypot(x1 - x0, y1 - y0) / 4))
        out.append([(x0 + (x1 - x0) * i / n, y0 + (y1 - y0) * i / n) for i in range(n + 1)])
    return out


def _mark(point: Point) -> list[Point]:
    x, y = point
    return [(x + MARK * i, y + MARK * j) for i in (-1, 0, 1) for j in (-1, 0, 1)]


def _steps(top: float, low: float) -> list[float]:
    n = max(1, math.ceil(abs(low - top) / 4))
    return [top + (low - top) * i / n for i in range(n + 1)]
