"""How signals and gradients pass through the layers of a network at a batch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...operators import FunctionalModel, LayerCall, LayerGraph
from ...results import Progress, Work, counted, wrong

DECADES = 2.0  # a mean square that changes by more than 10^2 over the depth does not survive
ROUNDING = 4.0  # differences of so many eps of a state's size are rounding


@dataclass(frozen=True)
class LayerReading:
    """One layer: a module with a weight matrix, where it runs.

    Attributes:
        name: The module's name; a second run ends in ``:2``. kind: Its class.
        weight: Name of the matrix that its output is linear in; empty where there is none.
        parent: The last layer before it that enters it; ``"input"``, or empty for an embedding of
            tokens.
        entering: Mean square of the layer's input, over examples and units.
        second_moment: Mean square of its output ``u``, over examples and units.
        spread: Variance of ``u`` over the examples, mean over units.
        chi: Mean squared singular value of the step from the parent's output to this one's,
            ``|J|_F^2 / m`` with ``J`` the ``(m, n)`` Jacobian, mean over examples; what bypasses
            the parent is fixed. Where outputs of parallel layers enter it, concatenated or added,
            ``J`` is by all of them. 0 where no derivative passes.
        chi_se: Its standard error over the probes.
        gradient: Squared size of ``d f_k / d u``, mean over outputs ``k`` of the network and
            examples. gradient_se: Its standard error.
    """

    name: str
    kind: str
    weight: str
    parent: str
    entering: float
    second_moment: float
    spread: float
    chi: float
    chi_se: float
    gradient: float
    gradient_se: float


@dataclass(frozen=True)
class Passage:
    """What becomes of a signal from the first layer to the last, or of a gradient on its way back.

    Attributes:
        what: ``"signal"`` or ``"gradient"``.
        decades: ``log10`` of the mean square at the end over that at the start; -inf for none left.
        bound: Whether what is left is rounding, so that ``decades`` bounds it from above.
        layers: Steps between the two.
        depth_scale: Layers over which the mean square changes by a factor e; inf for no change.
        verdict: ``"survives"`` (at most a factor 100 in mean square, 10 in size), ``"vanishes"``
            ``"explodes"``, or ``"unknown"`` where axis 0 of the states is not the examples.
    """

    what: str
    decades: float
    bound: bool
    layers: int

    @property
    def depth_scale(self) -> float:
        """Layers over which the mean square changes by a factor e."""
        return self.layers / abs(self.decades * math.log(10)) if self.decades else math.inf

    @property
    def verdict(self) -> str:
        """What becomes of it, in a word."""
        if math.isnan(self.decades):
            return "unknown"
        if abs(self.decades) <= DECADES:
            return "survives"
        return "vanishes" if self.decades < 0 else "explodes"

    def __str__(self) -> str:
        thing = "the difference between inputs" if self.what == "signal" else "the gradient"
        way = "" if self.what == "signal" else " back"
        if self.decades == -math.inf:
            lost = f"nothing is left of {thing}"
            return f"{self.what} vanishes: {lost} over {counted(self.layers, 'layer')}{way}"
        size = f"10^{self.decades:+z.1f}" + " or less" * self.bound
        over = f"over {counted(self.layers, 'layer')}{way}"
        text = f"{self.what} {self.verdict}: {over} the mean square of "
        text += f"{thing} changes by a factor {size}"
        if self.verdict == "survives":
            return text
        return f"{text}, e every {self.depth_scale:.2g} layers" + " or fewer" * self.bound


@dataclass(frozen=True)
class Propagation:
    """Layers in the order they run, and what passes from end to end.

    Attributes:
        layers: The readings.
        end_to_end: Mean squared singular value of the Jacobian from the input to the output,
            ``|J|_F^2 / C``, mean over examples; NaN for tokens. end_to_end_se: standard error.
        signal: ``spread`` of the last layer on the way to the output that is read over that of the
            first there that tells inputs apart. gradient: ``gradient`` of that layer over that of
            the last.
        ends: Places of these two layers, the first and the last, among ``layers``.
    """

    layers: tuple[LayerReading, ...]
    end_to_end: float
    end_to_end_se: float
    signal: Passage
    gradient: Passage
    ends: tuple[int, int]


def propagation(
    network: FunctionalModel,
    tree: Any,
    beside: Sequence[tuple[int, ...]],
    probes: int,
    seed: int,
    progress: Progress | None = None,
) -> Propagation:
    """Read a batch; the same seed draws the same probes.

    ``beside``: For each layer, those that enter it in parallel, see ``LayerGraph.beside``.
    ``progress`` is called for each layer.
    """
    graph = LayerGraph(network, tree)
    if not graph.calls:
        way_out = "pass a model with linear or convolution layers"
        raise wrong("model", "run a layer with a weight matrix", "none", way_out)
    generator = torch.Generator().manual_seed(seed)
    whole, slopes = graph.slopes(probes, generator)
    work, read = Work([""] * len(graph.calls), progress), list[LayerReading]()
    for i, call in enumerate(graph.calls):
        read.append(_reading(graph, i, beside[i], slopes[i], probes, generator))
        work.done(call.name)
    layers = tuple(read)
    value, error = _estimate(whole)
    eps = torch.finfo(graph.states[0].dtype).eps
    way = graph.leading()
    start = next((at for at, i in enumerate(way) if layers[i].spread != 0), 0)
    way = way[start:]  # before it lies what all inputs share, as the time of a diffusion model
    path, ends = tuple(layers[i] for i in way), (way[0], way[-1])
    return Propagation(layers, value, error, _signal(path, eps), _gradient(path), ends)


def _reading(
    graph: LayerGraph,
    i: int,
    beside: tuple[int, ...],
    slopes: Tensor,
    probes: int,
    generator: torch.Generator,
) -> LayerReading:
    call, state = graph.calls[i], graph.states[i].detach().double()
    chi, chi_se = _estimate(graph.squares(i, probes, generator, beside))
    gradient, gradient_se = _estimate(slopes)
    varied = state.ndim > 0 and len(state) > 1
    spread = float(state.var(dim=0, unbiased=True).mean()) if varied else float("nan")
    return LayerReading(
        call.name, call.kind, call.weight, _parent(graph.calls, graph.parent(i)),
        graph.entering[i], float(state.square().mean()), spread, chi, chi_se, gradient, gradient_se,
    )  # fmt: skip


def _parent(calls: list[LayerCall], at: int | None) -> str:
    if at is None:
        return ""
    return "input" if at < 0 else calls[at].name


def _estimate(samples: Tensor) -> tuple[float, float]:
    """Mean and standard error."""
    return float(samples.mean()), float(samples.std()) / len(samples) ** 0.5


def _signal(layers: tuple[LayerReading, ...], eps: float) -> Passage:
    first, last = layers[0], layers[-1]
    floor = (ROUNDING * eps) ** 2 * last.second_moment
    bound = last.spread < floor
    end = max(last.spread, floor)
    return Passage("signal", _decades(end, first.spread), bound, len(layers) - 1)


def _gradient(layers: tuple[LayerReading, ...]) -> Passage:
    decades = _decades(layers[0].gradient, layers[-1].gradient)
    return Passage("gradient", decades, False, len(layers) - 1)


def _decades(end: float, start: float) -> float:
    if end == 0:
        return -math.inf
    return math.log10(end / start) if start > 0 else math.nan
