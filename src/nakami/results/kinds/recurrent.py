"""X-rays of recurrent layers: read as ``RecurrentXray``; a piece for each layer and reading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from os import PathLike
from pathlib import Path
from typing import Any, final

import numpy as np

from .._compare import NumberChanges, compare_numbers
from .._errors import wrong
from .._files import plain
from .._fixed_points import FixedPointEnding, FixedPoints
from .._growth import Growth, Margin
from .._lyapunov import LyapunovEnding, LyapunovSpectrum
from .._outcome import Ending, Outcome
from .._over_time import SpectraOverTime
from .._pieces import Piece
from .._record import Kind, Record, RecordFolder, read_record
from .._recurrent_xray import Portrait, RecurrentLayer, RecurrentXray

READINGS: dict[str, tuple[type[Any], type[Ending] | None]] = {
    "fixed_points": (FixedPoints, FixedPointEnding),
    "exponents": (LyapunovSpectrum, LyapunovEnding),
    "growth": (Growth, None),
    "over_time": (SpectraOverTime, None),
    "portrait": (Portrait, None),
}
LATER = {"over_time"}  # readings that runs written before lack
PARTS = "-parts"  # behind the name of a complex array: real and imaginary along the last axis


@final
class RecurrentFolder:
    """A run being written; ``RecurrentXray`` is the same run being read.

    Args:
        path: As for ``RecordFolder``.
        settings: Likewise; ``layers`` holds name, kind, sizes and margins of each.
    """

    def __init__(self, path: str | PathLike[str], settings: Mapping[str, Any]):
        self._folder = RecordFolder(path, "recurrent", settings)
        self.path = self._folder.path

    def has(self, layer: int, reading: str) -> bool:
        """Whether a reading is done."""
        return self._folder.has(piece_name(layer, reading))

    def read(self, layer: int, reading: str) -> Any:
        """A reading that is done."""
        return unpacked(self._folder.read(piece_name(layer, reading)))

    def write(self, layer: int, reading: str, found: Any, seconds: float) -> None:
        """Write a reading; when this returns, it is done."""
        record, arrays = packed(found)
        body = {"layer": layer, "reading": reading, **record}
        self._folder.write(piece_name(layer, reading), body, arrays, seconds)

    def finish(self) -> RecurrentXray:
        """Write ``result.json`` from the pieces and read the run back."""
        run = restore(read_record(self.path, "out"))
        self._folder.finish(summary_record(run))
        return run


def piece_name(layer: int, reading: str) -> str:
    """Name of a piece."""
    return f"{layer:03d}-{reading}"


def packed(found: Any) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """A reading as what is not an array, and its arrays, complex ones as pairs of numbers."""
    record: dict[str, Any] = {}
    arrays: dict[str, np.ndarray] = {}
    for each in fields(found):
        value = getattr(found, each.name)
        if isinstance(value, np.ndarray) and np.iscomplexobj(value):
            arrays[each.name + PARTS] = np.stack([value.real, value.imag], axis=-1)
        elif isinstance(value, np.ndarray):
            arrays[each.name] = value
        else:
            record[each.name] = value.record() if isinstance(value, Outcome) else value
    return record, arrays


def unpacked(piece: Piece) -> Any:
    """The inverse of ``packed``; unknown fields are ignored."""
    made, endings = READINGS[piece.record["reading"]]
    found: dict[str, Any] = dict(piece.record)
    for name, array in piece.arrays.items():
        if name.endswith(PARTS):
            found[name.removesuffix(PARTS)] = array[..., 0] + 1j * array[..., 1]
        else:
            found[name] = array
    if endings is not None:
        found["outcome"] = Outcome.restore(found["outcome"], endings)
    return made(**{f.name: found[f.name] for f in fields(made)})


def restore(record: Record) -> RecurrentXray:
    """A run from its record, finished or not: the layers whose readings are all there."""
    found: dict[int, dict[str, Any]] = {}
    for piece in record.pieces():
        found.setdefault(piece.record["layer"], {})[piece.record["reading"]] = unpacked(piece)
    layers = tuple(
        made_layer(about, found[i])
        for i, about in enumerate(record.settings["layers"])
        if found.get(i, {}).keys() >= READINGS.keys() - LATER
    )
    return RecurrentXray(record.settings, layers, record.folder)


def made_layer(about: Mapping[str, Any], readings: Mapping[str, Any]) -> RecurrentLayer:
    """A layer from what the settings say of it and its readings."""
    margins = tuple(
        Margin(m["name"], m["sigma"], m["radius"], complex(*m["leading"])) for m in about["margins"]
    )
    sizes = {name: about[name] for name in ("name", "kind", "layers", "input_size", "state_size")}
    return RecurrentLayer(
        **sizes, margins=margins, **{n: readings[n] for n in READINGS if n in readings}
    )


def about_margin(margin: Margin) -> dict[str, Any]:
    """A margin as plain JSON values, as settings keep it."""
    leading = [margin.leading.real, margin.leading.imag]
    body: dict[str, Any] = plain({**vars(margin), "leading": leading})
    return body


def summary_record(run: RecurrentXray) -> dict[str, Any]:
    """The summary of a run as plain JSON values, by layer (what ``--json`` prints)."""
    layers = {layer.name or layer.kind: _numbers(layer) for layer in run.layers}
    return {"converged": run.converged, "layers": layers}


def _numbers(layer: RecurrentLayer) -> dict[str, Any]:
    fixed, found = layer.fixed_points, layer.exponents
    points = {
        "radii": fixed.radii,
        "crossings": list(fixed.crossings),
        "errors": fixed.errors,
        "unstable_directions": fixed.unstable_directions,
        "reason": fixed.reason,
    }
    spectrum = {
        "exponents": found.exponents,
        "standard_errors": found.standard_errors,
        "steps": found.steps,
        "reason": found.reason,
    }
    margins = [about_margin(m) | {"margin": m.margin} for m in layer.margins]
    grown: dict[str, Any] = {
        "singular_values": layer.growth.singular_values,
        "shares": layer.portrait.shares,
    }
    if layer.over_time is not None:
        grown["over_time"] = layer.over_time.rows()
    more = {"rest": points, "spectrum": spectrum, "margins": margins, **grown}
    body: dict[str, Any] = plain({"kind": layer.kind, **layer.numbers(), **more})
    return body


def compare_recurrent(a: RecurrentXray, b: RecurrentXray) -> NumberChanges:
    """The numbers of two runs side by side, layer by layer.

    Raises:
        UsageError: No layer of one has the name of a layer of the other.
    """
    mine, theirs = ({layer.name or layer.kind for layer in run.layers} for run in (a, b))
    if not mine & theirs:
        got = f"{', '.join(sorted(mine))} and {', '.join(sorted(theirs))}"
        raise wrong("the runs", "share the name of a layer", got, "compare runs of one network")
    return compare_numbers(_as_record(a), _as_record(b))


def _as_record(run: RecurrentXray) -> Record:
    where = run.folder or Path(run.subject)  # of a run in memory the name alone
    return Record(run.kind, run.settings, summary_record(run), where)


ENTRY = Kind(read=restore, compare=compare_recurrent, unchecked=("threads",), renewed=("versions",))
