"""Changes of numbers between two x-rays, paired by input, with their errors."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import stdtrit

from ._counted import counted
from ._errors import unknown
from ._plotted import Plotted
from ._told_apart import NAMELESS
from ._xray import Xray

ROUNDING = 1e-9  # a change below this share of its values is rounding, not an effect


@dataclass(frozen=True)
class PairedChange:
    """After minus before, paired by input.

    Attributes:
        stage: Where. quantity: ``count``, ``effective_rank``, ``largest``, or ``log_sum``: the sum
            of ln s over the indices that are reliable in both runs at that input, since sums over
            different numbers of values are not one quantity; so not ``Spectrum.log_sum``.
        inputs: Index of each input, ``(N,)``: those at which both runs hold this spectrum (and
            ``log_sum`` has an index).
        before, after: Value at each of them, ``(N,)``.
        mean: Mean change. se: its standard error (NaN for one input).
        low, high: 95 % interval of the mean change, Student's t with N - 1 degrees of freedom, and
            ``open`` beyond it on both sides. The chance in an estimate is in ``se``: probes are
            drawn anew for each input.
        steady: Whether no input changed by more than rounding, 1e-9 of the largest value.
        bounds: Whether values before, and after, are lower bounds at some input, because values
            beyond the computed ones may count too. Then ``low`` or ``high`` is infinite: a bound
            after leaves no upper end of the change, a bound before no lower one.
        estimated: Whether values before, and after, are estimates at some input.
        open: Mean of what the bounds of both counts leave open, where values that were not computed
            were counted by bounds; else 0.
        verdict: ``"rises"`` or ``"falls"`` where the interval holds no 0 (and not ``steady``);
            ``"not known"`` where it has an end at infinity and holds 0; else
            ``"not distinguishable"``.
    """

    stage: str
    quantity: str
    inputs: tuple[int, ...]
    before: np.ndarray
    after: np.ndarray
    mean: float
    se: float
    low: float
    high: float
    steady: bool
    bounds: tuple[bool, bool]
    verdict: str
    estimated: tuple[bool, bool] = (False, False)
    open: float = 0.0


@dataclass(frozen=True, repr=False)
class Comparison(Plotted):
    """Two runs over the same inputs and stages, and their paired changes.

    Attributes:
        before, after: The runs. Where one is unfinished, both without the spectra from the input
            that the other lacks at a shared stage, so that their means are over the same inputs.
        changes: One for each shared stage and quantity that can be paired, in order of depth.
        names: What to call the runs: their folders, so far as these tell them apart.
        step: Of two trainings the optimizer step whose looks are compared, the last with a look in
            both; None for two x-rays.
        last_steps: Of two trainings the step of the last look of each.
    """

    before: Xray
    after: Xray
    changes: tuple[PairedChange, ...]
    names: tuple[str, str] = NAMELESS
    step: int | None = None
    last_steps: tuple[int, int] | None = None

    def rows(self) -> list[dict[str, Any]]:
        """One flat dict for each change: means before and after, and the change with its errors."""
        return [
            {
                "stage": each.stage,
                "quantity": each.quantity,
                "n_inputs": len(each.inputs),
                "before": float(each.before.mean()),
                "after": float(each.after.mean()),
                "change": each.mean,
                "se": each.se,
                "low": each.low,
                "high": each.high,
                "verdict": each.verdict,
            }
            for each in self.changes
        ]

    def __repr__(self) -> str:
        stages = len({each.stage for each in self.changes})
        counts = Counter(each.verdict for each in self.changes)
        said = ", ".join(f"{n} {verdict}" for verdict, n in counts.items())
        changes, at = counted(len(self.changes), "change"), counted(stages, "stage")
        when = "" if self.step is None else f" and step {self.step:,}"
        return f"Comparison({changes} at {at}{when}: {said})"

    def find(self, stage: str, quantity: str = "count") -> PairedChange | None:
        """The paired change of one quantity at one stage, or None where nothing can be paired."""
        found = (c for c in self.changes if (c.stage, c.quantity) == (stage, quantity))
        return next(found, None)

    def change(self, stage: str, quantity: str = "count") -> PairedChange:
        """The paired change of one quantity at one stage; a ``UsageError`` where there is none."""
        found = self.find(stage, quantity)
        if found is None:
            names = [f"{c.stage}, {c.quantity}" for c in self.changes]
            raise unknown("change", f"{stage}, {quantity}", names)
        return found


def paired_change(
    stage: str,
    quantity: str,
    before: Sequence[float],
    after: Sequence[float],
    scale: float = 0.0,
    inputs: Sequence[int] | None = None,
    bounds: tuple[bool, bool] = (False, False),
    estimated: tuple[bool, bool] = (False, False),
    left_open: Sequence[float] = (0.0,),
) -> PairedChange:
    """Mean of ``after - before`` with its standard error and 95 % interval (Student's t).

    Args:
        stage: Where.
        quantity: Of what.
        before: Value at each input, at least one.
        after: The same inputs in the same order.
        scale: Size of the terms of a value that is a sum and may cancel; rounding is judged
            against it where it is larger than the values.
        inputs: Index of each input; None for 0, 1, 2, ...
        bounds: Whether values before, and after, are lower bounds.
        estimated: Whether values before, and after, are estimates.
        left_open: How far each change may lie off because values are known between bounds only.
    """
    x, y = np.asarray(before, dtype=np.float64), np.asarray(after, dtype=np.float64)
    d = y - x
    n, mean = len(d), float(d.mean())
    se = float(d.std(ddof=1) / n**0.5) if n > 1 else float("nan")
    half = float(stdtrit(n - 1, 0.975)) * se if n > 1 else float("nan")
    size = max(scale, float(np.abs(x).max()), float(np.abs(y).max()))
    steady = bool(np.abs(d).max() <= ROUNDING * size)
    beyond = float(np.mean(left_open))
    low = -math.inf if bounds[0] else mean - half - beyond
    high = math.inf if bounds[1] else mean + half + beyond
    verdict = "not known" if any(bounds) else "not distinguishable"
    if n > 1 and not steady and (low > 0 or high < 0):
        verdict = "rises" if low > 0 else "falls"
    which = tuple(range(n)) if inputs is None else tuple(inputs)
    return PairedChange(
        stage,
        quantity,
        which,
        x,
        y,
        mean,
        se,
        low,
        high,
        steady,
        bounds,
        verdict,
        estimated,
        beyond,
    )
