"""Data of the caller's as batches: read once, checked, copied, and cut to the memory budget."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from math import ceil
from typing import Any

import torch
from torch import Tensor

from ...results import UsageError, wrong, wrong_type
from ..model._checks import FAILURES
from ..model._example import Example, mapped, some_rows
from ..model._functional_model import FunctionalModel
from ..model._parameters import Parameters, moving
from ..model._random import random_states_kept
from ..per_example._examples import Examples, slices
from ..per_example._independence import independent
from ._batches import TRIED, Batch, FirstExamples
from ._losses import TARGETS, Criterion

KEPT = 6  # copies of every state that a kept graph of tangents and one of gradients hold, about


Cut = list[tuple[slice, Examples]]  # the pieces of a batch, and where they lie


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
    held = []
    with random_states_kept(at.network.device):  # a loader in random order draws
        for x, y in _pairs(data):
            example = at.network.example(x, batch=True)
            held.append((example, _targets(at.network, y, example.count)))
    if not held:
        way_out = "pass a list or a loader that can be read again"
        raise wrong("data", "hold at least one batch", "an empty iterable", way_out)
    few, sizes = _tried(at.network, held[0][0])
    each = ceil(KEPT * sum(sizes) * at.flat.itemsize)
    room = budget - budget // 4
    keep = each * sum(example.count for example, _ in held) <= room
    rows = max(1, (room if keep else budget // 4) // each)
    few = few if few is held[0][0] else few.rows(0, rows)
    tried = FirstExamples(at, few, budget // 4)
    parts: list[Batch] = []
    cuts = [_cut(at, example, rows, budget, each) for example, _ in held]
    with random_states_kept(at.network.device):  # a loss may draw, too
        wholes = [(_outputs(cut), y) for cut, (_, y) in zip(cuts, held, strict=True)]
        losses = judged.of_batches(wholes, [example.count for example, _ in held])
        for of, (cut, whole, loss) in enumerate(zip(cuts, wholes, losses, strict=True)):
            pieces = _weighed(loss, whole, cut)
            if pieces is None:  # the loss compares examples
                one = Examples(at, held[of][0], budget, each)
                pieces = [(one, whole[1], loss)]
            for some, y, weighed in pieces:
                widest = ceil(max(sizes)) * some.count
                parts.append(Batch(some, y, weighed, kind, tried, widest, keep, of, not parts))
    return parts


def _weighed(
    loss: Criterion, whole: tuple[Tensor, Any], cut: Cut
) -> list[tuple[Examples, Any, Criterion]] | None:
    """The pieces with their targets and the loss as it weighs them; None where it weighs none."""
    (z, y), some = whole, [examples for _, examples in cut]
    if len(cut) == 1:
        return [(some[0], y, loss)]
    count = sum(examples.count for examples in some)
    ys = [some_rows(y, here, count) for here, _ in cut]
    found = loss.of_parts((z, y), [(part.z, few) for part, few in zip(some, ys, strict=True)])
    return None if found is None else list(zip(some, ys, found, strict=True))


def _outputs(cut: Cut) -> Tensor:
    return torch.cat([part.z for _, part in cut]) if len(cut) > 1 else cut[0][1].z


def _tried(network: FunctionalModel, example: Example) -> tuple[Example, list[float]]:
    """Some examples that the network takes alone, and the numbers of its states for each example.

    All of them where it does not take one: a network that normalises over the batch, a graph.
    """
    seen = example.count
    if example.sliceable and seen > 1 and not network.batch_statistics:
        with suppress(UsageError):
            places = network.stages(example.rows(0, 1).tree)
            return example.rows(0, min(TRIED, seen)), [float(p.size) for p in places]
    return example, [p.size / seen for p in network.stages(example.tree, seen)]


def _cut(at: Parameters, example: Example, rows: int, budget: int, each: int) -> Cut:
    """The examples in pieces of some rows; in one piece where a part would be another function."""
    if rows < example.count and example.sliceable and not at.network.batch_statistics:
        with suppress(*FAILURES, ValueError, IndexError):  # it takes no other number of rows
            places = list(slices(example.count, rows))
            cut = [(here, Examples(at, example.pick(here), budget, each)) for here in places]
            alike = all(part.separable for _, part in cut)
            if alike and independent(at.network, example, _outputs(cut), rows):
                return cut
    return [(slice(0, example.count), Examples(at, example, budget, each))]


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
