"""Averaged Jacobians of a network as a run on disk, which goes on where it was stopped."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from os import PathLike
from typing import Any

import numpy as np
import torch
from torch import nn

from ..data import described
from ..operators import DETACHED, View
from ..results import (
    Direction,
    LensFolder,
    LensRun,
    Progress,
    Work,
    check_budget,
    check_callable,
    plain,
    told,
    versions,
    wrong,
    wrong_type,
)
from ..spectra import without_autocast
from ._jackknife import Array, Running
from ._lens import LensOptions, reading_of
from ._lens_reading import AUTO, Reading, largest, most_groups, width_of
from ._prompts import Prompt, fingerprint_of, prompts

SHOWN, LEADING = 6, 4  # words at each end of a direction, and directions
Words = tuple[Any, Sequence[str]]
DEFAULT = LensOptions()


@told
@without_autocast
def lens_run(
    model: nn.Module | View,
    data: Any,
    out: str | PathLike[str],
    stage: str | Sequence[str] = AUTO,
    to: str | None = None,
    *,
    options: LensOptions = DEFAULT,
    words: Words | None = None,
    about: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> LensRun:
    """The averaged Jacobians of ``nakami.lens`` as a run on disk, with a page.

    Prompts are read in groups of equal size, at most 64 and as many as ``options.memory_budget``
    takes; each is kept as it is done. A run that was stopped and started again gives the same bits
    as one that was not, and the numbers are those of ``nakami.lens`` up to rounding.

    Args:
        model: As for ``nakami.lens``.
        data: Likewise; all prompts are looked at before the first is read.
        out: Folder of the run. A folder that holds the same run, unfinished, is continued.
        stage: As for ``nakami.lens``; default all blocks but the last.
        to: As for ``nakami.lens``.
        options: Likewise, in one object; of its ``n`` prompts those without a position that counts
            are passed over.
        words: ``(matrix, vocabulary)`` as ``Lens.words`` takes them: what the leading left
            directions write is kept with the run, and its page shows it.
        about: More to keep in ``run.json`` (``subject``, ``training``, ``data``), used by the page.
        progress: ``progress(done, total, seconds_left, what)``, called after each group.

    Raises:
        UsageError: As ``nakami.lens``; or other settings than those of the run in the folder.

    Cost: as ``nakami.lens``. Disk: 16 bytes for each entry of each matrix and group, at 64 prompts
    and 11 stages of width 768 about 2 GB.
    """
    check_callable("progress", progress, "progress(done, total, seconds_left, what)")
    if about is not None and not isinstance(about, Mapping):
        raise wrong_type("about", "be a mapping", repr(about), "write about={'note': ...}")
    reading = reading_of(model, stage, to, options)
    found = list(islice(prompts(reading.network, data, options.mask), options.n))
    if not found:
        raise wrong("data", "hold at least one prompt", "none", "pass prompts along axis 0")
    plan = _planned(reading, found)
    if words is not None:
        words = _checked(words, plan.shapes[0][0])
    folder = LensFolder(out, _settings(plan, words, about))
    if not all(map(folder.has_lens, reading.names)):
        _read(plan, folder, progress)
        _write_lenses(plan, folder, words)
    return folder.finish()


@dataclass
class _Plan:
    """What is read.

    Attributes:
        reading: Settled at the first prompt. found: the prompts. size: of a group.
        shapes: Of the matrix of each stage. errors: prompts and error after each group, by stage.
    """

    reading: Reading
    found: list[Prompt]
    size: int
    shapes: list[tuple[int, int]]
    errors: dict[str, list[tuple[int, float]]] = field(default_factory=dict)

    @property
    def groups(self) -> int:
        """How many groups there are."""
        return -(-len(self.found) // self.size)

    def group(self, i: int) -> list[Prompt]:
        """The prompts of one group."""
        return self.found[i * self.size : (i + 1) * self.size]


def _planned(reading: Reading, found: list[Prompt]) -> _Plan:
    reading.prepare(found[0])
    assert reading.to is not None
    places, axis = reading.network.stages(found[0].example), reading.axis
    end = width_of(places.find(reading.to).shape, axis)
    shapes = [(end, width_of(places.find(name).shape, axis)) for name in reading.names]
    most = most_groups(reading.budget, len(shapes), 8 * max(m * d for m, d in shapes))
    reading.running = {name: Running(most) for name in reading.names}
    return _Plan(reading, found, -(-len(found) // most), shapes)


def _read(plan: _Plan, folder: LensFolder, progress: Progress | None) -> None:
    """Every group, from the folder where it is done."""
    names = plan.reading.names
    there = [all(folder.has(i, name) for name in names) for i in range(plan.groups)]
    work = Work([""] * there.count(False), progress, before=there.count(True))
    for i, done in enumerate(there):
        if not done:
            _write_group(plan, folder, i)
            work.done(f"group {i + 1} of {plan.groups}")
        _join(plan, folder, i)
        if plan.reading.within:
            return


def _write_group(plan: _Plan, folder: LensFolder, i: int) -> None:
    """Read one group of prompts; depends on nothing but these."""
    began, reading = time.perf_counter(), plan.reading
    checked, before = bool(reading.checks), (reading.n_positions, reading.passed_over)
    reading.seen = i * plan.size
    parts = {name: Running(1) for name in reading.names}
    for prompt in plan.group(i):
        for name, matrix in reading.matrices(prompt).items():
            parts[name].add(matrix, largest(matrix))
    counts = {
        "n_positions": reading.n_positions - before[0],
        "passed_over": reading.passed_over - before[1],
    }
    reading.n_positions, reading.passed_over = before
    seconds = (time.perf_counter() - began) / len(parts)
    for name, part in parts.items():
        check = {} if checked or not reading.checks else {"check": plain(reading.checks[name])}
        record = {"count": part.count, "largest": sum(part.numbers), **counts, **check}
        arrays = {"mean": part.mean, "squares": part.squares}
        folder.write(i, name, record, arrays, seconds)


def _join(plan: _Plan, folder: LensFolder, i: int) -> None:
    """Take a group into the means."""
    reading = plan.reading
    for prompt in plan.group(i):
        reading.read(prompt)
    for name, running in reading.running.items():
        piece = folder.read(i, name)
        record, arrays = piece.record, piece.arrays
        if "check" in record:
            gap, route, residual = record["check"]
            reading.checks[name] = (gap, route, math.nan if residual is None else residual)
        if record["count"]:
            running.join(arrays["mean"], arrays["squares"], record["count"], record["largest"])
        plan.errors.setdefault(name, []).append((running.count, running.error))
    reading.n_positions += record["n_positions"]
    reading.passed_over += record["passed_over"]


def _write_lenses(plan: _Plan, folder: LensFolder, words: Words | None) -> None:
    plan.reading.check_read()
    for name in plan.reading.names:
        if folder.has_lens(name):
            continue
        began = time.perf_counter()
        lens = plan.reading.lens(name)
        found: tuple[Direction, ...] = ()
        if words is not None:
            matrix, vocabulary = words
            most = min(SHOWN, len(vocabulary))
            found = lens.words(matrix, vocabulary, most, n=min(LEADING, len(lens.values)))
        errors = np.array(plan.errors[name])
        folder.write_lens(lens, errors, found, time.perf_counter() - began)


def _checked(words: Any, width: int) -> Words:
    """The matrix as an array, and the vocabulary."""
    rule = f"be a matrix with a row of {width} for each word, and the words"
    way_out = "pass (model.head.weight, vocabulary)"
    if not isinstance(words, tuple) or len(words) != 2 or not isinstance(words[1], Sequence):
        raise wrong_type("words", rule, type(words).__name__, way_out)
    matrix: Array = torch.as_tensor(words[0]).detach().cpu().double().numpy()
    vocabulary = [str(word) for word in words[1]]
    if matrix.shape != (len(vocabulary), width):
        got = f"{matrix.shape} with {len(vocabulary)} words"
        raise wrong("words", rule, got, way_out)
    return matrix, vocabulary


def _settings(plan: _Plan, words: Words | None, about: Mapping[str, Any] | None) -> dict[str, Any]:
    reading, more = plan.reading, dict(about or {})
    network, here = reading.network, reading.positions
    named = zip(reading.names, plan.shapes, strict=True)
    return {
        "subject": more.pop("subject", "network"),
        "model": {**described(network.model), **more.pop("model", {})},
        "inputs_sha256": fingerprint_of(plan.found),
        "n_inputs": len(plan.found),
        "stages": [{"name": name, "shape": list(shape)} for name, shape in named],
        "to": reading.to,
        "positions": [here.start, here.stop, here.step],
        "axis": reading.axis,
        **({"derivative": DETACHED} if network.derivative == DETACHED else {}),
        "error": reading.wanted,
        "groups": plan.groups,
        "group_size": plan.size,
        "words": None if words is None else _of_words(words),
        "dtype": str(network.dtype or torch.get_default_dtype()).removeprefix("torch."),
        "device": network.device.type,
        "memory_budget": check_budget(reading.budget),
        "threads": torch.get_num_threads(),
        "versions": versions(),
        **more,
    }


def _of_words(words: Words) -> dict[str, Any]:
    matrix, vocabulary = words
    text = hashlib.sha256("\0".join(vocabulary).encode() + matrix.tobytes())
    return {"count": len(vocabulary), "sha256": text.hexdigest()}
