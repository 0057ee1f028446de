"""Supervised training of a classifier, and its error with a standard error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nakami.data import Examples
from nakami.results import UsageError, wrong


def train_classifier(
    model: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    *,
    epochs: int,
    generator: torch.Generator,
    batch: int = 100,
    rate: float = 0.1,
    momentum: float = 0.9,
    after_epoch: Callable[[int, float], object] | None = None,
) -> None:
    """Stochastic gradient descent on the softmax cross-entropy, **mean** over the batch.

    Args:
        model: Gives logits ``(N, classes)``; changed in place, left in evaluation mode.
        inputs: ``(N, ...)``.
        labels: ``(N,)`` int64.
        epochs: Passes over the data.
        generator: Source of the order of examples.
        batch: Examples of one step.
        rate: Learning rate.
        momentum: Factor of the last step (heavy ball).
        after_epoch: Called as ``after_epoch(epochs done, mean loss in nats)``.

    Raises:
        UsageError: The loss became NaN or infinite.
    """
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=momentum)
    model.train()
    for epoch in range(epochs):
        total = 0.0
        for rows in torch.randperm(len(inputs), generator=generator).split(batch):
            loss = F.cross_entropy(model(inputs[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        if not total < float("inf"):
            raise UsageError(f"training diverged at rate {rate}; pass a smaller rate.")
        if after_epoch:
            after_epoch(epoch + 1, total / len(inputs))
    model.eval()


@torch.no_grad()
def error_fact(model: nn.Module, examples: Examples, label: str = "test error") -> dict[str, Any]:
    """Share of wrong answers in percent, with the binomial standard error of the sample."""
    if examples.labels is None:
        raise wrong("examples", "have labels", None, "pass data.digits()")
    answers = torch.cat([model(part).argmax(1) for part in examples.inputs.split(1000)])
    n = len(examples)
    p = float((answers != examples.labels).sum()) / n
    return {
        "label": label,
        "value": 100 * p,
        "spread": 100 * (p * (1 - p) / n) ** 0.5,
        "spread_kind": f"binomial standard error, {n:,} digits",
        "unit": "%",
    }
