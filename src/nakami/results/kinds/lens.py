"""Averaged Jacobians: read as ``LensRun``; a piece for each group of prompts and stage."""

from __future__ import annotations

import math
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, final

import numpy as np

from .._compare import NumberChanges, check_one_derivative, compare_numbers
from .._errors import wrong
from .._files import plain
from .._lens import Direction, Lens
from .._lens_run import LensRun
from .._pieces import Piece
from .._record import Kind, Record, RecordFolder, read_record, slug

LENS, GROUP = "lens", "group"


@final
class LensFolder:
    """A run being written; ``LensRun`` is the same run being read.

    Args:
        path: As for ``RecordFolder``.
        settings: Likewise.
    """

    def __init__(self, path: str | PathLike[str], settings: Mapping[str, Any]):
        self._folder = RecordFolder(path, "lens", settings)
        self.path = self._folder.path

    def has(self, group: int, stage: str) -> bool:
        """Whether a group of prompts is read at a stage."""
        return self._folder.has(_group_name(group, stage))

    def read(self, group: int, stage: str) -> Piece:
        """What was found there."""
        return self._folder.read(_group_name(group, stage))

    def write(
        self, group: int, stage: str, record: Mapping[str, Any], arrays: Mapping[str, np.ndarray],
        seconds: float,
    ) -> None:  # fmt: skip
        """Write it; when this returns, it is done."""
        body = {GROUP: group, "stage": stage, **record}
        self._folder.write(_group_name(group, stage), body, arrays, seconds)

    def has_lens(self, stage: str) -> bool:
        """Whether the mean of a stage and its numbers are made."""
        return self._folder.has(_lens_name(stage))

    def write_lens(
        self, lens: Lens, errors: np.ndarray, words: tuple[Direction, ...], seconds: float
    ) -> None:
        """Write the mean of a stage, with its numbers."""
        body = {LENS: lens.record(), "words": [plain(vars(one)) for one in words]}
        arrays = {**lens.arrays(), "errors": errors}
        self._folder.write(_lens_name(lens.stage), body, arrays, seconds)

    def finish(self) -> LensRun:
        """Write ``result.json`` from the pieces and read the run back."""
        run = restore_lens(read_record(self.path, "out"))
        self._folder.finish(summary_record(run))
        return run


def _group_name(group: int, stage: str) -> str:
    return f"{group:04d}-{slug(stage)}"


def _lens_name(stage: str) -> str:
    return f"{LENS}-{slug(stage)}"


def restore_lens(record: Record) -> LensRun:
    """A run from its record; without lenses where it is not finished."""
    names, settings = [stage["name"] for stage in record.settings["stages"]], record.settings
    groups = sum(record.has(_group_name(i, names[-1])) for i in range(settings["groups"]))
    if not all(record.has(_lens_name(name)) for name in names):
        return LensRun(settings, {}, {}, {}, groups, record.folder)
    found = {name: record.piece(_lens_name(name)) for name in names}
    return LensRun(
        settings,
        lenses={name: Lens.restore(p.record[LENS], p.arrays) for name, p in found.items()},
        errors={name: p.arrays["errors"] for name, p in found.items()},
        words={name: _words(p.record["words"]) for name, p in found.items()},
        groups=groups,
        folder=record.folder,
    )


def _words(records: list[dict[str, Any]]) -> tuple[Direction, ...]:
    def pairs(end: list[list[Any]]) -> tuple[tuple[str, float], ...]:
        return tuple((word, product) for word, product in end)

    return tuple(
        Direction(
            one["index"],
            one["value"],
            math.nan if one["error"] is None else one["error"],
            pairs(one["ahead"]),
            pairs(one["behind"]),
        )
        for one in records
    )


def summary_record(run: LensRun) -> dict[str, Any]:
    """The summary of a run as plain JSON values, by stage (what ``--json`` prints)."""
    rows = {row.pop("stage"): row for row in run.rows()}
    for name, one in run.lenses.items():
        rows[name] |= {"values": one.values, "value_errors": one.value_errors}
        rows[name] |= {"reason": one.reason, "check": one.check}
        rows[name]["words"] = [vars(direction) for direction in run.words[name]]
    body: dict[str, Any] = plain({"converged": run.converged, "to": run.to, "stages": rows})
    return body


def compare_lenses(a: LensRun, b: LensRun) -> NumberChanges:
    """The numbers of two runs side by side, stage by stage.

    Raises:
        UsageError: They share no stage, one is not finished, or one alone is detached.
    """
    check_one_derivative(a.settings, b.settings)
    if not a.lenses.keys() & b.lenses.keys():
        got = " and ".join(", ".join(run.lenses) or "none yet" for run in (a, b))
        raise wrong("the runs", "be finished and share a stage", got, "compare runs of one network")
    return compare_numbers(_as_record(a), _as_record(b))


def _as_record(run: LensRun) -> Record:
    return Record(run.kind, run.settings, summary_record(run), Path(run.folder))


ENTRY = Kind(
    read=restore_lens, compare=compare_lenses, unchecked=("threads",), renewed=("versions",)
)
