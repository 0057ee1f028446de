"""X-rays: read as ``Xray``, compared input by input; a piece for each input and spectrum."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any, final

import numpy as np

from .._compare import compare_xrays
from .._experiment import EXPERIMENTS, Experiment
from .._files import plain
from .._pieces import Piece
from .._record import Kind, Record, RecordFolder, read_record, slug
from .._spectrum import Spectrum, StageInfo
from .._summary import Estimate
from .._xray import Xray


@final
class RunFolder:
    """An x-ray being written; ``Xray`` is the same run being read.

    Args:
        path: As for ``RecordFolder``.
        settings: Likewise.
    """

    def __init__(self, path: str | PathLike[str], settings: Mapping[str, Any]):
        self._folder = RecordFolder(path, "xray", settings)
        self.path = self._folder.path

    def has(self, index: int, stage: str, source: str = "input") -> bool:
        """Whether this piece is done."""
        return self._folder.has(piece_name(index, stage, source))

    def write_input(self, index: int, x: np.ndarray) -> None:
        """Keep example ``index`` as the network saw it (stage 0 is the input)."""
        self._folder.write(piece_name(index, "input"), {"input": index}, {"x": x})

    def write(self, spectrum: Spectrum) -> None:
        """Write one piece; when this returns, the piece is done."""
        record = spectrum.record()
        seconds = record.pop("seconds")
        name = piece_name(spectrum.input, spectrum.stage, spectrum.source)
        self._folder.write(name, record, spectrum.arrays(), seconds)

    def experiment(self, name: str, index: int) -> dict[str, Any] | None:
        """Settings of an experiment that was made at this input; None where it was not."""
        piece = experiment_name(name, index)
        return self._folder.read(piece).record["settings"] if self._folder.has(piece) else None

    def write_experiment(
        self, name: str, index: int, settings: Mapping[str, Any], arrays: Mapping[str, np.ndarray],
        seconds: float,
    ) -> None:  # fmt: skip
        """Write what an experiment found at one input; when this returns, it is done."""
        record = {"experiment": name, "input": index, "settings": dict(settings)}
        self._folder.write(experiment_name(name, index), record, arrays, seconds)

    def finish(self) -> Xray:
        """Write ``result.json`` from the pieces and read the run back."""
        run = restore_xray(read_record(self.path, "out"))
        self._folder.finish(summary_record(run))
        return run


def piece_name(index: int, stage: str, source: str = "input") -> str:
    """Name of the piece that ends at a stage."""
    return f"{index:04d}-{slug(stage if source == 'input' else f'{stage}@{source}')}"


def experiment_name(name: str, index: int) -> str:
    """Name of the piece of an experiment at one input."""
    return f"{name}-{index:04d}"


def restore_xray(record: Record) -> Xray:
    """An x-ray from its record, finished or not: what is there, in order of depth."""
    settings = record.settings
    stages = tuple(StageInfo(s["name"], s["kind"], tuple(s["shape"])) for s in settings["stages"])
    inputs: dict[int, np.ndarray] = {}
    spectra = []
    tried: dict[str, list[Piece]] = {}
    for piece in record.pieces():
        if "experiment" in piece.record:
            tried.setdefault(piece.record["experiment"], []).append(piece)
        elif "stage" in piece.record:
            body = {**piece.record, "seconds": piece.seconds}
            spectra.append(Spectrum.restore(body, piece.arrays))
        else:
            inputs[piece.record["input"]] = piece.arrays["x"]
    order = {s.name: i for i, s in enumerate(stages)}
    spectra.sort(key=lambda s: (order[s.stage], order[s.source], s.input))
    whole = range(next(i for i in range(len(inputs) + 1) if i not in inputs))  # row i is input i
    stack = np.stack([inputs[i] for i in whole]) if whole else np.zeros((0,))
    found = {name: _experiment(name, pieces) for name, pieces in tried.items()}
    known = {name: made for name, made in found.items() if made is not None}
    return Xray(settings, stages, stack, tuple(spectra), record.folder, known)


def _experiment(name: str, pieces: list[Piece]) -> Experiment | None:
    """An experiment from its pieces; None of a kind that only a later version knows."""
    if name not in EXPERIMENTS:
        return None
    each = {piece.record["input"]: piece.arrays for piece in pieces}
    return EXPERIMENTS[name].made.of(pieces[0].record["settings"], each)


def summary_record(run: Xray) -> dict[str, Any]:
    """The summary of a run as plain JSON values (what ``--json`` prints)."""
    rows = [
        {k: _value(v) for k, v in vars(row).items()}
        for stage in run.stages  # each may be a source; the input is the first
        for row in run.summary(stage.name)
    ]
    body = {"converged": run.converged, "n_inputs": run.n_inputs, "summary": rows}
    tried = {name: plain(found.as_dict()) for name, found in run.experiments.items()}
    return body | ({"experiments": tried} if tried else {})


def _value(value: Any) -> Any:
    return plain({**vars(value), "se": value.se} if isinstance(value, Estimate) else value)


ENTRY = Kind(version=1, read=restore_xray, compare=compare_xrays)
