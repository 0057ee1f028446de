"""How far the numbers of an exported file lie from torch's, on real inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from ._onnx import called, flat_outputs, rows

Array = npt.NDArray[Any]
Runs = Callable[[Mapping[str, Tensor]], Sequence[Array]]  # an exported file as a function
EXAMPLES = 1000  # that are compared at most
BATCH = 100


@dataclass(frozen=True)
class Agreement:
    """The numbers of a file beside torch's.

    Attributes:
        absolute: Largest difference of an output component, in units of the output.
        relative: The same over the largest component that torch has, or over 1 where all are
            smaller. It is what a limit is put on.
        examples: How many were compared. batches: sizes of the batches. lengths: of sequences, the
            lengths that were compared; empty: there is no time axis.
        same_answers: Share of the examples whose largest component is the same one; None: outputs
            are not rows.
    """

    absolute: float
    relative: float
    examples: int
    batches: tuple[int, ...]
    lengths: tuple[int, ...]
    same_answers: float | None


def agreement(
    model: nn.Module, runs: Runs, inputs: Mapping[str, Tensor], time: Mapping[str, int]
) -> Agreement:
    """Compare at batches of one and of many, and where time may change at two lengths.

    Args:
        model: In evaluation mode.
        runs: The file: arrays of the outputs, in torch's order.
        inputs: By name, rows first.
        time: Of inputs whose length may change, the axis.
    """
    n = min(EXAMPLES, len(next(iter(inputs.values()))))
    whole = rows(inputs, slice(0, n))
    parts = [rows(whole, slice(i, i + BATCH)) for i in range(0, n, BATCH)]
    parts += [rows(whole, slice(i, i + 1)) for i in range(min(4, n))]
    lengths = [length for name, axis in time.items() for length in [inputs[name].shape[axis]]]
    if lengths and (half := max(1, min(lengths) // 2)) < min(lengths):
        parts += [_shortened(part, time, half) for part in parts[:2]]
        lengths.append(half)
    ours, theirs = _all(parts, lambda part: _torch(model, part)), _all(parts, runs)
    absolute = max(_largest(a - b) for a, b in zip(ours, theirs, strict=True))
    scale = max(1.0, *(_largest(a) for a in ours))
    same = _same_answers(ours, theirs)
    sizes = tuple(sorted({len(next(iter(part.values()))) for part in parts}))
    return Agreement(absolute, absolute / scale, n, sizes, tuple(sorted(set(lengths))), same)


def _torch(model: nn.Module, part: Mapping[str, Tensor]) -> list[Array]:
    return [each.detach().cpu().numpy() for each in flat_outputs(called(model, part))]


def _all(parts: Iterable[Mapping[str, Tensor]], runs: Runs) -> list[Array]:
    return [np.asarray(each, dtype=np.float64) for part in parts for each in runs(part)]


def _shortened(
    part: Mapping[str, Tensor], time: Mapping[str, int], length: int
) -> dict[str, Tensor]:
    return {
        name: value.narrow(time[name], 0, length).contiguous() if name in time else value
        for name, value in part.items()
    }


def _largest(values: Array) -> float:
    """Infinity where a number is none on one side."""
    found = float(np.abs(values).max(initial=0.0))
    return found if np.isfinite(found) else float("inf")


def _same_answers(ours: Sequence[Array], theirs: Sequence[Array]) -> float | None:
    pairs = [(a, b) for a, b in zip(ours, theirs, strict=True) if a.ndim == 2 and a.shape[1] > 1]
    if not pairs:
        return None
    same = [a.argmax(1) == b.argmax(1) for a, b in pairs]
    return float(np.concatenate(same).mean())
