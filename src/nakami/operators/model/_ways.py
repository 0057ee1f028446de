"""Which stages lie on the way to the output that is read, and how many layers are before each."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ...results import UsageError
from ._checks import FAILURES
from ._dependence import leaf_of, natural_start
from ._detached import EXACT
from ._example import Example
from ._stages import is_weighted
from ._tracer import Tracer

if TYPE_CHECKING:
    from ._functional_model import FunctionalModel
    from ._stages import Stages

Edge = tuple[Any, int]  # a node of autograd's graph, and which of its results


@dataclass(frozen=True)
class Ways:
    """How the stages of a network depend on each other, by the graph of its derivative.

    Attributes:
        layers: Weight layers on the longest way from the start, by name of a stage that depends on
            the start.
        before: By name the stages that it depends on and itself, bit i for the stage at place i.
        output: The same of the output that is read; -1, all, where it does not follow the start.
    """

    layers: dict[str, int]
    before: dict[str, int]
    output: int


def ways(
    network: FunctionalModel, example: Example, places: Stages, weighted: Collection[str]
) -> Ways | None:
    """The ways of a network at an example, from where its readings start.

    By one run with gradients and a walk through its graph. What multiplies a state (a gate, weights
    of attention) is on the way, too, whatever the view holds fixed. A value that is zero there, as
    behind a ReLU that is off, breaks no way.

    Args:
        network: The network.
        example: What it is run at.
        places: Its stages there.
        weighted: Names of the stages that a weight layer made.

    Returns:
        None where no stage is reached: the network then switches gradients off, or cannot be held
        at its start.
    """
    exact = copy.copy(network)
    exact.derivative = EXACT
    try:
        start = natural_start(exact, example, places)
        with torch.enable_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            graph = _traced(exact, example, start)
    except (UsageError, *FAILURES):
        return None
    if graph.edges.keys() <= {start}:
        return None
    if graph.output is not None:
        graph.edges[places.names[-1]] = graph.output
    return _walked(graph, places, frozenset(weighted))


@dataclass
class _Graph:
    """What one run leaves: edges of its stages, and what its weight layers turn into what."""

    edges: dict[str, Edge] = field(default_factory=dict)
    results: dict[Edge, tuple[str, list[Edge]]] = field(default_factory=dict)
    start: Edge | None = None
    output: Edge | None = None


def _traced(network: FunctionalModel, example: Example, start: str) -> _Graph:
    graph, tree, state = _Graph(), example.tree, None
    if start == "input":
        state = leaf_of(example.vector)
        tree, graph.edges["input"] = example.at(state), _edge(state)
    else:
        state = leaf_of(network.activations(tree, (start,))[0])
    graph.start = _edge(state)

    def watch(name: str, kind: str, value: Tensor, module: nn.Module | None) -> Tensor:
        held = state if name == start else value
        if held.grad_fn is not None:
            graph.edges[name] = _edge(held)
        return held

    with Tracer(network.model, watch) as tap, _noted(network.model, graph, tap):
        out = network.run(tree)
    if out.grad_fn is not None:
        graph.output = _edge(out)
    return graph


@contextmanager
def _noted(model: nn.Module, graph: _Graph, tap: Tracer) -> Iterator[None]:
    """Within it all results of each weight layer are noted: of an LSTM its last state, too."""
    given: list[list[Edge]] = []

    def before(module: nn.Module, args: Any, kwargs: Any) -> None:
        given.append(list(_edges_in((args, kwargs))))

    def behind(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        inputs, (name, value) = given.pop(), tap.last
        for edge in _edges_in(output):
            if edge not in inputs and edge != graph.start:
                graph.results[edge] = (name if value is output else "", inputs)

    handles = []
    for module in filter(is_weighted, model.modules()):
        handles.append(module.register_forward_pre_hook(before, with_kwargs=True))
        handles.append(module.register_forward_hook(behind, with_kwargs=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _walked(graph: _Graph, places: Stages, weighted: frozenset[str]) -> Ways:
    named: dict[Edge, list[str]] = {}
    for name, edge in graph.edges.items():
        named.setdefault(edge, []).append(name)
    layers: dict[Edge, int] = {}
    before: dict[Edge, int] = {}
    for edge in _sorted(list(named), graph):
        parents = _parents(edge)
        depth = max((layers[p] for p in parents), default=0)
        bits = 0
        for parent in parents:
            bits |= before[parent]
        names = set(named.get(edge, ()))
        if edge in graph.results:
            maker, inputs = graph.results[edge]
            names |= {maker} if maker else set()
            depth = 1 + max((layers[p] for p in inputs), default=0)
        elif names & weighted and edge != graph.start:
            depth += 1
        for name in names:
            bits |= 1 << places.position(name)
        layers[edge], before[edge] = depth, bits
    found = {name: edge for edge, names in named.items() for name in names}
    return Ways(
        {name: layers[edge] for name, edge in found.items()},
        {name: before[edge] for name, edge in found.items()},
        before[graph.output] if graph.output is not None else -1,
    )


def _sorted(ends: list[Edge], graph: _Graph) -> Iterator[Edge]:
    """All edges that ``ends`` come from, each behind those that it comes from itself."""
    done: set[Edge] = set()
    stack = [(edge, False) for edge in ends]
    while stack:
        edge, opened = stack.pop()
        if edge in done:
            continue
        if opened:
            done.add(edge)
            yield edge
            continue
        stack.append((edge, True))
        inputs = graph.results[edge][1] if edge in graph.results else []
        stack += [(parent, False) for parent in (*_parents(edge), *inputs) if parent not in done]


def _parents(edge: Edge) -> list[Edge]:
    return [parent for parent in edge[0].next_functions if parent[0] is not None]


def _edge(value: Tensor) -> Edge:
    return value.grad_fn, value.output_nr


def _edges_in(tree: Any) -> Iterator[Edge]:
    """Those of all tensors in tuples, lists and mappings."""
    if isinstance(tree, Tensor) and tree.grad_fn is not None:
        yield _edge(tree)
    elif isinstance(tree, (tuple, list, Mapping)):
        for item in tree.values() if isinstance(tree, Mapping) else tree:
            yield from _edges_in(item)
