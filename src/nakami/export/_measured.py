"""Time of a call and right answers of exported files."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import torch

from nakami.training import one_thread

from ._formats import Format
from ._int8 import Accuracy, Int8, accuracy
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
    labels, batch = labels[small.calibrated :], min(BATCH, written.most_rows or BATCH)
    if not len(labels):
        return None
    found = []
    for file in (written, replace(written, path=written.path.with_name(small.file))):
        runs, n = form.runs(file), len(source.examples)
        starts = range(small.calibrated, n, batch)
        parts = [runs(rows(given.inputs, slice(i, min(i + batch, n)))) for i in starts]
        found.append(np.concatenate([part[0] for part in parts]))
    return accuracy(found[0], found[1], labels.numpy())
