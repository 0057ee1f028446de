"""Which matrices have a scale that no output depends on, since what they give is normalised."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ...operators import FunctionalModel, LayerCall, LayerGraph

PROBES = 4  # of four random signs the mean square is below ALONG with probability 1e-8 by chance
ALONG = 1e-4  # a doubled layer moves the output by less than 1 % of what a random change does


def cancelling(network: FunctionalModel, tree: Any, seed: int) -> frozenset[str]:
    """Names of the matrices whose scale cancels, by the derivative along it.

    Where the output ``f`` does not depend on the scale of a layer's ``u = W x``, the derivative of
    ``f(c u)`` by ``c`` is 0 at ``c = 1`` (Euler): ``|J u|^2`` is compared with its mean over random
    directions as long, ``|J|_F^2 |u|^2 / n``. The ratio is ``(eps / (var + eps))^2`` in front of a
    normalisation, and about 1 elsewhere. A bias is fixed. A layer without effect is not among them.

    Cost: a forward pass and ``PROBES`` backward passes.
    """
    graph = LayerGraph(network, tree)
    weights = {name.removeprefix("model."): w for name, w in network.weights.items()}
    pairs = list(zip(graph.calls, graph.states, strict=True))
    steps = [state.detach() - bias_of(call, weights, state) for call, state in pairs]
    shares = graph.along(steps, PROBES, torch.Generator().manual_seed(seed))
    scaled = [call.weight for call in graph.calls]
    found = dict[str, bool]()
    for weight, share in zip(scaled, shares, strict=True):
        found[weight] = found.get(weight, True) and share < ALONG
    return frozenset(name for name, cancels in found.items() if name and cancels)


def bias_of(call: LayerCall, weights: Mapping[str, Tensor], state: Tensor) -> Tensor:
    """What is added to the layer's output, in its shape; 0 without a bias."""
    if not call.bias:
        return state.new_zeros(())
    shape = [1] * state.ndim
    shape[call.axis] = -1
    return weights[call.bias].to(state).reshape(shape)
