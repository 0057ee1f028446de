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
from nakami.data import Examples, tensors_of
from nakami.data._maps import pieces
from nakami.results import NakamiWarning, binomial_error, counted, wrong

Fact = dict[str, Any]  # label, value, spread, spread_kind, unit
ALIKE = 1e-9  # of a mean: values that differ by rounding alone
BOUND = "one-sided bound of 68 %"  # of shares of which the counted are all alike


@torch.no_grad()
def error_fact(model: nn.Module, examples: Examples, label: str = "test error") -> Fact:
    """Share of wrong answers in percent, as ``share_fact``."""
    if examples.labels is None:
        raise wrong("examples", "have labels", None, "pass data.digits()")
    answers = torch.cat([model(part).argmax(1) for part in pieces(examples.inputs)])
    return share_fact(label, answers != examples.labels, examples.noun)


def share_fact(label: str, which: Tensor, noun: str, more: str = "") -> Fact:
    """Share of what is True, ``(N,)``, in percent, with the binomial standard error.

    Of a share of 0 or 1, which has none, with the one-sided bound of 68 %.
    """
    p, n = float(which.double().mean()), counted(len(which), noun)
    kind = f"{BOUND}, {n} all alike" if p in (0, 1) else f"binomial standard error, {n}"
    error = 100 * float(binomial_error(p, len(which)))
    return _percent(label, p, error, f"{kind}{more}")


def resampled_fact(label: str, share: float, error: float, n: int, noun: str, how: str) -> Fact:
    """A figure in percent with the error that repeats of ``n`` parts gave.

    Where all parts are alike, repeats give 0; there it is the one-sided bound of 68 % of the share
    of parts that are otherwise, and of one part alone there is none.

    Args:
        label: What is measured.
        share: In 0..1, or below.
        error: Of the repeats, likewise.
        n: Number of parts.
        noun: What one part is.
        how: What the error is of, in words.
    """
    if n < 2 or not math.isfinite(error):
        return _percent(label, share, None, _kind("", n, noun))
    if error:
        return _percent(label, share, 100 * error, f"standard error, {how}")
    bound = 100 * float(binomial_error(0, n))
    return _percent(label, share, bound, f"{BOUND}, {counted(n, noun)} all alike")


def ratio_of_sums(values: Tensor, weights: Tensor) -> tuple[float, float]:
    """Sum of values by sum of weights, and its standard error over rows; NaN of one alone.

    Args:
        values: Of rows that are independent, ``(N,)``.
        weights: Likewise; where all are 0 there is neither.
    """
    values, weights = values.double(), weights.double()
    total, n = float(weights.sum()), len(values)
    ratio = float(values.sum()) / total if total else math.nan
    if n < 2 or not total:
        return ratio, math.nan
    off = float(((values - ratio * weights) ** 2).sum()) * n / (n - 1)
    return ratio, off**0.5 / total


def _kind(kind: str, n: int, noun: str) -> str:
    """What an error is, or that there is none of one alone."""
    return kind if kind and n > 1 else f"unknown of {counted(n, noun)}"


def _percent(label: str, share: float, error: float | None, kind: str) -> Fact:
    value = 100 * share
    return {"label": label, "value": value, "spread": error, "spread_kind": kind, "unit": "%"}


def mean_fact(values: Tensor, label: str, unit: str, noun: str) -> Fact:
    """Mean of a number of each example, ``(N,)``, with its standard error.

    None of one alone, and where all are alike: a spread of 0 says nothing of others.
    """
    n, mean = len(values), float(values.mean())
    error = float(values.std()) / n**0.5 if n > 1 else None
    kind = _kind(f"standard error, {counted(n, noun)}", n, noun)
    if error is not None and error <= ALIKE * abs(mean):  # says nothing of how far others lie
        error, kind = None, f"unknown of {counted(n, noun)}, all alike"
    return {"label": label, "value": mean, "spread": error, "spread_kind": kind, "unit": unit}


def fingerprint(examples: Examples) -> dict[str, str | int]:
    """What identifies training data: number, and hash of inputs and labels."""
    digest = hashlib.sha256()
    labels = [] if examples.labels is None else [examples.labels]
    for tensor in [*tensors_of(examples.inputs), *labels]:
        for part in pieces(tensor):
            digest.update(part.numpy().tobytes())
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
) -> tuple[Fact, ...]:
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
        said = f"standard errors of log Z and of {counted(len(rows), noun)}"
        facts.append(
            {
                "label": f"{name} {label}",
                "value": found.value,
                "spread": spread if math.isfinite(spread) else None,  # NaN of one example
                "spread_kind": _kind(said, len(rows), noun),
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
