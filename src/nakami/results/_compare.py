"""Two runs compared: x-rays input by input, others number by number."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any, TypeAlias

import numpy as np
from scipy.special import stdtrit

from ._counted import counted
from ._errors import UsageError, unknown, wrong, wrong_type
from ._lens_run import LensRun
from ._plotted import Plotted
from ._record import KINDS, Record, load, numbers_of
from ._recurrent_xray import RecurrentXray
from ._same import difference, differing
from ._shown import Shown
from ._spectrum import Spectrum
from ._xray import Xray
from ._xray_history import XrayHistory

Run: TypeAlias = Xray | XrayHistory | RecurrentXray | LensRun | Record | str | PathLike[str]
ROUNDING = 1e-9  # a change below this share of its values is rounding, not an effect


@dataclass(frozen=True)
class Reading:
    """A number of one spectrum, and how it is known.

    Attributes:
        value: The number.
        bound: Whether it is a lower bound only.
        interval: Its 95 % interval by the error of measuring it.
        left_open: How far it may lie off because it is known between bounds only.
    """

    value: Callable[[Spectrum], float]
    bound: Callable[[Spectrum], bool] = lambda s: False
    interval: Callable[[Spectrum], tuple[float, float]] = lambda s: (0.0, 0.0)
    left_open: Callable[[Spectrum], float] = lambda s: 0.0

    def estimated(self, spectra: Sequence[Spectrum]) -> bool:
        """Whether it is an estimate of some of these spectra."""
        ends = [self.interval(s) for s in spectra if not self.bound(s)]
        return any(low < high for low, high in ends)


READINGS = {
    "count": Reading(
        lambda s: float(s.count_above_one),
        lambda s: s.count_is_lower_bound,
        lambda s: s.count_interval,
        lambda s: s.count_open,
    ),
    "effective_rank": Reading(
        lambda s: s.effective_rank,
        lambda s: s.rank_is_lower_bound,
        lambda s: s.effective_rank_interval,
    ),
    "largest": Reading(lambda s: float(s.values[0])),
}


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
    """

    before: Xray
    after: Xray
    changes: tuple[PairedChange, ...]

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
        return f"Comparison({changes} at {at}: {said})"

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


@dataclass(frozen=True, repr=False)
class NumberChanges(Shown):
    """The numbers of two runs of one kind, side by side.

    Attributes:
        before, after: The runs.
        numbers: Name, and value before and after, of each single number that both results have.
        settings: Name, and before and after in few words, of each setting that differs.
    """

    before: Record
    after: Record
    numbers: tuple[tuple[str, float, float], ...]
    settings: tuple[tuple[str, str, str], ...] = ()

    def __repr__(self) -> str:
        changed = sum(before != after for _, before, after in self.numbers)
        of, kind = counted(len(self.numbers), "number"), self.before.kind
        return f"NumberChanges({kind}: {changed} of {of} changed, {len(self.settings)} settings)"

    def rows(self) -> list[dict[str, Any]]:
        """One flat dict for each number."""
        return [
            {"number": name, "before": before, "after": after, "change": after - before}
            for name, before, after in self.numbers
        ]

    def as_dict(self) -> dict[str, Any]:
        """Where the two runs lie, and how much of them differs."""
        return {
            "kind": self.before.kind,
            "before": str(self.before.folder),
            "after": str(self.after.folder),
            "numbers": len(self.numbers),
            "changed": sum(before != after for _, before, after in self.numbers),
            "settings": len(self.settings),
        }


def compare(before: Run, after: Run) -> Any:
    """Compare two runs of one kind.

    Args:
        before: A run, or the folder of one.
        after: Another of the same kind.

    Returns:
        A ``Comparison`` of two x-rays, paired by input, or of the last looks at one step of two
        trainings; ``NumberChanges`` of other runs.

    Raises:
        UsageError: The runs differ in kind, or in what would make the comparison mean nothing.
    """
    a, b = _run("before", before), _run("after", after)
    if a.kind != b.kind:
        raise wrong(
            "after", f"be of the kind of before, {a.kind}", b.kind, "give two runs of one kind"
        )
    return (KINDS[a.kind].compare or compare_numbers)(a, b)


def compare_numbers(a: Record, b: Record) -> NumberChanges:
    """Every single number that two results share, and the settings in which the runs differ."""
    x, y = (dict(numbers_of(record.result)) for record in (a, b))
    fields = differing(a.settings, b.settings)
    return NumberChanges(
        a,
        b,
        tuple((name, x[name], y[name]) for name in x if name in y),
        tuple(difference(field, a.settings, b.settings) for field in fields),
    )


def compare_xrays(a: Xray, b: Xray) -> Comparison:
    """Two x-rays of the same inputs, stages and unit, paired by input."""
    for field in ("input_unit", "inputs_sha256"):
        if a.settings.get(field) != b.settings.get(field):
            raise UsageError(
                f"both runs must have the same {field}, got {a.settings.get(field)!r} and "
                f"{b.settings.get(field)!r}; measure both networks at the same inputs."
            )
    read = [run.settings.get("derivative", "exact") for run in (a, b)]
    if read[0] != read[1]:
        raise UsageError(
            f"both runs must be read by the same derivative, got {read[0]!r} and {read[1]!r}, "
            "which are other matrices; measure both with derivative='detached' (--detached), or "
            "neither."
        )
    if a.source != b.source:
        raise UsageError(
            f"both runs must start at the same place, got {a.source!r} and {b.source!r}; measure "
            "networks whose embeddings have one name."
        )
    common = [name for name in a.names if name in b.names]
    if not common:
        raise UsageError(
            f"both runs must share a stage, got {', '.join(a.names)} and {', '.join(b.names)}; "
            "measure both with the same stages."
        )
    a, b = _cut(a, b, common), _cut(b, a, common)
    changes = [
        change
        for name in common
        if a.at(name)
        for change in (*_readings(name, a, b), _log_sums(name, a, b))
        if change is not None
    ]
    if not changes:
        raise UsageError(
            "both runs must hold a spectrum at the same input and stage, got none in common; "
            "start the commands that made them again."
        )
    return Comparison(a, b, tuple(changes))


def _run(argument: str, run: object) -> Any:
    if isinstance(run, (str, PathLike)):
        return load(run)
    if not isinstance(run, (Xray, XrayHistory, RecurrentXray, LensRun, Record)):
        way_out = "give the folder of a run, or what nakami.load returned"
        raise wrong_type(argument, "be a run, or the folder of one", repr(run), way_out)
    return run


def _readings(stage: str, a: Xray, b: Xray) -> list[PairedChange]:
    x, y = a.at(stage), b.at(stage)
    which = [s.input for s in x]
    return [
        paired_change(
            stage, q, [r.value(s) for s in x], [r.value(s) for s in y],
            inputs=which, bounds=(any(map(r.bound, x)), any(map(r.bound, y))),
            estimated=(r.estimated(x), r.estimated(y)),
            left_open=[r.left_open(s) + r.left_open(t) for s, t in zip(x, y, strict=True)],
        )
        for q, r in READINGS.items()
    ]  # fmt: skip


def _log_sums(stage: str, a: Xray, b: Xray) -> PairedChange | None:
    """Sums of ln s over the indices that are reliable in both runs at that input."""
    kept = []
    for s, t in zip(a.at(stage), b.at(stage), strict=True):
        k = min(len(s.values), len(t.values))
        x, y = s.values[:k], t.values[:k]
        both = s.reliable[:k] & t.reliable[:k] & (x > 0) & (y > 0)
        if both.any():
            kept.append((s.input, np.log(x[both]), np.log(y[both])))
    if not kept:
        return None
    inputs, before, after = zip(*kept, strict=True)
    sums = [[float(v.sum()) for v in side] for side in (before, after)]
    # s with a relative error e has ln s with the absolute error e, also where ln s is near 0
    terms = max(len(v) + float(np.abs(v).sum()) for v in (*before, *after))
    return paired_change(stage, "log_sum", sums[0], sums[1], scale=terms, inputs=inputs)


def _cut(run: Xray, other: Xray, common: Sequence[str]) -> Xray:
    """``run`` without the spectra from the input that ``other`` lacks at their common stages."""
    there = {(s.stage, s.input) for s in other.spectra if s.source == other.source}

    def paired(s: Spectrum) -> bool:
        return s.source != run.source or s.stage not in common or (s.stage, s.input) in there

    return replace(run, spectra=tuple(s for s in run.spectra if paired(s)))


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
