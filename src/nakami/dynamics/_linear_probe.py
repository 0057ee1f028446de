"""Linear classifiers of the states at each stage: how far classes are unfolded by depth.

Origin: Alain & Bengio, "Understanding intermediate layers using linear classifier probes", 2016
(arXiv 1610.01644).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..operators import FunctionalModel, View
from ..results import LinearProbe, check_seed, is_number, wrong, wrong_type
from ._states import planned_alone, states_at

PENALTIES = (0.1, 0.03, 0.01, 0.003, 0.001)
HELD_OUT = 0.2  # of the examples, to choose the penalty by
TOLERANCE = 1e-4  # of the largest entry of the gradient
ITERATIONS = 500


def linear_probe(
    model: nn.Module | View,
    data: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    stages: str | Sequence[str] = "auto",
    *,
    penalties: Sequence[float] = PENALTIES,
    seed: int = 0,
) -> LinearProbe:
    """Fit a linear classifier to the states at each stage, and test it.

    Lowers ``mean cross-entropy + penalty / 2 |W|^2`` of ``softmax(W z + b)``, where ``z`` are all
    entries of the state, each with its mean over ``data`` taken off and divided by its standard
    deviation there (entries that never change are left out). The penalty is the one with the least
    cross-entropy on a fifth of ``data``; the classifier is then fitted to all of it.

    Args:
        model: Any module, or a ``View`` of one; read as it is evaluated, and left as it was.
        data: ``(inputs, labels)``, examples along axis 0, and labels ``(N,)``, whole numbers from
            0 on.
        test: The same, of examples that are not in ``data``.
        stages: Names or ``"auto"``, as for ``nakami.xray``. The inputs are probed too.
        penalties: To choose from, above 0.
        seed: Decides which examples are held out.

    Returns:
        A ``LinearProbe``: errors by stage with their standard errors.

    Raises:
        UsageError: As ``nakami.xray`` for stages; labels that are not one class for each example; a
            class in ``test`` that ``data`` lacks; a penalty of 0 or less.

    Cost: a forward pass over both for each stage; then up to ``500`` steps of L-BFGS, in float64 on
    the CPU, for each penalty: ``O(N d classes)`` a step. For ``d`` entries up to five
    times ``8 N d`` bytes (measured: 4.7 times at 20,000 examples and 1,000 entries).
    """
    found = [_labelled("data", data), _labelled("test", test)]
    classes = int(found[0][1].max()) + 1
    if int(found[1][1].max()) >= classes:
        got = f"class {int(found[1][1].max())}, where data have 0 to {classes - 1}"
        raise wrong("test", "hold classes of data", got, "pass labels of the same classes")
    shapes = [tuple(inputs.shape[1:]) for inputs, _ in found]
    if shapes[0] != shapes[1]:
        rule = f"hold inputs of the shape of data, {shapes[0]}"
        raise wrong("test", rule, shapes[1], "pass examples of the same kind")
    levels = sorted(_penalties(penalties), reverse=True)
    if len(levels) > 1 and len(found[0][1]) < 2:
        way_out = "pass one number as penalties, or more examples"
        raise wrong("data", "hold two examples to choose a penalty by", 1, way_out)
    order = torch.randperm(
        len(found[0][1]), generator=torch.Generator().manual_seed(check_seed(seed))
    )
    network = FunctionalModel(model)
    plan = planned_alone(network, found[0][0], stages, "probe")
    names = tuple(stage.name for stage in plan.chosen)
    fits = []
    for name in names:
        states = [states_at(network, inputs, name) for inputs, _ in found]
        with torch.inference_mode(False):  # the caller may be in it, and fits need gradients
            parts = [_ordinary(part) for part in states]
            labels = [_ordinary(part) for _, part in found]
            fits.append(_probed(parts, labels, classes, levels, order))
    error, train_error, loss, penalty, gradient = np.array(fits).T
    n_train, n_test = (len(labels) for _, labels in found)
    converged = gradient <= TOLERANCE
    return LinearProbe(
        names, error, train_error, loss, penalty, gradient, converged, n_train, n_test, classes
    )


def _labelled(argument: str, given: Any) -> tuple[Tensor, Tensor]:
    """Inputs and labels of one part of the data."""
    way_out = f"pass {argument}=(inputs, labels), two tensors"
    if not isinstance(given, (tuple, list)) or len(given) != 2:
        raise wrong_type(argument, "be a pair of tensors", type(given).__name__, way_out)
    inputs, labels = (torch.as_tensor(part) for part in given)
    if labels.is_floating_point() or labels.dtype == torch.bool or labels.ndim != 1:
        got = f"labels of shape {tuple(labels.shape)} and {labels.dtype}"
        raise wrong(argument, "hold one whole number, its class, for each example", got, way_out)
    if len(labels) != len(inputs) or not len(labels):
        got = f"{len(inputs)} inputs and {len(labels)} labels"
        raise wrong(argument, "hold as many labels as inputs, one at least", got, way_out)
    if argument == "data" and int(labels.max()) >= len(labels):
        rule = f"hold classes below its number of examples, {len(labels)}"
        raise wrong(argument, rule, int(labels.max()), "number the classes from 0 on")
    if int(labels.min()) < 0:
        way_out = "leave out examples without a class"
        raise wrong(argument, "hold classes from 0 on", int(labels.min()), way_out)
    return inputs, labels.to("cpu", torch.int64)


def _penalties(given: Sequence[float]) -> list[float]:
    levels = [given] if is_number(given) else list(given)
    for level in levels:
        if not is_number(level) or not 0 < level < float("inf"):
            raise wrong("penalties", "be numbers above 0", level, "leave them out")
    if not levels:
        raise wrong("penalties", "hold one at least", given, "leave them out")
    return [float(level) for level in levels]


def _probed(
    states: list[Tensor], labels: list[Tensor], classes: int, levels: list[float], order: Tensor
) -> tuple[float, ...]:
    """Errors on test and training examples, cross-entropy, penalty, gradient."""
    spread, mean = torch.std_mean(states[0], 0, correction=0)
    moves = spread > 1e-12 * mean.abs().clamp_min(1)
    train, test = (part[:, moves].sub_(mean[moves]).div_(spread[moves]) for part in states)
    level = levels[0]
    if len(levels) > 1:
        held = order[: max(1, round(HELD_OUT * len(order)))]
        rest = order[len(held) :]
        part, start, scores = train[rest], None, []
        for each in levels:  # from the strongest: each fit starts from the one before
            start, _ = _fitted(part, labels[0][rest], classes, each, start)
            scores.append(float(F.cross_entropy(_logits(train[held], start), labels[0][held])))
        del part
        level = levels[int(np.argmin(scores))]
    weights, gradient = _fitted(train, labels[0], classes, level, None)
    errors = [
        float((_logits(part, weights).argmax(1) != wanted).double().mean())
        for part, wanted in zip((test, train), labels[::-1], strict=True)
    ]
    loss = float(F.cross_entropy(_logits(test, weights), labels[1]))
    return (*errors, loss, level, gradient)


def _ordinary(part: Tensor) -> Tensor:
    """A tensor that gradients can be taken with, also if it was made in inference mode."""
    return part.clone() if part.is_inference() else part


def _logits(states: Tensor, weights: Tensor) -> Tensor:
    """``W z + b`` with ``b`` the last column of the weights."""
    return states @ weights[:, :-1].T + weights[:, -1]


def _fitted(
    states: Tensor, labels: Tensor, classes: int, level: float, start: Tensor | None
) -> tuple[Tensor, float]:
    """The weights ``(classes, d + 1)``, and the largest entry of the gradient there."""
    first = states.new_zeros(classes, states.shape[1] + 1) if start is None else start.clone()
    weights = first.requires_grad_()
    descent = torch.optim.LBFGS(
        [weights], max_iter=ITERATIONS, tolerance_grad=TOLERANCE, tolerance_change=0,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def loss() -> Tensor:
        descent.zero_grad()
        value = F.cross_entropy(_logits(states, weights), labels)
        value = value + level / 2 * weights[:, :-1].square().sum()
        value.backward()
        return value

    with torch.enable_grad():
        descent.step(loss)
        loss()
    assert weights.grad is not None
    return weights.detach(), float(weights.grad.abs().max())
