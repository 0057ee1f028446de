"""Two runs compared: x-rays input by input, others number by number."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any, TypeAlias

import numpy as np

from ._counted import counted
from ._errors import COMMAND_LINE, PYTHON, UsageError, wrong, wrong_type
from ._lens_run import LensRun
from ._paired_changes import Comparison, PairedChange, paired_change
from ._record import KINDS, Record, load, numbers_of
from ._recurrent_xray import RecurrentXray
from ._same import USUAL, difference, differing
from ._shown import Shown
from ._spectrum import Spectrum
from ._told_apart import told_apart
from ._xray import Xray
from ._xray_history import XrayHistory

Run: TypeAlias = Xray | XrayHistory | RecurrentXray | LensRun | Record | str | PathLike[str]


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
    check_one_derivative(a.settings, b.settings)
    _check_one_place(a.settings, b.settings)
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
    names = told_apart(a.folder, b.folder, (a.subject, b.subject))
    return Comparison(a, b, tuple(changes), names)


def check_one_derivative(a: Mapping[str, Any], b: Mapping[str, Any]) -> None:
    """Refuse the settings of two runs of which one is read by the detached derivative."""
    ways = [
        PYTHON + "measure both with derivative='detached', or neither",
        COMMAND_LINE + "measure both with --detached, or neither",
    ]
    _check_alike("derivative", a, b, "be read by the same derivative", lambda _: ways)


def _check_one_place(a: Mapping[str, Any], b: Mapping[str, Any]) -> None:
    """Refuse x-rays whose stages were read at other positions of their sequences."""
    _check_alike("positions", a, b, "be read at the same positions", lambda first: [
        PYTHON + f"measure both with nakami.View(model, positions={first!r})",
        COMMAND_LINE + f"measure both with --positions {first}",
    ])  # fmt: skip


def _check_alike(
    field: str,
    a: Mapping[str, Any],
    b: Mapping[str, Any],
    rule: str,
    ways: Callable[[Any], list[str]],
) -> None:
    """Refuse two runs that differ in what decides which matrix was read."""
    first, second = (settings.get(field, USUAL[field]) for settings in (a, b))
    if first != second:
        got = f"{first!r} and {second!r}, which are other matrices"
        raise wrong("both runs", rule, got, ways(first))


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
