"""How far the numbers of an exported file lie from torch's, on real inputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from ._answer import numbers_of
from ._model_file import Runs, called, flat_outputs, rows
from ._source import Source

Array = npt.NDArray[Any]
EXAMPLES = 1000  # that are compared at most
BATCH = 100


@dataclass(frozen=True)
class Agreement:
    """The numbers of a file beside torch's.

    Attributes:
        absolute: Largest difference of an output component, in units of the output.
        relative: The same over the largest component that torch's network has, or over 1 where all
            are smaller; where the file gives the number of a column, in the network's own unit, as
            a large mean would hide any difference. It is what a limit is put on.
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
    source: Source,
    runs: Runs,
    given: Mapping[str, Tensor],
    time: Mapping[str, int],
    most_rows: int | None = None,
) -> Agreement:
    """Compare at batches of one and of many, and where time may change at two lengths.

    Args:
        source: Network and prepared inputs, which torch gets.
        runs: The file: arrays of the outputs, in torch's order.
        given: What the file gets: the same rows as they were before the preparation that it holds.
        time: Of inputs whose length may change, the axis; both get these.
        most_rows: Largest batch of the file; None: any.
    """
    n, batch = min(EXAMPLES, len(source.examples)), min(BATCH, most_rows or BATCH)
    places = [slice(i, min(i + batch, n)) for i in range(0, n, batch)]
    places += [slice(i, i + 1) for i in range(min(4, n))]
    pairs = [(rows(source.inputs, place), rows(given, place)) for place in places]
    lengths = [given[name].shape[axis] for name, axis in time.items()]
    if lengths and (half := max(1, min(lengths) // 2)) < min(lengths):
        pairs += [(part, part) for _, own in pairs[:2] for part in [_shortened(own, time, half)]]
        lengths.append(half)
    ours = _all(_torch(source.model, part) for part, _ in pairs)
    theirs = _all(runs(part) for _, part in pairs)
    target = source.examples.target
    told = [numbers_of(target, each) for each in ours]
    absolute = max(_largest(a - b) for a, b in zip(told, theirs, strict=True))
    scale = max(1.0, *(_largest(a) for a in ours)) * (target.scale if target else 1)
    same = _same_answers(told, theirs)
    sizes = tuple(sorted({place.stop - place.start for place in places}))
    return Agreement(absolute, absolute / scale, n, sizes, tuple(sorted(set(lengths))), same)


def _torch(model: nn.Module, part: Mapping[str, Tensor]) -> list[Array]:
    return [each.detach().cpu().numpy() for each in flat_outputs(called(model, part))]


def _all(outputs: Iterable[Sequence[Array]]) -> list[Array]:
    return [np.asarray(each, dtype=np.float64) for part in outputs for each in part]


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
