"""What the training of a caller's network lowers, by its targets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nakami.data import Examples
from nakami.data._maps import pieces
from nakami.results import wrong

Value = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class OwnLoss:
    """A loss of outputs and targets, the mean over rows.

    Attributes:
        value: ``value(outputs, targets)``. name: with its unit.
        advised: What ``nakami.tune`` is asked with. said: how classes are weighted, or empty.
    """

    value: Value
    name: str
    advised: Any
    said: str = ""


def loss_of(targets: Tensor, weights: str) -> OwnLoss:
    """Squared error of numbers, cross-entropy of classes.

    Args:
        targets: Those to train on.
        weights: ``"equal"``, or ``"balanced"``: each row counts as ``balanced`` says.

    Raises:
        UsageError: Numbers that are to be balanced.
    """
    if targets.is_floating_point():
        if weights != "equal":
            way_out = 'set weights = "equal", or write type = "category" below the target'
            raise wrong("weights", "go with classes", "a target of numbers", way_out)
        return OwnLoss(lambda z, y: F.mse_loss(z, shaped(y)), "squared error", F.mse_loss)
    if weights == "equal":
        return OwnLoss(lambda z, y: F.cross_entropy(z, y), "cross-entropy, nats", "cross_entropy")
    of_class = balanced(targets)

    def value(outputs: Tensor, labels: Tensor) -> Tensor:
        each = F.cross_entropy(outputs, labels, reduction="none")
        return (each * of_class.to(each)[labels]).mean()

    said = "each row weighted by n / (k n_c), so that all classes count alike"
    return OwnLoss(value, "weighted cross-entropy, nats", value, said)


def balanced(labels: Tensor) -> Tensor:
    """Weight of a row of each class, ``n / (k n_c)``: n rows, k classes, n_c of class c.

    All classes then count alike and the mean weight of a row is 1; 0 of a class without rows. The
    loss is the mean over rows, where ``torch.nn.CrossEntropyLoss(weight)`` divides by the weights
    of the mini-batch.

    Source: King and Zeng, Logistic regression in rare events data, Political Analysis 9 (2001).
    """
    counts = labels.bincount().double()
    found = len(labels) / (int((counts > 0).sum()) * counts)
    return torch.where(counts > 0, found, 0.0).float()


def shaped(targets: Tensor) -> Tensor:
    """Numbers as a column, classes as they are."""
    return targets[:, None] if targets.is_floating_point() and targets.ndim == 1 else targets


@torch.no_grad()
def balanced_error(model: nn.Module, test: Examples) -> dict[str, Any]:
    """Mean of the errors of the classes in percent, with its binomial standard error."""
    assert test.labels is not None
    off = torch.cat([model(part).argmax(1) for part in pieces(test.inputs)]) != test.labels
    own = [off[test.labels == c].double() for c in test.labels.unique().tolist()]
    variances = [float(each.mean()) * (1 - float(each.mean())) / len(each) for each in own]
    error = sum(variances) ** 0.5 / len(own)
    return {
        "label": "mean of the errors of the classes",
        "value": 100 * sum(float(each.mean()) for each in own) / len(own),
        "spread": 100 * error if error else None,
        "spread_kind": f"binomial standard error, {len(own)} classes",
        "unit": "%",
    }
