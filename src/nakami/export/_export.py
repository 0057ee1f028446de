"""``export``: one network to one target, checked, measured and described."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor, nn

from nakami.results import RunError, as_path, check_choice, disk, wrong

from ._agreement import Agreement, agreement
from ._answer import column_of, fitted
from ._exported import Exported
from ._formats import FORMATS, TARGETS
from ._left import about, labels_of, leave
from ._measured import latency, number_change, right_answers
from ._model_file import Axes, ModelFile, rows
from ._raw import raw_of
from ._source import LABELS, PREPARATION, Source
from ._web import add_page, check_web

LIMIT = 1e-4


def export(
    source: Source,
    out: str | PathLike[str],
    to: str = "onnx",
    *,
    limit: float = LIMIT,
    int8: bool = True,
    runtime: str | PathLike[str] | None = None,
) -> Exported:
    """Write a network for another runtime, with labels and what was measured.

    Args:
        source: Network, inputs and what is known; ``from_run`` reads one.
        out: Folder for all files; files of an earlier export there are replaced.
        to: One of ``TARGETS``.
        limit: Largest ``Agreement.relative`` that is let through.
        int8: Whether a file with weights of eight bits is made as well.
        runtime: Of ``web``: folder or archive of onnxruntime-web; None: npm fetches it.

    Raises:
        UsageError: Unknown target, a wrong limit or runtime, outputs that do not fit the target, or
            inputs or weights that a page cannot take.
        RunError: The extra of the target is not installed, the network cannot be exported, the
            batch is fixed in an ONNX file, or the numbers differ by more than ``limit``; the file
            is then kept as ``model.refused.onnx`` (or another ending).
    """
    check_choice("to", to, TARGETS, "write onnx")
    if runtime is not None and to != "web":
        raise wrong("runtime", "come with {to}=web", to, "leave it out")
    if not 0 < limit < 1:
        raise wrong("limit", "lie between 0 and 1", limit, "leave it out for 1e-4")
    folder = as_path("out", out)
    with disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
        _leave_none(folder)
    form, source = FORMATS[to], fitted(source)
    given, labels, n = raw_of(source, form.prepares), labels_of(source), len(source.examples)
    if to == "web":
        check_web(source, given)
    axes = changing_axes(source, given.inputs)
    example = rows(given.inputs, torch.arange(max(2, min(4, n))) % n)
    kept = about(source, given, labels)
    written = form.write(given.model, example, folder / f"model.refused.{form.suffix}", axes, kept)
    time, most = time_axes(written, axes), written.most_rows
    found = agreement(source, form.runs(written), given.inputs, time, most)
    _judge(written, found, axes if form.any_batch else {}, limit)
    written = replace(written, path=written.path.replace(folder / f"model.{form.suffix}"))
    small = None
    if int8:
        target = folder / f"model.int8.{form.suffix}"
        small = form.quantise(given.model, given.inputs, written, target)
    exported = Exported(
        folder, to, written, given.columns, given.unit, column_of(source), labels, found,
        tuple(written.fixed(axes)),
        latency(given, written, small, form), small,
        right_answers(source, given, written, small, form),
        number_change(source, given, written, small, form),
    )  # fmt: skip
    leave(source, exported)
    if to == "web":
        own = None if runtime is None else as_path("runtime", runtime)
        return replace(exported, page=add_page(source, given, exported, limit, own))
    return exported


def _leave_none(folder: Path) -> None:
    """Remove what an earlier export has left and this one may not write again."""
    for name in (LABELS, PREPARATION, *(f"model.int8.{form.suffix}" for form in FORMATS.values())):
        for file in (folder / name, folder / f"{name}.data"):
            file.unlink(missing_ok=True)


def ahead(source: Source, to: str) -> list[str]:
    """What the form of file cannot do with this network, known before the work."""
    check_choice("to", to, TARGETS, "write onnx")
    told = FORMATS[to].ahead(source.model, changing_axes(source, source.inputs))
    if source.preparation is not None and not FORMATS[to].prepares:
        told.append(f"{FORMATS[to].words} has no float64: rows go in as preparation.json says")
    return told


def changing_axes(source: Source, given: Mapping[str, Tensor]) -> dict[str, dict[int, str]]:
    """Rows always; the second axis of sequences, which layers over time tell.

    Args:
        source: Its network is looked through for recurrent layers and attention.
        given: What the file takes; of ``(n, time)`` or ``(n, time, features)`` where the network's
            own inputs are sequences.
    """
    kinds = (nn.RNNBase, nn.MultiheadAttention, nn.TransformerEncoderLayer)
    over_time = any(isinstance(module, kinds) for module in source.model.modules())
    own = over_time and set(given) == set(source.inputs)
    return {
        name: {0: "batch", 1: "time"} if own and value.ndim in (2, 3) else {0: "batch"}
        for name, value in given.items()
    }


def time_axes(written: ModelFile, axes: Axes) -> dict[str, int]:
    """Where time may change in the file."""
    return {
        name: place
        for name, changing in axes.items()
        for place, axis in changing.items()
        if axis == "time" and isinstance(written.inputs[name][place], str)
    }


def _judge(written: ModelFile, found: Agreement, axes: Axes, limit: float) -> None:
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
