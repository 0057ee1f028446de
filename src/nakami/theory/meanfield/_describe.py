"""The theory's picture of a real network: measure its variances and inputs, predict, compare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...results import wrong, wrong_type
from ._activations import Array, real_array
from ._modules import Layer, read_layers, run_layers
from ._named import ActivationLike
from ._named import activation as make_activation
from ._order import OrderParameters, StartValues, order_parameters, start_values
from ._spectrum import FisherStatistics, fisher_statistics

CHECKED = 256  # examples that the network is run on


@dataclass(frozen=True)
class Description:
    """What the theory says of a network, and how the network differs from what it assumes.

    Attributes:
        layers: Qualified names of the linear layers.
        widths: ``(M_0, ..., M_{L-1}, C)``. activations: Names, ``L - 1``.
        weight_variance: ``sigma_w^2`` measured: variance of the weights times fan-in, ``(L,)``.
        bias_variance: ``sigma_b^2`` measured: mean square of the biases, ``(L,)``.
        start: Start values, measured on all the data.
        order: Order parameters. Its ``layer_gain`` is chi_1 at each layer's own variance.
        statistics: The Fisher matrix for squared error and all the samples.
        activity_ratio: Measured ``|h^l|^2 / M_l`` over theory, l = 0..L-1, ``(L,)``.
        overlap_difference: Measured minus predicted correlation ``q_hat_2 / q_hat_1``, ``(L,)``.
        samples: T. checked: examples that the last two were measured on.
        assumed: What was taken for granted, in sentences.
        doubts: What speaks against it here; empty if nothing does.
    """

    layers: tuple[str, ...]
    widths: tuple[int, ...]
    activations: tuple[str, ...]
    weight_variance: Array
    bias_variance: Array
    start: StartValues
    order: OrderParameters
    statistics: FisherStatistics
    activity_ratio: Array
    overlap_difference: Array
    samples: int
    checked: int
    assumed: tuple[str, ...]
    doubts: tuple[str, ...]


def describe(model: Any, data: Any, *, activation: ActivationLike | None = None) -> Description:
    """Predictions for a real fully connected torch network, from its variances and inputs alone.

    Args:
        model: A torch module of ``Linear`` layers with one activation behind each but the last
            (``Flatten`` and dropout pass). It is run once on up to 256 examples, in evaluation
            mode, and left as it was; a different result from that of its layers one after the
            other is refused.
        data: Inputs ``(N, ...)``, array or tensor, at least two examples: what the model takes.
        activation: Where the model applies it as a function in ``forward``: the activation
            behind hidden layers without one of their own (as ``meanfield.activation`` takes it).

    Raises:
        UsageError: What the theory does not cover (convolution, normalisation, softmax,
            residual sums, shared weights, ...), naming the module.

    Cost: one pass over the data for the start values, a run on 256 examples.
    Source: as ``order_parameters`` and ``fisher_statistics``.
    """
    way_out = "pass examples (N, ...), two or more"
    if not hasattr(data, "shape"):
        raise wrong_type("data", "be an array or a tensor", type(data).__name__, way_out)
    inputs = real_array("data", data)
    if inputs.ndim < 2 or len(inputs) < 2 or not np.isfinite(inputs).all():
        raise wrong("data", "be finite, two examples or more", inputs.shape, way_out)
    given = None if activation is None else make_activation(activation)
    part = inputs[:CHECKED]
    layers = read_layers(model, part, given)
    start = start_values(inputs)
    w = np.array([layer.weight.var() * layer.weight.shape[1] for layer in layers])
    b = np.array([0.0 if m.bias is None else np.mean(m.bias**2) for m in layers])
    widths = (layers[0].weight.shape[1], *(len(layer.weight) for layer in layers))
    phis = [layer.activation for layer in layers if layer.activation]
    order = order_parameters(widths, phis, w, b, start)
    ratio, overlap = _compare(order, layers, part.reshape(len(part), -1))
    return Description(
        layers=tuple(layer.name for layer in layers),
        widths=order.widths,
        activations=tuple(f.name for f in phis),
        weight_variance=w,
        bias_variance=b,
        start=start,
        order=order,
        statistics=fisher_statistics(order, len(inputs)),
        activity_ratio=ratio,
        overlap_difference=overlap,
        samples=len(inputs),
        checked=len(part),
        assumed=_assumed(layers),
        doubts=_doubts(layers, order, len(inputs), ratio, overlap),
    )


def _compare(order: OrderParameters, layers: tuple[Layer, ...], x: Array) -> tuple[Array, Array]:
    """Activities over theory, and correlations minus theory, on the examples of ``x``."""
    measured = [start_values(h) for h in run_layers(layers, x)[:-1]]
    own = order_parameters(
        order.widths, order.activations, order.weight_variance, order.bias_variance, measured[0]
    )
    same = np.array([m.same for m in measured])
    overlap = np.array([m.other / m.same if m.same else 0.0 for m in measured])
    alive = own.q_hat1 > 0  # states that are 0 in theory are so in fact where the ratio is 1
    ratio = np.divide(same, own.q_hat1, out=np.where(same > 0, np.inf, 1.0), where=alive)
    return ratio, overlap - np.divide(own.q_hat2, own.q_hat1, out=np.zeros_like(same), where=alive)


def _assumed(layers: tuple[Layer, ...]) -> tuple[str, ...]:
    lines = [
        "weights are independent with mean 0 and the measured variance (trained ones are not)",
        "hidden layers are wide; terms of relative order 1/M are left out",
        "every pair of inputs has the mean correlation of all pairs",
        "the output is linear and the error squared",
    ]
    if any(layer.bias is None for layer in layers):
        lines.append("layers without biases have bias variance 0")
    return tuple(lines)


def _doubts(
    layers: tuple[Layer, ...], order: OrderParameters, samples: int, ratio: Array, overlap: Array
) -> tuple[str, ...]:
    lines = []
    for layer in layers:
        mean, se = layer.weight.mean(), layer.weight.std() / layer.weight.size**0.5
        if abs(mean) > 5 * se:
            lines.append(f"weights of {layer.name!r} have mean {mean:.2g}, not 0")
    narrow = [m for m in order.widths[1:-1] if m < 100]
    if narrow:
        lines.append(f"hidden layers of width {min(narrow)} are narrow")
    f = fisher_statistics(order, samples)
    if f.largest_edge > 1.3 * f.largest:
        lines.append(
            f"{order.outputs} outputs are many beside the widths: lambda_max may lie "
            f"{f.largest_edge / f.largest:.1f} times above (largest_edge) and more"
        )
    for i, layer in enumerate(layers[:-1], 1):
        wide = 4 / order.widths[i] ** 0.5  # a few standard errors of a mean over units
        if abs(ratio[i] - 1) > max(0.1, 2 * wide) or abs(overlap[i]) > max(0.05, wide):
            lines.append(
                f"behind {layer.name!r} the activity is {ratio[i]:.2f} times that predicted, the "
                f"correlation of inputs off by {overlap[i]:+.2f}: not a random network"
            )
    return tuple(lines)
