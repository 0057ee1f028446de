"""One language for depth in layers, in time and in structure: spectra after t units of depth."""

from __future__ import annotations

import copy
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from _wide import digits, mean_error
from torch import Tensor, nn

from nakami import jacobian, svd
from nakami.recurrent import StateMap, spectra_over_time
from nakami.results import NotConvergedWarning, SpectraOverTime
from nakami.zoo.recursive import RecursiveNet

DEPTHS, SPAN = (1, 2, 3, 4, 6, 8, 12, 16), 8  # where spectra are read; units that a rate is over
LEFT, QUANTILES = 0.1, 11  # share of the largest value that counts as kept; of a spectrum


@dataclass(frozen=True)
class Input:
    """What is read at one input.

    Attributes:
        values: Singular values of the Jacobian by depth, largest first.
        floors: Smallest value told from zero, likewise.
        words: Words of its sentence, 0 where there is none.
    """

    values: dict[int, np.ndarray] = field(default_factory=dict)
    floors: dict[int, float] = field(default_factory=dict)
    words: int = 0

    @property
    def end(self) -> int:
        """The greatest depth."""
        return max(self.values)


def logs(one: Input, depth: int) -> np.ndarray:
    """``ln s`` of the values above the floor, rising index as the values."""
    values = one.values[depth]
    return np.log(values[values > one.floors[depth]])


def kept(values: np.ndarray) -> int:
    """How many values lie above a tenth of the largest."""
    return int((values > LEFT * values[0]).sum())


def effective_rank(values: np.ndarray) -> float:
    """``(sum s^2)^2 / sum s^4``."""
    squares = (values / values[0]) ** 2
    return float(squares.sum() ** 2 / (squares**2).sum())


def through(model: Any, x: Any, stages: Sequence[str], start: str | None = None) -> Input:
    """Spectra from a state to stages 1, 2, ... units of depth later, of one example.

    Args:
        model: A network in float64, or a view of one.
        x: One example with its batch axis.
        stages: One for each unit of depth.
        start: The state; None: the input.
    """
    found, last = Input(), len(stages)
    chosen = {stages[t - 1]: t for t in {*DEPTHS, last} if t <= last}
    names = [name for name in stages if name in chosen]
    rows = jacobian(model, x, to=names, start=start)
    for name, matrix in rows.by_stage(rows.dense()).items():
        with warnings.catch_warnings():  # values below the floor do not settle, and are left out
            warnings.simplefilter("ignore", NotConvergedWarning)
            spectrum = svd(matrix.contiguous(), min(matrix.shape), vectors=False)
        found.values[chosen[name]] = spectrum.values.numpy()
        found.floors[chosen[name]] = float(spectrum.floor)
    return found


def at_layers(model: Any, inputs: Sequence[Any], stages: Sequence[str]) -> list[Input]:
    """From the first stage to each later one, at each input."""
    return [through(model, x, stages[1:], stages[0]) for x in inputs]


def up_trees(net: RecursiveNet, trees: Tensor, words: Sequence[int]) -> list[Input]:
    """From one word of each tree to its ancestors.

    Args:
        net: The network.
        trees: ``(N, nodes, 4)``.
        words: The word's place in its sentence, for each tree.
    """
    net = copy.deepcopy(net).double().eval()
    out = []
    for tree, word in zip(trees, words, strict=True):
        leaves = (tree[:, 3] == 0).nonzero()[:, 0]
        node = int(leaves[word])
        way = net.up(tree, node)
        vector = net.vectors(tree[None])[:, node].detach()
        found = through(way, vector, [name for name, _ in way.named_children()][:-1])
        out.append(Input(found.values, found.floors, len(leaves)))
    return out


def over_time(net: Any, inputs: Tensor, start: Tensor | None = None) -> list[Input]:
    """From the state before the first step to those after, by sequence ``(N, T, I)``."""
    steps = [t for t in DEPTHS if t <= inputs.shape[1]]
    return of_source(spectra_over_time(net, inputs, steps, start=start), "state")


def of_source(found: SpectraOverTime, source: str, words: Sequence[int] = ()) -> list[Input]:
    """Spectra over time by sequence."""
    by = ("state", "first input", "inputs").index(source)
    rows, out = found.of(source), []
    for i, row in enumerate(rows):
        one = Input(words=words[i] if words else 0)
        for t, values, floor in zip(found.steps.tolist(), row, found.floors[by, i], strict=True):
            one.values[t] = values[np.isfinite(values)]
            one.floors[t] = float(floor)
        out.append(one)
    return out


def to_the_end(layer: nn.RNNBase, inputs: Sequence[Tensor], words: Sequence[int]) -> list[Input]:
    """From one word of each sentence, given as vectors ``(T, I)``, to the state after the last."""
    rule, out = StateMap(layer), dict[int, Input]()
    groups = defaultdict[int, list[int]](list)
    for i, (x, word) in enumerate(zip(inputs, words, strict=True)):
        groups[len(x) - word].append(i)
    for length, members in groups.items():
        starts = torch.stack([rule.run(inputs[i])[0, words[i]] for i in members])
        rest = torch.stack([inputs[i][words[i] :] for i in members])
        steps = sorted({t for t in DEPTHS if t < length} | {length})
        found = spectra_over_time(rule, rest, steps, start=starts)
        lengths = [len(inputs[i]) for i in members]
        out |= dict(zip(members, of_source(found, "first input", lengths), strict=True))
    return [out[i] for i in range(len(inputs))]


def figures(inputs: Sequence[Input], others: Sequence[Input]) -> dict[str, Any]:
    """What is kept of a reading: means with standard errors over inputs, and a few numbers of each.

    Args:
        inputs: The reading.
        others: That of the network beside it, at the same inputs.

    Returns:
        ``curves``: by depth the inputs, then pairs of values kept, effective rank, ``ln s_1``.
        ``span``: the greatest depth up to ``SPAN``; what follows is of inputs that go so far.
        ``rates``: of each ``ln s_1`` a unit between depths 1 and span. ``first``, ``flat``: of each
        ``|ln s_1| / span`` and the mean ``|ln s_i| / span`` at depth span, over values that lie
        above the floor in both networks; ``counts``: how many do in this one. ``spectrum``: ``ln
        s_i / span`` at quantiles of i, None below the floor of an input. ``bends``: slope and
        quadratic term of ``ln s_1`` over depth, pairs. ``ends``: of each input, of any depth, its
        last one: depth, words, ``ln s_1``, values kept, effective rank.
    """
    deepest = max(one.end for one in inputs)
    span = max(t for t in DEPTHS if t <= min(SPAN, deepest))
    deep = [i for i, one in enumerate(inputs) if span in one.values]
    common = [min(len(logs(some[i], span)) for some in (inputs, others)) for i in deep]
    far = [inputs[i] for i in deep]
    exponents = [logs(one, span) / span for one in far]
    fits = [np.polyfit(*curve(one), 2) for one in far if len(one.values) > 3]
    lines = [np.polyfit(*curve(one), 1) for one in far]
    return {
        "curves": {str(t): at_depth(inputs, t) for t in DEPTHS if t <= deepest},
        "span": span,
        "rates": [rounded(rate(one, span)) for one in far],
        "first": [rounded(abs(e[0])) for e in exponents],
        "flat": [rounded(np.abs(e[:n]).mean()) for e, n in zip(exponents, common, strict=True)],
        "counts": pair([len(e) for e in exponents]),
        "spectrum": list(quantiles(exponents, len(far[0].values[span]))),
        "bends": [pair([row[0] for row in some]) for some in (lines, fits)],
        "ends": [of_end(one) for one in inputs],
    }


def rate(one: Input, span: int) -> float:
    """``ln s_1`` a unit of depth, between the first and the last of a span."""
    return float((logs(one, span)[0] - logs(one, 1)[0]) / max(1, span - 1))


def curve(one: Input) -> tuple[list[int], list[float]]:
    """Depths and ``ln s_1`` there."""
    depths = sorted(t for t in one.values if len(logs(one, t)))
    return depths, [float(logs(one, t)[0]) for t in depths]


def quantiles(exponents: Sequence[np.ndarray], size: int) -> Iterator[list[float] | None]:
    """Means at evenly spread indices of ``size`` values; None where an input has none there."""
    for i in np.linspace(0, size - 1, QUANTILES).round().astype(int):
        yield pair([e[i] for e in exponents]) if all(len(e) > i for e in exponents) else None


def at_depth(inputs: Sequence[Input], depth: int) -> list[Any]:
    """How many inputs go so deep; values kept, effective rank and ``ln s_1`` there."""
    there = [one for one in inputs if depth in one.values and len(logs(one, depth))]
    values = [one.values[depth] for one in there]
    sums = (map(kept, values), map(effective_rank, values), (logs(o, depth)[0] for o in there))
    return [len(there), *(pair(list(each)) for each in sums)]


def of_end(one: Input) -> list[float]:
    """Depth, words, ``ln s_1``, values kept, effective rank at the last depth."""
    values, top = one.values[one.end], logs(one, one.end)
    first = rounded(top[0]) if len(top) else None
    return [one.end, one.words, first, kept(values), rounded(effective_rank(values))]


def pair(values: Sequence[float]) -> list[float]:
    """Mean and standard error, to four and two digits."""
    mean, error = mean_error(values)
    return [digits(mean), digits(error, 2)]


def rounded(value: float) -> float:
    """To four digits."""
    return digits(float(value))
