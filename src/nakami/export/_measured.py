"""Time of a call and right answers of exported files."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from nakami.training import one_thread

from ._formats import Format
from ._int8 import Accuracy, Int8, NumberChange, accuracy
from ._latency import Latency, latencies
from ._model_file import ModelFile, called, rows
from ._raw import RawInputs
from ._source import Source

SIZES = (1, 32)
BATCH = 100


def latency(
    given: RawInputs, written: ModelFile, small: Int8 | None, form: Format
) -> dict[int, dict[str, Latency]]:
    """Of each batch size, of the runtime, ``int8`` there, ``torch``; preparation included."""
    found, files = {}, {form.runtime: written}
    if small is not None and small.quantised:
        files["int8"] = replace(written, path=written.path.with_name(small.file))
    runs = {name: form.runs(file) for name, file in files.items()}
    n = len(next(iter(given.inputs.values())))
    with one_thread():
        for size in [s for s in SIZES if s <= (written.most_rows or s)]:
            part = rows(given.inputs, torch.arange(size) % n)
            calls = {name: partial(each, part) for name, each in runs.items()}
            calls["torch"] = partial(called, given.model, part)
            found[size] = latencies(calls)
    return found


def right_answers(
    source: Source, given: RawInputs, written: ModelFile, small: Int8 | None, form: Format
) -> Accuracy | None:
    """Of both files, on what set no ranges; None without labels, or if nothing was quantised."""
    labels = source.examples.labels
    if small is None or not small.quantised or labels is None or labels.ndim != 1:
        return None
    if labels.is_floating_point() or len(next(iter(written.outputs.values()))) != 2:
        return None
    if small.calibrated >= len(labels):
        return None
    found = _both(given, written, small, form)
    return accuracy(found[0], found[1], labels[small.calibrated :].numpy())


def number_change(
    source: Source, given: RawInputs, written: ModelFile, small: Int8 | None, form: Format
) -> NumberChange | None:
    """Of the same rows; None where no number of a column comes out, or nothing was quantised."""
    if source.examples.target is None or small is None or not small.quantised:
        return None
    if small.calibrated >= len(source.examples):
        return None
    before, after = _both(given, written, small, form)
    off = after.astype(np.float64) - before
    return NumberChange(float((off**2).mean() ** 0.5), float(np.abs(off).max()), len(off))


def _both(
    given: RawInputs, written: ModelFile, small: Int8, form: Format
) -> list[npt.NDArray[Any]]:
    """First outputs of both files, of rows that set no ranges."""
    found, batch = [], min(BATCH, written.most_rows or BATCH)
    n = len(next(iter(given.inputs.values())))
    for file in (written, replace(written, path=written.path.with_name(small.file))):
        runs, starts = form.runs(file), range(small.calibrated, n, batch)
        parts = [runs(rows(given.inputs, slice(i, min(i + batch, n)))) for i in starts]
        found.append(np.concatenate([part[0] for part in parts]))
    return found
