"""How well the best single unit of a layer tells a class from all others."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from nakami.results import binomial_error, wrong


@dataclass(frozen=True)
class BestUnits:
    """For each class the unit, chosen on other examples than it is measured on.

    Attributes:
        units: ``(classes,)``, which unit it is; -1, with NaN below, for a class that has no
            examples, or no others, in one of the parts.
        thresholds: ``(classes,)``: above it the unit says that the class is there.
        accuracy: ``(classes,)``, mean of the shares of the class and of others that are right, on
            the test examples; 0.5 for a guess.
        errors: ``(classes,)``, its binomial standard error, a share of 0 or 1 with the one-sided
            68 % bound in place of its own.
    """

    units: Tensor
    thresholds: Tensor
    accuracy: Tensor
    errors: Tensor


def best_units(activations: Tensor, labels: Tensor, test: Tensor, test_labels: Tensor) -> BestUnits:
    """For each class the unit and the threshold that tell it best, and what they are worth.

    Args:
        activations: ``(N, units)``, those to choose by, at any threshold between two values.
        labels: ``(N,)``, whole numbers from 0 on.
        test: ``(M, units)``, those to measure on.
        test_labels: ``(M,)``.

    Raises:
        UsageError: Activations that are no rows of the same units or not finite, not one label for
            each, or no class with examples and others in both parts.

    Cost: a sort of each unit's activations.
    Source: the best neuron of Le et al., ICML 2012; here class and others count alike.
    """
    labels = _checked("activations", activations, "labels", labels)
    test_labels = _checked("test", test, "test_labels", test_labels)
    if test.shape[1] != activations.shape[1]:
        rule = f"have as many units as activations, {activations.shape[1]}"
        raise wrong("test", rule, test.shape[1], "pass the same layer")
    classes = int(labels.max()) + 1
    rows, order = activations.detach().double().sort(0)
    ends = torch.full((1, rows.shape[1]), float("inf"), dtype=rows.dtype, device=rows.device)
    same = torch.cat([rows[1:], ends]) == rows  # no threshold fits between equal values
    middles = torch.cat([(rows[1:] + rows[:-1]) / 2, ends])
    found = []
    for each in range(classes):
        here, there = labels == each, test_labels == each
        if not all(part.any() and not part.all() for part in (here, there)):
            found.append((-1, *[float("nan")] * 3))
            continue
        below = torch.where(here, -1.0 / here.sum(), 1.0 / (~here).sum()).double()[order].cumsum(0)
        gained, at = below.masked_fill(same, -1.0).max(0)
        unit = int(gained.argmax())
        threshold = float(middles[at[unit], unit])
        said = test[:, unit].double() > threshold
        right = [float((said[there]).double().mean()), float((~said[~there]).double().mean())]
        counts = int(there.sum()), int((~there).sum())
        error = float((binomial_error(right, counts) ** 2).sum()) ** 0.5 / 2
        found.append((unit, threshold, sum(right) / 2, error))
    if all(unit < 0 for unit, *_ in found):
        rule, way_out = "hold a class of labels and others", "pass more examples"
        raise wrong("test_labels", rule, test_labels.unique().tolist(), way_out)
    units, *rest = zip(*found, strict=True)
    return BestUnits(torch.tensor(units), *(torch.tensor(r, dtype=torch.float64) for r in rest))


def _checked(argument: str, rows: Tensor, name: str, labels: Tensor) -> Tensor:
    """The labels where the rows are; refuses rows that are none, and other labels."""
    if rows.ndim != 2 or 0 in rows.shape:
        rule = "have shape (examples, units), one or more of each"
        raise wrong(argument, rule, tuple(rows.shape), "pass x.flatten(1)")
    if not rows.isfinite().all():
        raise wrong(argument, "be finite", "NaN or infinity", "leave those examples out")
    numbers = labels.long()
    if labels.shape != rows.shape[:1] or (numbers != labels).any() or int(numbers.min()) < 0:
        rule = f"be a whole number from 0 on for each of the {len(rows)} rows of {argument}"
        got = f"shape {tuple(labels.shape)} of {labels.dtype}"
        raise wrong(name, rule, got, "number the classes 0, 1, 2, ...")
    return numbers.to(rows.device)
