"""X-rays during a training: read as ``XrayHistory``; a piece for each look."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from os import PathLike
from typing import Any, final

import numpy as np

from .._compare import compare_xrays
from .._errors import wrong
from .._files import plain
from .._paired_changes import Comparison
from .._record import Kind, Record, RecordFolder, read_record
from .._spectrum import Spectrum, StageInfo
from .._told_apart import told_apart
from .._xray_history import SkippedLook, XrayHistory, XrayLook

INPUTS = "inputs"


@final
class MonitorFolder:
    """The looks of a training being written; ``XrayHistory`` is the same run being read.

    Args:
        path: As for ``RecordFolder``.
        settings: Likewise.
    """

    def __init__(self, path: str | PathLike[str], settings: Mapping[str, Any]):
        self._folder = RecordFolder(path, "monitor", settings)
        self.path, self.settings = self._folder.path, self._folder.settings

    def steps(self) -> list[int]:
        """Steps of the looks that are there."""
        return [look.step for look in restore(read_record(self.path, "out")).looks]

    def write_inputs(self, x: np.ndarray) -> None:
        """Keep the examples as the network saw them, once."""
        if not self._folder.has(INPUTS):
            self._folder.write(INPUTS, {}, {"x": x})

    def write(self, look: XrayLook, skipped: Iterable[SkippedLook] = ()) -> None:
        """Write a look, and those that were left out before it."""
        record, arrays = packed_look(look)
        body = {**record, "skipped": [plain(one) for one in skipped]}
        self._folder.reopen()
        self._folder.write(piece_name(look.step), body, arrays, look.seconds)

    def discard(self, step: int) -> None:
        """Remove a look."""
        self._folder.reopen()
        self._folder.discard(piece_name(step))

    def finish(self, history: XrayHistory) -> None:
        """Write ``result.json``."""
        self._folder.finish(summary_record(history))


def piece_name(step: int) -> str:
    """Name of the piece of a look."""
    return f"look-{step:08d}"


def packed_look(look: XrayLook) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A look as what is not an array, plain, and its arrays."""
    times = {"seconds": look.seconds, "spent": look.spent, "training": look.training}
    spectra = [plain(s.record()) for s in look.spectra]
    arrays = {f"{i}.{n}": a for i, s in enumerate(look.spectra) for n, a in s.arrays().items()}
    return {"step": look.step, **times, "spectra": spectra}, arrays


def unpacked_look(record: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> XrayLook:
    """The inverse of ``packed_look``."""
    each: dict[int, dict[str, np.ndarray]] = {}
    for name, array in arrays.items():
        index, _, field = name.partition(".")
        each.setdefault(int(index), {})[field] = array
    spectra = tuple(Spectrum.restore(s, each[i]) for i, s in enumerate(record["spectra"]))
    return XrayLook(record["step"], spectra, record["seconds"], record["spent"], record["training"])


def restore(record: Record) -> XrayHistory:
    """A history from its record, finished or not."""
    settings = record.settings
    stages = tuple(StageInfo(s["name"], s["kind"], tuple(s["shape"])) for s in settings["stages"])
    inputs, looks, result = np.zeros((0,)), list[XrayLook](), record.result
    skipped = {one["step"]: SkippedLook(**one) for one in result.get("skipped_looks", ())}
    for piece in record.pieces():
        if "step" not in piece.record:
            inputs = piece.arrays["x"]
            continue
        looks.append(unpacked_look(piece.record, piece.arrays))
        skipped |= {one["step"]: SkippedLook(**one) for one in piece.record["skipped"]}
    looks.sort(key=lambda look: look.step)
    last = looks[-1] if looks else None
    spent, training = (last.spent, last.training) if last else (0.0, 0.0)
    if result.get("training_seconds", -1.0) >= training:  # it goes on behind the last look
        spent, training = result["seconds"], result["training_seconds"]
    left = tuple(skipped[step] for step in sorted(skipped))
    return XrayHistory(settings, stages, inputs, tuple(looks), left, spent, training, record.folder)


def summary_record(history: XrayHistory) -> dict[str, Any]:
    """The summary as plain JSON values (what ``--json`` prints): the cost, and the last look."""
    last = history.xray(int(history.steps[-1])).rows() if history.looks else []
    body: dict[str, Any] = plain(
        {**history.as_dict(), "skipped_looks": list(history.skipped), "last_look": last}
    )
    return body


def compare_histories(a: XrayHistory, b: XrayHistory) -> Comparison:
    """The last looks at one step of two trainings, paired by input.

    Raises:
        UsageError: They share no step, or what ``compare`` of two x-rays refuses.
    """
    both = sorted({*a.steps.tolist()} & {*b.steps.tolist()})
    if not both:
        ends = [f"{h.steps[0]} to {h.steps[-1]}" if h.looks else "none" for h in (a, b)]
        way_out = "take the looks of both with the same every"
        raise wrong("the runs", "share the step of a look", " and ".join(ends), way_out)
    found = compare_xrays(a.xray(both[-1]), b.xray(both[-1]))
    names = told_apart(a.folder, b.folder, (a.subject, b.subject))
    last = int(a.steps[-1]), int(b.steps[-1])
    return replace(found, names=names, step=both[-1], last_steps=last)


ENTRY = Kind(
    read=restore, compare=compare_histories, unchecked=("max_share", "threads", "versions")
)
