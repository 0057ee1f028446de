"""What is said of a trained network and of its data."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import Tensor, nn

from nakami.data import Examples
from nakami.results import counted, wrong


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
        "spread_kind": f"binomial standard error, {counted(n, examples.noun)}",
        "unit": "%",
    }


def mean_fact(values: Tensor, label: str, unit: str, noun: str) -> dict[str, Any]:
    """Mean of a number of each example, ``(N,)``, with its standard error."""
    n = len(values)
    return {
        "label": label,
        "value": float(values.mean()),
        "spread": float(values.std()) / n**0.5,
        "spread_kind": f"standard error, {counted(n, noun)}",
        "unit": unit,
    }


def fingerprint(examples: Examples) -> dict[str, str | int]:
    """What identifies training data: number, and hash of inputs and labels."""
    digest = hashlib.sha256(examples.inputs.numpy().tobytes())
    digest.update(b"" if examples.labels is None else examples.labels.numpy().tobytes())
    return {"examples": len(examples), "sha256": digest.hexdigest()[:16]}
