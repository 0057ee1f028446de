"""Two ways to an initial scale: the critical point of the theory, and the data layer by layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ...operators import FunctionalModel, LayerGraph
from ...results import counted, wrong
from ...theory import meanfield
from ._cancelling import bias_of, cancelling
from ._proposal import Plan, orthogonal, root_mean_square

SMALL = 0.1  # q* of a smooth activation: tanh keeps 84 % of its squared slope there
PREFIX = "model."  # of the weights' names in a frozen network
TRAINING = " in training, where batch normalisation is by the batch"
METHOD = "use {method} 'data'"


class Choice(NamedTuple):
    """Options of ``nakami.initialisation``."""

    biases: str
    directions: str
    seed: int


def critical(model: nn.Module, found: meanfield.Description, choice: Choice) -> Plan:
    """The critical point of a fully connected network with one activation.

    Where a hidden layer has no bias that may be drawn, all biases stay as they are, unless the
    critical point has none.

    Raises:
        UsageError: Several activations, or one without a critical point; a matrix that is frozen,
            or 0 where it would be multiplied.
    """
    biases, directions, seed = choice
    free = {name: p for name, p in model.named_parameters() if p.requires_grad}
    names = sorted(set(found.activations))
    if len(names) > 1:
        raise wrong("model", "have one activation for a critical point", ", ".join(names), METHOD)
    phi = found.order.activations[0]
    for name in (f"{name}.weight" for name in found.layers):
        if name not in free:
            raise wrong("model", "have weights to scale", f"{name!r} frozen", METHOD)
        if directions == "kept":
            root_mean_square(name, free[name])
    drawn = all(f"{name}.bias" in free for name in found.layers[:-1])
    if biases == "keep" or not (drawn or phi.scale_free):
        biases = "keep"
        point = meanfield.edge_of_chaos(phi, float(found.bias_variance[:-1].mean()))
    else:
        point = meanfield.edge_at(phi, SMALL)
    q, b = point.q_star, point.bias_variance
    if phi.scale_free or not q > 0:
        q = 1.0 if phi.scale_free else SMALL
    variances = [max(q - point.bias_variance, q / 2) / found.start.same]
    variances += [point.weight_variance] * (len(found.layers) - 1)
    fans = found.widths[:-1]
    scales = {
        f"{name}.weight": (variance / fan) ** 0.5
        for name, variance, fan in zip(found.layers, variances, fans, strict=True)
    }
    stds, shown = {}, "biases as they are"
    if biases == "zero":
        shown = f"biases of variance {b:.3g}"
        wanted = [b**0.5] * (len(found.layers) - 1) + [0.0]
        named = zip((f"{name}.bias" for name in found.layers), wanted, strict=True)
        stds = {name: std for name, std in named if name in free}
    rule = (
        f"critical point of {phi.name}: weights of variance {point.weight_variance:.4g} / fan-in, "
        f"{shown}; the first layer's output gets the mean square {q:.2g} on the data"
    )
    return Plan(rule, scales, stds, directions, seed, (), {}, point.weight_variance, b, q)


def on_data(
    network: FunctionalModel, tree: Any, few: Any, probes: int, choice: Choice, training: bool
) -> Plan:
    """Layer by layer in the order they run: mean squared singular value 1 on the data.

    A layer that takes in the data themselves gets an output of mean square 1, so that their unit
    falls out. The end of a branch that is joined with its bypass gets 1 over the number of such
    ends, so that all of them together add about as much as they find (Hayou et al. 2021,
    arXiv 2010.12859).

    A matrix whose scale cancels is left out. What stands behind it is scaled as if it were not, so
    that the other scales do not depend on that one. With ``training`` so are those that cancel by
    the statistics of the batch alone; here they stay as they are, for here their scale matters.
    """
    present = {name.removeprefix(PREFIX): w for name, w in network.weights.items()}
    first = LayerGraph(network, few, cut=True)
    base = {}
    if choice.directions == "orthogonal":
        names = dict.fromkeys(call.weight for call in first.calls if call.weight)
        base = {name: orthogonal(name, present[name], choice.seed) for name in names}
    ends = branch_ends(first)
    drawn = network.with_weights({PREFIX + n: w for n, w in base.items()})
    cancels = _cancelling(drawn, first, tree, choice)
    later = frozenset[str]()
    if training and network.batch_normalisation and not network.batch_statistics:
        later = _cancelling(drawn.normalised_by_batch(), first, tree, choice) - cancels
    fit = _Fit({**present, **base}, choice, ends, first.beside(), probes, (cancels, later))
    LayerGraph(drawn, tree, fit)
    notes = (*fit.notes, *_of_cancelling(cancels, ""), *_of_cancelling(later, TRAINING))
    left_out = {**dict.fromkeys(later, 1.0), **fit.cancels}
    shown = any(first.calls[i].weight in fit.scales for i in ends)
    ending = counted(len(ends), "layer that ends", "layers that end")
    rule = (
        "layer by layer, each matrix is multiplied by a number so that the step into its layer has "
        "mean squared singular value 1 on the data (mean square 1 behind the input"
        + (f", 1/{len(ends)} for the {ending} a branch)" if shown else ")")
    )
    if left_out and not fit.scales:
        rule = "no factor: every matrix that could be scaled is normalised afterwards"
    seed = choice.seed
    return Plan(rule, fit.scales, fit.bias_std, choice.directions, seed, notes, left_out)


def _cancelling(
    network: FunctionalModel, graph: LayerGraph, tree: Any, choice: Choice
) -> frozenset[str]:
    """With the biases that are planned."""
    zeros = {}
    if choice.biases == "zero":
        names = {PREFIX + call.bias for call in graph.calls if call.bias and not call.source}
        zeros = {name: torch.zeros_like(network.weights[name]) for name in names}
    return cancelling(network.with_weights(zeros), tree, choice.seed)


def _of_cancelling(names: frozenset[str], when: str) -> list[str]:
    listed = ", ".join(sorted(names))
    return [f"a factor cancels{when}, since what follows normalises: {listed}"] if names else []


def branch_ends(graph: LayerGraph) -> tuple[int, ...]:
    """Layers whose output meets, where it goes, what it came from: the ends of residual branches.

    ``graph`` is cut at its layers.
    """
    parents, above = graph.parents(), graph.above()
    return tuple(
        i
        for i in range(len(graph.calls))
        if any(i in direct and above[i] & set(direct) for direct in parents[i + 1 :])
    )


class _Fit:
    """Scales a layer's output as it runs, and notes the factor for its matrix."""

    def __init__(
        self,
        weights: Mapping[str, Tensor],
        choice: Choice,
        ends: tuple[int, ...],
        beside: Sequence[tuple[int, ...]],
        probes: int,
        cancels: tuple[frozenset[str], frozenset[str]],
    ):
        self.weights, self.ends, self.beside, self.probes = weights, ends, beside, probes
        self.here, self.later = cancels
        self.keep = choice.biases == "keep"
        self.generator = torch.Generator().manual_seed(choice.seed)
        self.factors, self.scales = dict[str, float](), dict[str, float]()
        self.bias_std, self.notes = dict[str, float](), list[str]()
        self.cancels = dict[str, float]()

    def __call__(self, graph: LayerGraph, i: int, state: Tensor) -> Tensor:
        call = graph.calls[i]
        if not call.weight or call.source:
            return state
        bias = bias_of(call, self.weights, state)
        linear = state - bias
        if call.weight in self.later:
            self.factors[call.weight] = 1.0
        elif call.weight in self.factors:
            self.notes.append(
                f"{call.name!r} uses {call.weight!r} again: it is scaled where it runs first"
            )
        else:
            factor = self._factor(graph, i, linear)
            if factor == 0:
                self.notes.append(f"{call.name!r} stays: no derivative passes into it")
                return state
            self.factors[call.weight] = factor
            now = root_mean_square(call.weight, self.weights[call.weight])
            if call.weight in self.here:
                self.cancels[call.weight] = factor
            else:
                self.scales[call.weight] = factor * now
        if not self.keep and call.bias:
            self.bias_std[call.bias] = 0.0
        scaled = self.factors[call.weight] * linear
        return scaled + bias if self.keep else scaled

    def _factor(self, graph: LayerGraph, i: int, linear: Tensor) -> float:
        """0 where there is nothing to scale."""
        if i not in self.ends and graph.parent(i) in (-1, None):
            found, wanted = float(linear.detach().double().square().mean()), 1.0
        else:
            squares = graph.squares(i, self.probes, self.generator, self.beside[i])
            found = float(squares.mean())
            wanted = 1 / len(self.ends) if i in self.ends else 1.0
        return (wanted / found) ** 0.5 if found > 0 else 0.0
