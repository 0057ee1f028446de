"""How long learning stands still, by the number of outputs, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from ...results import (
    Plotted,
    Progress,
    Shown,
    Work,
    check_count,
    check_seed,
    is_whole,
    wrong,
)
from ._line import line_hessian
from ._one_unit import best_one_unit
from ._order import random_readouts, random_start
from ._plateau_length import plateau_length
from ._trajectory import trajectory

Array = npt.NDArray[np.float64]
T_END, TARGET = 3000.0, 0.01
SHARES = np.linspace(-0.5, 1.5, 21)
OVERLAPS = (1.0, 0.9, 0.5)
MOST_STARTS, MOST_OUTPUTS = 1000, 1000


@dataclass(frozen=True, repr=False)
class ByOutputs(Shown):
    """Plateaus by the number of outputs; arrays are ``(n,)`` over the numbers.

    Attributes:
        outputs: O. length: Median over starts of the time on plateaus, steps over N. low, high:
            Its quartiles. hit: Median time to 1 % of the initial error; inf where half never
            reach it. reached: Starts that do. doubt: Largest change of a length at looser
            tolerances. converged: Starts whose length is out of doubt.
    """

    columns: ClassVar[tuple[str, ...]] = (
        "outputs", "length", "low", "high", "hit", "reached", "doubt", "converged",
    )  # fmt: skip
    outputs: npt.NDArray[np.int64]
    length: Array
    low: Array
    high: Array
    hit: Array
    reached: npt.NDArray[np.int64]
    doubt: Array
    converged: npt.NDArray[np.int64]

    @property
    def trend(self) -> str:
        """Of the medians over outputs: falls, rises, stays, turns, or one where there is one."""
        steps = np.diff(self.length)
        if not len(steps):
            return "one"
        if not steps.any():
            return "stays"
        return "falls" if (steps <= 0).all() else "rises" if (steps >= 0).all() else "turns"


@dataclass(frozen=True)
class ErrorCurve:
    """The error of one start over time: the one with the median length."""

    outputs: int
    times: Array
    error: Array


@dataclass(frozen=True)
class OnTheLine:
    """Least eigenvalue of the Hessian where both students are equal, over their shares.

    Attributes:
        overlap: Product of the two readouts of the teacher; 1 is one output.
        share: z, ``(n,)``. least: The eigenvalue; below 0 the point is left.
        error: Of the best one-unit student, the height of the plateau.
    """

    overlap: float
    share: Array
    least: Array
    error: float


@dataclass(frozen=True, repr=False)
class PlateauStudy(Plotted):
    """Lengths of plateaus, errors over time, and the curvature where two units are equal.

    Attributes:
        by_outputs: A row for each number of outputs. curves: For each, one start.
        line: For teachers of several overlaps. starts: For each number. seed: Of the starts.
        rate: Of both layers.
    """

    by_outputs: ByOutputs
    curves: tuple[ErrorCurve, ...]
    line: tuple[OnTheLine, ...]
    starts: int
    seed: int
    rate: float

    def __repr__(self) -> str:
        return f"PlateauStudy(outputs {self.by_outputs.outputs.tolist()}, {self.starts} starts)"

    def rows(self) -> list[dict[str, object]]:
        """The numbers by outputs."""
        return self.by_outputs.rows()


WAYS_OUT = ("{python}pass (1, 2, 5)", "{command_line}write {outputs} 1,2,5")


def study(
    outputs: Sequence[int] = (1, 2, 3, 5),
    *,
    starts: int = 8,
    seed: int = 0,
    progress: Progress | None = None,
) -> PlateauStudy:
    """Two students learn from two teachers, at a rate of 0.2, by the number of outputs.

    Args:
        outputs: O, each at least 1; at most 6 numbers. The teachers' readouts are random unit
            vectors.
        starts: Random students for each number, at least 1.
        seed: Of NumPy's generators.
        progress: Called after each piece.

    Returns:
        See ``PlateauStudy``.

    Raises:
        UsageError: Arguments out of range.

    Cost: 2 s for each number of outputs and 8 starts.
    """
    numbers = sorted(_outputs(one) for one in outputs)
    if not 1 <= len(numbers) <= 6 or len(set(numbers)) < len(numbers):
        raise wrong("outputs", "hold 1 to 6 different numbers", numbers, WAYS_OUT)
    check_count("starts", starts, MOST_STARTS, "for each number", "8 is the default")
    if max(numbers) > MOST_OUTPUTS:
        raise wrong("outputs", f"be at most {MOST_OUTPUTS}", max(numbers), WAYS_OUT)
    seed, rate = check_seed(seed), 0.2
    work = Work(["run"] * len(numbers) + ["line"], progress)
    rows, curves = list[tuple[float, ...]](), list[ErrorCurve]()
    for o in numbers:
        teachers = random_readouts(o, count=starts, seed=seed)
        begin = random_start(teachers, outputs=o, seed=seed)
        run = trajectory(begin, rate, t_end=T_END, stop_at=TARGET / 2)
        found = plateau_length(run, target=TARGET)
        low, middle, high = np.percentile(found.length, [25, 50, 75])
        rows.append((o, middle, low, high, float(np.median(found.hit)), found.reached.sum(),
                     found.length_doubt.max(), found.converged.sum()))  # fmt: skip
        place = int(np.abs(found.length - middle).argmin())
        curves.append(ErrorCurve(o, run.times, run.error[place]))
        work.done(f"{o} output{'s' if o > 1 else ''}", "run")
    line = tuple(_line(overlap) for overlap in OVERLAPS)
    work.done("the line of equal students", "line")
    c = np.array(rows, dtype=np.float64).T
    whole = [c[i].astype(np.int64) for i in (0, 5, 7)]
    by = ByOutputs(whole[0], c[1], c[2], c[3], c[4], whole[1], c[6], whole[2])
    return PlateauStudy(by, tuple(curves), line, starts, seed, rate)


def _outputs(given: object) -> int:
    if not is_whole(given) or given < 1:
        raise wrong("outputs", "be whole numbers from 1 on", repr(given), WAYS_OUT)
    return int(given)


def _line(overlap: float) -> OnTheLine:
    one = best_one_unit(np.array([[1.0, overlap], [overlap, 1.0]]))
    return OnTheLine(overlap, SHARES, line_hessian(one, SHARES).least, one.error)
