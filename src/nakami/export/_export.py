"""``export``: one network to one target, checked, measured and described."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from nakami.results import (
    RunError,
    as_json,
    as_path,
    check_choice,
    disk,
    plain,
    versions,
    write_whole,
    wrong,
)
from nakami.training import one_thread

from ._agreement import Agreement, agreement
from ._card import card
from ._int8 import Accuracy, Int8, accuracy, quantise
from ._latency import Latency, latencies
from ._onnx import OnnxFile, called, rows, write
from ._runtime import runs_of
from ._source import PREPARATION, Source

TARGETS = ("onnx",)
FORMAT = "nakami.export/1"
LIMIT = 1e-4
FILE, REFUSED = "model.onnx", "model.refused.onnx"


@dataclass(frozen=True)
class Exported:
    """What was written, and how good it is.

    Attributes:
        folder: Holds the file, ``export.json``, ``card.md``, ``labels.json``.
        file: The model. agreement: its numbers beside torch's.
        fixed: Axes that were to change and do not, in words.
        latency: Of each batch size, of ``onnxruntime`` and ``torch``, one thread, this machine.
        int8: The file with weights of eight bits; None: not asked for.
        accuracy: Before and after that; None: no labels, or nothing was quantised.
    """

    folder: Path
    file: OnnxFile
    agreement: Agreement
    fixed: tuple[str, ...]
    latency: Mapping[int, Mapping[str, Latency]]
    int8: Int8 | None
    accuracy: Accuracy | None

    @property
    def bytes(self) -> int:
        """Size of the model."""
        return self.file.path.stat().st_size


def export(
    source: Source,
    out: str | PathLike[str],
    to: str = "onnx",
    *,
    limit: float = LIMIT,
    int8: bool = True,
) -> Exported:
    """Write a network for another runtime, with labels and what was measured.

    Args:
        source: Network, inputs and what is known; ``from_run`` reads one.
        out: Folder for all files; files of an earlier export there are replaced.
        to: One of ``TARGETS``.
        limit: Largest ``Agreement.relative`` that is let through.
        int8: Whether a file with weights of eight bits is made as well.

    Raises:
        UsageError: Unknown target, the extra ``export`` is not installed.
        RunError: torch cannot export the network, the batch is fixed in the file, or its numbers
            differ by more than ``limit``; the file is then kept as ``model.refused.onnx``.
    """
    check_choice("to", to, TARGETS, "write onnx")
    if not 0 < limit < 1:
        raise wrong("limit", "lie between 0 and 1", limit, "leave it out for 1e-4")
    folder = as_path("out", out)
    with disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
    inputs, labels = source.inputs, labels_of(source)
    axes = changing_axes(source.model, source.inputs)
    example = rows(
        inputs, torch.arange(max(2, min(4, len(source.examples)))) % len(source.examples)
    )
    written = write(source.model, example, folder / REFUSED, axes, about(source, labels))
    found = agreement(source.model, runs_of(written), inputs, time_axes(written, axes))
    _judge(written, found, axes, limit)
    path = written.path.replace(folder / FILE)
    written = OnnxFile(path, written.inputs, written.outputs, written.nodes)
    small = quantise(path, folder / "model.int8.onnx") if int8 else None
    exported = Exported(
        folder, written, found, tuple(written.fixed(axes)), _latency(source, written), small,
        _accuracy(source, written, small),
    )  # fmt: skip
    _leave(source, exported, labels)
    return exported


def changing_axes(model: nn.Module, inputs: Mapping[str, Any]) -> dict[str, dict[int, str]]:
    """Rows always; the second axis of sequences, which layers over time tell.

    Args:
        model: Looked through for recurrent layers and attention.
        inputs: Of ``(n, time)`` or ``(n, time, features)`` where they are sequences.
    """
    kinds = (nn.RNNBase, nn.MultiheadAttention, nn.TransformerEncoderLayer)
    over_time = any(isinstance(module, kinds) for module in model.modules())
    return {
        name: {0: "batch", 1: "time"} if over_time and value.ndim in (2, 3) else {0: "batch"}
        for name, value in inputs.items()
    }


def time_axes(written: OnnxFile, axes: Mapping[str, Mapping[int, str]]) -> dict[str, int]:
    """Where time may change in the file."""
    return {
        name: place
        for name, changing in axes.items()
        for place, axis in changing.items()
        if axis == "time" and isinstance(written.inputs[name][place], str)
    }


def labels_of(source: Source) -> tuple[str, ...]:
    """Names of the classes; numbers where they have none; empty without classes."""
    if source.preparation is not None and source.preparation.classes:
        return source.preparation.classes
    if source.examples.labels is None:
        return ()
    outputs = called(source.model, rows(source.inputs, slice(0, 2)))
    if not (isinstance(outputs, torch.Tensor) and outputs.ndim == 2):
        return ()
    names = source.examples.classes
    return names if len(names) == outputs.shape[1] else tuple(map(str, range(outputs.shape[1])))


def about(source: Source, labels: tuple[str, ...]) -> dict[str, str]:
    """What an ONNX file keeps beside its graph."""
    told = {
        "nakami.name": source.name,
        "nakami.input": source.examples.unit,
        "nakami.training": source.training,
        "nakami.versions": json.dumps(versions()),
    }
    if labels:
        told["nakami.labels"] = json.dumps(labels, ensure_ascii=False)
    if source.preparation is not None:
        told["nakami.preparation"] = json.dumps(source.preparation.to_json(), ensure_ascii=False)
    return told


def _judge(
    written: OnnxFile, found: Agreement, axes: Mapping[str, Mapping[int, str]], limit: float
) -> None:
    batch = [axis for axis in written.fixed(axes) if axis.startswith("batch")]
    if batch:
        raise RunError(
            f"the exported file has a fixed size ({batch[0]}); it is kept as {written.path}."
        )
    if not found.relative <= limit:
        raise RunError(
            f"the exported file differs from torch by {found.absolute:.2g} ({found.relative:.2g} "
            f"of the largest output), more than {limit:g}; it is kept as {written.path}, "
            "and {limit} lets more through."
        )


def _latency(source: Source, written: OnnxFile) -> dict[int, dict[str, Latency]]:
    found, runs, n = {}, runs_of(written), len(source.examples)
    with one_thread():
        for size in (1, 32):
            part = rows(source.inputs, torch.arange(size) % n)
            calls = {
                "onnxruntime": partial(runs, part),
                "torch": partial(called, source.model, part),
            }
            found[size] = latencies(calls)
    return found


def _accuracy(source: Source, written: OnnxFile, small: Int8 | None) -> Accuracy | None:
    labels = source.examples.labels
    if small is None or not small.quantised or labels is None or labels.ndim != 1:
        return None
    other = OnnxFile(written.path.with_name(small.file), written.inputs, written.outputs, {})
    found = []
    for file in (written, other):
        runs = runs_of(file)
        outputs = [runs(rows(source.inputs, slice(i, i + 100))) for i in range(0, len(labels), 100)]
        if len(outputs[0]) != 1 or outputs[0][0].ndim != 2:
            return None
        found.append(np.concatenate([part[0] for part in outputs]))
    return accuracy(found[0], found[1], labels.numpy())


def _leave(source: Source, exported: Exported, labels: tuple[str, ...]) -> None:
    """Write what belongs beside the model."""
    folder = exported.folder
    if labels:
        write_whole(folder / "labels.json", json.dumps(labels, ensure_ascii=False, indent=1) + "\n")
    if source.preparation is not None:
        text = json.dumps(source.preparation.to_json(), ensure_ascii=False)
        write_whole(folder / PREPARATION, text)
    body = told(source, exported, labels)
    write_whole(folder / "export.json", as_json(body))
    write_whole(folder / "card.md", card(source, exported, labels))
    with suppress(FileNotFoundError):
        (folder / REFUSED).unlink()


def told(source: Source, exported: Exported, labels: tuple[str, ...]) -> dict[str, Any]:
    """All that was found, as ``export.json`` has it."""
    file = exported.file
    return plain(
        {
            "format": FORMAT,
            "name": source.name,
            "file": file.path.name,
            "bytes": exported.bytes,
            "sha256": hashlib.sha256(file.path.read_bytes()).hexdigest(),
            "inputs": file.inputs,
            "input_unit": source.examples.unit,
            "outputs": file.outputs,
            "labels": labels,
            "nodes": file.nodes,
            "fixed_axes": exported.fixed,
            "agreement": exported.agreement,
            "latency_ms": exported.latency,
            "int8": exported.int8,
            "accuracy": exported.accuracy,
            "versions": versions(),
        }
    )
