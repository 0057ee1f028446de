"""What lies in an exported file and beside it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import torch

from nakami.data.schema import Preparation
from nakami.results import as_json, plain, versions, write_whole

from ._answer import column_of, outputs_of
from ._card import card
from ._model_file import called, rows
from ._raw import RawInputs
from ._source import LABELS, PREPARATION, Source

if TYPE_CHECKING:
    from ._exported import Exported

FORMAT = "nakami.export/1"


def labels_of(source: Source) -> tuple[str, ...]:
    """Names of the classes, one for each output; numbers where they have none; or empty."""
    if source.preparation is not None and (names := source.preparation.classes):
        return names if outputs_of(source) == len(names) else ()
    if source.examples.labels is None or source.examples.labels.is_floating_point():
        return ()
    outputs = called(source.model, rows(source.inputs, slice(0, 2)))
    if not (isinstance(outputs, torch.Tensor) and outputs.ndim == 2):
        return ()
    names = source.examples.classes
    return names if len(names) == outputs.shape[1] else tuple(map(str, range(outputs.shape[1])))


def about(source: Source, given: RawInputs, labels: tuple[str, ...]) -> dict[str, str]:
    """What an ONNX file keeps beside its graph."""
    told = {
        "nakami.name": source.name,
        "nakami.input": given.unit,
        "nakami.training": source.training,
        "nakami.versions": json.dumps(versions()),
    }
    if column := column_of(source):
        told["nakami.output"] = f"{column}, in its own unit"
    if labels:
        told["nakami.labels"] = json.dumps(labels, ensure_ascii=False)
    if given.columns:
        told["nakami.columns"] = json.dumps(given.columns, ensure_ascii=False)
    if source.preparation is not None:
        told["nakami.preparation"] = preparation_of(source.preparation)
    return told


def preparation_of(preparation: Preparation) -> str:
    """A preparation as JSON, which names the data but not where they lie on this machine."""
    found = preparation.to_json(preparation.schema.path.parent)
    return json.dumps(found, ensure_ascii=False)


def leave(source: Source, exported: Exported) -> None:
    """Write what belongs beside the model."""
    folder, labels = exported.folder, exported.labels
    if labels:
        write_whole(folder / LABELS, json.dumps(labels, ensure_ascii=False, indent=1) + "\n")
    if source.preparation is not None:
        write_whole(folder / PREPARATION, preparation_of(source.preparation))
    write_whole(folder / "export.json", as_json(told(source, exported)))
    write_whole(folder / "card.md", card(source, exported))


def told(source: Source, exported: Exported) -> dict[str, Any]:
    """All that was found, as ``export.json`` has it."""
    file = exported.file
    found: dict[str, Any] = plain(
        {
            "format": FORMAT,
            "name": source.name,
            "target": exported.target,
            "file": file.path.name,
            "bytes": exported.bytes,
            "sha256": hashlib.sha256(file.path.read_bytes()).hexdigest(),
            "inputs": file.inputs,
            "columns": exported.columns,
            "input_unit": exported.unit,
            "outputs": file.outputs,
            "output_column": exported.column,
            "labels": exported.labels,
            "nodes": file.nodes,
            "fixed_axes": exported.fixed,
            "largest": file.largest,
            "agreement": exported.agreement,
            "latency_ms": exported.latency,
            "int8": exported.int8,
            "accuracy": exported.accuracy,
            "number_change": exported.number_change,
            "versions": versions(),
        }
    )
    return found
