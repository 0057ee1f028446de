"""What is said of a trained network and of its data."""

from __future__ import annotations

import hashlib
import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from nakami import sampling
from nakami.data import Examples
from nakami.results import NakamiWarning, counted, wrong


@torch.no_grad()
def error_fact(model: nn.Module, examples: Examples, label: str = "test error") -> dict[str, Any]:
    """Share of wrong answers in percent, with the binomial standard error of the sample."""
    if examples.labels is None:
        raise wrong("examples", "have labels", None, "pass data.digits()")
    answers = torch.cat([model(part).argmax(1) for part in examples.inputs.split(1000)])
    return share_fact(label, answers != examples.labels, examples.noun)


def share_fact(label: str, which: Tensor, noun: str, more: str = "") -> dict[str, Any]:
    """Share of what is True, ``(N,)``, in percent, with the binomial standard error."""
    n = len(which)
    p = float(which.sum()) / n
    return {
        "label": label,
        "value": 100 * p,
        "spread": 100 * (p * (1 - p) / n) ** 0.5,
        "spread_kind": f"binomial standard error, {counted(n, noun)}{more}",
        "unit": "%",
    }


def mean_fact(values: Tensor, label: str, unit: str, noun: str) -> dict[str, Any]:
    """Mean of a number of each example, ``(N,)``, with its standard error; None of one alone."""
    n = len(values)
    return {
        "label": label,
        "value": float(values.mean()),
        "spread": float(values.std()) / n**0.5 if n > 1 else None,
        "spread_kind": f"standard error, {counted(n, noun)}",
        "unit": unit,
    }


def fingerprint(examples: Examples) -> dict[str, str | int]:
    """What identifies training data: number, and hash of inputs and labels."""
    digest = hashlib.sha256(examples.inputs.numpy().tobytes())
    digest.update(b"" if examples.labels is None else examples.labels.numpy().tobytes())
    return {"examples": len(examples), "sha256": digest.hexdigest()[:16]}


def drawn_pixels(examples: Examples, generator: torch.Generator) -> Tensor:
    """Zeros and ones, drawn once with the values as probabilities, ``(N, values)``."""
    return sampling.BinaryUnits().drawn(examples.inputs.flatten(1), generator)


def likelihood_facts(
    measure: Callable[..., sampling.LogLikelihood],
    data: Mapping[str, Tensor],
    noun: str,
    label: str = "log-likelihood",
    **how: Any,
) -> tuple[dict[str, Any], ...]:
    """Mean log-probability of examples in nats, with both errors joined, and how safe it is.

    Args:
        measure: ``sampling.log_likelihood`` or ``likelihood_bound`` of a model.
        data: Rows of zeros and ones by name; ``log Z`` is estimated once.
        noun: What one row is.
        label: What is measured.
        how: Options of ``measure`` for ``log Z``; ``temperatures`` are placed by ``towards_one``.
    """
    how["temperatures"] = towards_one(how["temperatures"])
    facts, known = [], None
    for name, rows in data.items():
        with warnings.catch_warnings():  # a fact of its own says so
            warnings.simplefilter("ignore", NakamiWarning)
            found = measure(rows, log_partition=known, **how)
        known = found.log_partition
        spread = math.hypot(found.standard_error, found.spread)
        facts.append(
            {
                "label": f"{name} {label}",
                "value": found.value,
                "spread": spread if math.isfinite(spread) else None,  # NaN of one example
                "spread_kind": f"standard errors of log Z and of {counted(len(rows), noun)}",
                "unit": f"nats per {noun}",
            }
        )
    assert known is not None
    facts.append(
        {
            "label": "effective runs",
            "value": known.effective_sample_size,
            "spread": None,
            "spread_kind": f"of {known.runs} annealed; below 10 the likelihood is doubtful",
            "unit": "",
        }
    )
    return tuple(facts)


def towards_one(steps: int) -> Tensor:
    """Inverse temperatures, closer to each other towards 1, ``(steps + 1,)``.

    With equal steps few annealed runs carry the estimate of a machine trained on digits.
    """
    return 1 - torch.linspace(1, 0, steps + 1, dtype=torch.float64) ** 3
