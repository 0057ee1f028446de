"""Data of the caller's as batches: read once, checked, copied, and cut to the memory budget."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from math import ceil
from typing import Any

import torch
from torch import Tensor

from ...results import UsageError, warn, wrong
from ...spectra import check_entries
from ..autodiff._memory import give_back_memory
from ..model._checks import FAILURES
from ..model._example import Example, as_tensors, leaves_of, mapped, some_rows
from ..model._failures import INPUT
from ..model._functional_model import FunctionalModel
from ..model._parameters import Parameters, moving
from ..model._random import random_states_kept
from ..per_example._examples import Examples, slices
from ..per_example._independence import apart, marked
from ..per_example._layer_io import modules_of
from ._batches import KEPT, Batch
from ._criterion import TARGETS, Criterion
from ._first_examples import TRIED, FirstExamples
from ._forms import check_tensors, pairs
from ._losses import CrossEntropy
from ._outputs import Formed, classes_last, of_sequences, one_output
from ._own_loss import ModelsLoss

SLICE = 32 << 20  # bytes of states that a product runs through at a time, on a CPU
OUTWEIGH = 4  # times the parameters' size is what states have to reach for that
CHANCE = 1e-4  # targets that agree with tokens are copies where chance makes them so more rarely
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
    network = network.with_reader(judged.reader(network))
    held: list[tuple[Example, Any]] = []
    inside = 0
    with random_states_kept(network.device):  # a loader in random order draws
        for x, y in pairs(data, network.target, whole=isinstance(judged, ModelsLoss)):
            example = network.example(x, batch=True)
            inside = inside_of(x, y, network.target) if not held else inside
            y = targets_of(network, y)
            if judged.key and isinstance(y, Tensor) and y.ndim == 0:
                y = y[None]  # as the output, see ``one_row``
            held.append((example, y))
    if not held:
        way_out = "pass a list or a loader that can be read again"
        raise wrong("data", "hold at least one batch", "an empty iterable", way_out)
    at = moving(network, params)
    try:
        parts = _parts(at, held, judged, kind, budget, inside)
        give_back_memory(at.flat.device, sum(part.graphs(keep=True) for part in parts))
        return parts
    except UsageError as error:
        if not judged.failed_on_outputs(error):
            raise
        one = Parameters(at.network.with_reader(one_output), at.weights)
        with suppress(Exception):  # of one tensor in place of all outputs
            return _parts(one, held, judged, kind, budget, inside)
        raise


def _parts(
    at: Parameters,
    held: list[tuple[Example, Any]],
    judged: Criterion,
    kind: str,
    budget: int,
    inside: int,
) -> list[Batch]:
    """The batches of ``batches``, their outputs read as ``at`` reads them."""
    try:
        few, sizes = _tried(at.network, held[0][0])
    except UsageError as error:
        if error.argument != INPUT or not isinstance(judged, ModelsLoss):
            raise
        way_out = 'pass a loss of (outputs, targets), as "cross_entropy"'
        rule = "be given for a model that takes inputs without targets"
        raise wrong("loss", rule, "None", way_out) from error
    if isinstance(judged, CrossEntropy):
        warn_of_copies(*held[0], inside)
        at, held = _classes_first(at, few, held)
    states = sum(sizes) * at.flat.itemsize
    each = ceil(KEPT * states)
    room = budget - budget // 4
    keep = each * sum(example.count for example, _ in held) <= room
    rows = max(1, (room if keep else budget // 4) // each)
    if few is not held[0][0] and not at.network.batch_statistics:
        few = few.rows(0, rows)
    tried = FirstExamples(at, few, budget // 4)
    parts: list[Batch] = []
    cuts = [
        _cut(at, example, min(rows, _few_enough(at, example.count, states)), budget, each)
        for example, _ in held
    ]
    with random_states_kept(at.network.device):  # a loss may draw, too
        wholes = [
            (_outputs(cut), _formed(cut[0][1], y)) for cut, (_, y) in zip(cuts, held, strict=True)
        ]
        for (example, y), (z, _) in zip(held, wholes, strict=True):
            check_count(y, z, example.count)
        losses = judged.of_batches(wholes, [example.count for example, _ in held])
        for of, (cut, whole, loss) in enumerate(zip(cuts, wholes, losses, strict=True)):
            pieces = _weighed(loss, whole, cut)
            if pieces is None:  # the loss compares examples
                one = Examples(at, held[of][0], budget, each)
                pieces = [(one, _formed(one, held[of][1]), loss)]
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


def _formed(examples: Examples, y: Any) -> Any:
    return y if examples.form is None else Formed(examples.form, y)


def _outputs(cut: Cut) -> Tensor:
    return torch.cat([part.z for _, part in cut]) if len(cut) > 1 else cut[0][1].z


def _tried(network: FunctionalModel, example: Example) -> tuple[Example, list[float]]:
    """Some examples that the network takes alone, and the numbers of its states for each example.

    All of them where it does not take few: a graph. A network that normalises over the batch takes
    ``TRIED`` together, else one.
    """
    seen = example.count
    if example.sliceable and seen > 1:
        few = example.rows(0, min(TRIED, seen))
        with suppress(UsageError):
            if network.batch_statistics:
                return few, [p.size / few.count for p in network.stages(few.tree, few.count)]
            return few, [float(p.size) for p in network.stages(example.rows(0, 1).tree)]
    return example, [p.size / seen for p in network.stages(example.tree, seen)]


def _few_enough(at: Parameters, count: int, states: float) -> int:
    """How many of ``count`` examples a product runs through at a time: memory at no time's cost.

    ``states``: Bytes of the states of one example. All where these are not most of what a product
    holds (each piece adds a gradient by all parameters), and on a GPU, which wants much at a time.
    """
    if at.flat.device.type != "cpu" or states * count <= OUTWEIGH * at.flat.nbytes:
        return count
    return ceil(count / ceil(states * count / SLICE))


def _cut(at: Parameters, example: Example, rows: int, budget: int, each: int) -> Cut:
    """The examples in pieces of some rows; in one piece where a part would be another function."""
    if rows < example.count and example.sliceable and not at.network.batch_statistics:
        with suppress(*FAILURES, ValueError, IndexError):  # it takes no other number of rows
            cut = _pieces(at, example, rows, budget, each)
            if cut is not None:
                return cut
    with marked(at.network, modules_of(at.names), example.count) as marks:
        whole = Examples(at, example, budget, each)
    whole.marks = marks
    return [(slice(0, example.count), whole)]


def _pieces(at: Parameters, example: Example, rows: int, budget: int, each: int) -> Cut | None:
    """The examples in pieces; None where examples see each other, or outputs have other rows."""
    cut: Cut = []
    marks: list[dict[str, Tensor]] = []
    for here in slices(example.count, rows):
        some = example.pick(here)
        with marked(at.network, modules_of(at.names), some.count) as seen:
            cut.append((here, Examples(at, some, budget, each)))
        marks.append(seen)
    names = set.intersection(*map(set, marks))
    inside = {name: torch.cat([seen[name] for seen in marks]) for name in names}
    if not all(part.separable for _, part in cut):
        return None
    other = rows // 2 if rows > 3 else rows + 1  # another number, and no more memory
    own = apart(at.network, example, (_outputs(cut), inside), other)
    for _, part in cut:
        part.own = own
    return None if own is None else cut


def _classes_first(
    at: Parameters, few: Example, held: list[tuple[Example, Any]]
) -> tuple[Parameters, list[tuple[Example, Any]]]:
    """Logits of sequences with the classes on axis 1, and a class for each token, where needed."""
    (first, y), network = held[0], at.network
    with torch.no_grad():
        z = network.run(few.tree)
    if not classes_are_last(z, y, few.count, first.count, network.select is not None):
        return at, held
    held = [(example, by_row(y, z, example.count)) for example, y in held]
    return Parameters(network.with_reader(classes_last), at.weights), held


def classes_are_last(z: Tensor, y: Any, rows: int, count: int, selected: bool) -> bool:
    """Whether logits ``z`` of some ``rows`` have their classes last; warns where either may be.

    ``y``: targets of all ``count`` examples. selected: whether the caller chose the output.
    """
    if of_sequences(z, y, rows, count):
        return True
    square = isinstance(y, Tensor) and y.ndim > 1 and z.shape[2:] == z.shape[1:-1]
    if square and y.shape[1:] == z.shape[2:] and not selected:
        warn(
            f"outputs of shape {tuple(z.shape)} may have their classes on axis 1 or on the "
            "last; axis 1 is taken, as in torch; where they are last, pass nakami.View(model, "
            "select=lambda out: out.movedim(-1, 1))."
        )
    return False


def by_row(y: Tensor, z: Tensor, count: int) -> Tensor:
    """One class for each token in the shape of logits ``z``, whose classes are last."""
    return y.reshape(count, *(z.shape[1:-1] if z.ndim > 3 else (-1,)))


def check_count(y: Any, z: Tensor, n: int) -> None:
    """Refuse targets of another number than of examples, where outputs have a row for each.

    A network may return another number of rows (graphs for nodes, sequences for steps in time).
    """
    if isinstance(y, Tensor) and z.ndim and len(z) == n and (y.ndim == 0 or len(y) % n):
        way_out = "pass one target for each example"
        raise wrong(TARGETS, f"be {n} like the examples", tuple(y.shape), way_out)


def inside_of(x: Any, y: Any, target: Any) -> int:
    """How often the inputs hold the targets themselves: batch objects are passed on whole."""
    if not callable(target) and isinstance(x, (Mapping, tuple, list, Tensor)):
        return 0
    return sum(leaf is y for leaf in leaves_of(x))


def warn_of_copies(example: Example, y: Any, inside: int) -> None:
    """Labels as language models take them for their own loss, which shifts them, are no targets.

    ``inside``: How many leaves of the inputs are the targets themselves.
    """
    if not isinstance(y, Tensor) or y.ndim < 2 or y.is_floating_point():
        return
    counted = y >= 0
    alike = (x for x in example.leaves if x.shape == y.shape and not x.is_floating_point())
    if sum(bool((x == y)[counted].all()) for x in alike) <= inside:
        return
    shares = torch.unique(y[counted], return_counts=True)[1] / counted.sum()
    if float(shares.square().sum()) ** int(counted.sum()) < CHANCE:
        warn(
            "the targets are the tokens of the input, each at its own place, so that the loss asks "
            "for copies; a model of the next token takes {data}=[(ids[:, :-1], ids[:, 1:])] (its "
            "own loss shifts the labels inside)."
        )


def targets_of(network: FunctionalModel, y: Any) -> Any:
    check_tensors(TARGETS, y)
    y = as_tensors(y, TARGETS)
    for leaf in leaves_of(y):
        if leaf.is_nested:
            check_entries(TARGETS, leaf)
    return mapped(y, lambda target: target.detach().to(network.device, copy=True))
