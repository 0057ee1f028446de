"""Data of the caller's as batches: read once, checked, copied, and cut to the memory budget."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from math import ceil
from typing import Any

from torch import Tensor

from ...results import wrong, wrong_type
from ..model._example import Example, mapped
from ..model._functional_model import FunctionalModel
from ..model._parameters import Parameters, moving
from ..model._random import random_states_kept
from ..per_example._examples import Examples, slices
from ._batches import Batch, FirstExamples
from ._losses import TARGETS, Criterion

KEPT = 6  # copies of every state that a kept graph of tangents and one of gradients hold, about


def batches(
    network: FunctionalModel,
    data: Any,
    judged: Criterion,
    kind: str,
    params: str | None,
    budget: int,
) -> list[Batch]:
    """The data, all checked, as batches whose derivatives are kept where the budget allows."""
    at = moving(network, params)
    network = at.network
    held, counts = [], []
    with random_states_kept(network.device):  # a loader in random order draws
        for x, y in _pairs(data):
            example = network.example(x, batch=True)
            counts.append(len(example.leaves[0]))
            held.append((example, _targets(network, y, counts[-1])))
    if not held:
        way_out = "pass a list or a loader that can be read again"
        raise wrong("data", "hold at least one batch", "an empty iterable", way_out)
    seen = counts[0] if network.batch_statistics else 1  # with these no example stands alone
    sizes = [place.size / seen for place in network.stages(held[0][0].rows(0, seen).tree, seen)]
    each = ceil(KEPT * sum(sizes) * at.flat.itemsize)
    room = budget - budget // 4
    keep = each * sum(counts) <= room
    rows = max(1, (room if keep else budget // 4) // each)
    if rows < max(counts) and _mixes(at, held[counts.index(max(counts))][0], rows):
        rows = max(counts)  # a part of a batch would be another function
    tried = FirstExamples(at, held[0][0].rows(0, min(rows, counts[0])), budget // 4)
    parts: list[Batch] = []
    for of, (example, y) in enumerate(held):
        for here in slices(counts[of], rows):
            some = mapped(y, partial(_some, here, counts[of]))
            few = Examples(at, example.rows(here.start, here.stop), budget, each)
            widest = ceil(max(sizes)) * len(few.z)
            parts.append(Batch(few, some, judged, kind, tried, widest, keep, of, not parts))
    return parts


def _mixes(at: Parameters, example: Example, rows: int) -> bool:
    few = example.rows(0, max(2, rows))
    return at.network.batch_statistics or Examples(at, few, 0, 0).mixes()


def _some(here: slice, count: int, target: Tensor) -> Tensor:
    """The targets of some examples; what is not for each of them stays whole."""
    return target[here] if target.ndim and len(target) == count else target


def _pairs(data: Any) -> Iterator[tuple[Any, Any]]:
    """``(x, y)`` alone, or an iterable of such pairs; ``x`` may be a pair of inputs itself."""
    two = isinstance(data, (tuple, list)) and len(data) == 2
    if two and (isinstance(data[1], Tensor) or not _is_pair(data[0])):
        yield _pair(data)
        return
    if isinstance(data, Tensor) or not isinstance(data, Iterable):
        got = type(data).__name__
        raise wrong_type("data", "be (x, y) or batches of (x, y)", got, "pass (x, y)")
    for batch in data:
        yield _pair(batch)


def _is_pair(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and len(value) == 2 and isinstance(value[1], Tensor)


def _pair(batch: Any) -> tuple[Any, Any]:
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        got = f"{len(batch)} parts" if isinstance(batch, (tuple, list)) else type(batch).__name__
        way_out = "pass [(x, y) for x, y, *_ in loader]"
        if isinstance(batch, Mapping):
            way_out = "pass [(batch['x'], batch['y']) for batch in loader], with its own keys"
        raise wrong("a batch", "be a pair (x, y)", got, way_out)
    return batch[0], batch[1]


def _targets(network: FunctionalModel, y: Any, n: int) -> Any:
    if isinstance(y, Tensor) and (y.ndim == 0 or len(y) != n):
        way_out = "pass one target for each example"
        raise wrong(TARGETS, f"be {n} like the examples", tuple(y.shape), way_out)
    return mapped(y, lambda target: target.detach().to(network.device, copy=True))
