"""Spectra in float64 beside those of an x-ray, and where they differ, why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from ...operators import (
    Example,
    FunctionalModel,
    Jacobian,
    PatternJacobian,
    View,
    as_view,
    pattern_of,
)
from ...results import (
    Arithmetic,
    Progress,
    Spectrum,
    Xray,
    check_at_least,
    check_fraction,
    evenly,
    told,
    wrong,
)
from ...spectra import SVDResult, svd, without_autocast
from .._experiment import Arrays, Bench, ExperimentEntry, bench, conducted
from .._inputs import as_array
from .._one_spectrum import seed_of

COUNT = 2  # inputs of the sample


@told
@without_autocast
def arithmetic(
    model: nn.Module | View,
    inputs: Any,
    run: Xray,
    stages: Sequence[str] | None = None,
    *,
    count: int = COUNT,
    tol: float = 1e-8,
    progress: Progress | None = None,
) -> Arithmetic:
    """The spectra of a sample of inputs of an x-ray in float64, and what makes them differ.

    At each input and stage, for the same number of values: those of the x-ray, in float32; those of
    the network in float64; and those of the network in float64 whose units are held on the sides of
    their kinks on which float32 puts them. A ReLU that float32 puts on the other side makes another
    Jacobian, which no method of finding singular values can tell from the right one. So a
    difference has three parts:

    * the kinks: float64 with the sides held, minus float64. The network's own.
    * rounding: how far the Jacobian in float32 is from the held one, ``max(|(J32 - Jh) v|,
      |(J32 - Jh)^T u|)`` for each pair ``u, v`` of singular vectors of the held one. By so much at
      most a value moves. Also the network's own, in float32.
    * the engine: the residual that the x-ray states with each value.

    Args:
        model: The model that the x-ray read, or its ``View``; left as it was.
        inputs: The inputs of the x-ray.
        run: The x-ray, made in float32; in a folder, a piece for each input is kept there.
        stages: Where; default the deepest that was read.
        count: How many inputs, spread over those of the x-ray.
        tol: Bound on the relative error of each value in float64.
        progress: ``progress(done, total, seconds_left, what)``, called after each input.

    Returns:
        An ``Arithmetic``: three spectra, residuals, rounding, and how many units change sides.

    Raises:
        UsageError: Another model or other inputs than the x-ray's, one made in float64, a setting
            out of range; a model that casts to float32 on its way, or whose code passes other
            functions in float64.

    Warns:
        NotConvergedWarning: Once, with the number of spectra that did not converge.

    Cost: for each input and stage one spectrum in float64, a second one where units change sides,
    and ``2 k`` products in each arithmetic.
    Source: Parlett, The Symmetric Eigenvalue Problem, section 4.5 (a residual bounds the distance
    to a singular value).
    """
    table = bench(model, inputs, run)
    if run.settings["dtype"] != "float32":
        rule = "be float32, to be compared with float64"
        raise wrong("dtype", rule, run.settings["dtype"], "leave this experiment out")
    check_fraction("tol", tol, "1e-8 is the default")
    sample = evenly(table.measured, check_at_least("count", count, 1, f"{COUNT} is the default"))
    names = table.stages((run.path[-1],) if stages is None else stages)
    settings = {"stages": names, "count": count, "tol": float(tol)}
    double = FunctionalModel(replace(as_view(model), dtype=torch.float64))
    own = {(s.stage, s.input): s for name in names for s in run.at(name)}
    k = max(len(spectrum.values) for spectrum in own.values())

    def measure(i: int, x: Example) -> Arrays:
        found = [_at_one_stage(table, double, x, own[name, i], tol) for name in names]
        return {name: np.stack([_padded(row[name], k) for row in found]) for name in found[0]}

    ways = ["raise {tol}", "make an x-ray of fewer values"]
    return conducted(Arithmetic, table, settings, measure, progress, ways, sample)


def _at_one_stage(
    table: Bench, double: FunctionalModel, x: Example, own: Spectrum, tol: float
) -> Arrays:
    budget, ends = table.run.settings["memory_budget"], (own.stage, table.source)
    wide = double.example(x.tree, batch=True)
    places = double.stages(wide)
    seed = seed_of(table.run.settings["seed"], own.input, table.places.position(own.stage))

    def spectrum(op: Jacobian) -> SVDResult:
        return svd(op, len(own.values), tol, memory_budget=budget, seed=seed)

    narrow_pattern = pattern_of(table.network, x, own.stage)
    flipped = narrow_pattern.differing(pattern_of(double, wide, own.stage))
    changed = sum(int(units.sum()) for units in flipped)
    op = Jacobian(double, wide, places, *ends, budget)
    if op.coarse:
        rule, got = "be what the network computes in throughout", "float64, from which it casts"
        raise wrong("dtype", rule, got, "leave this experiment out")
    exact = held = spectrum(op)
    if changed:
        op = PatternJacobian(narrow_pattern, flipped, double, wide, places, *ends, budget)
        held = spectrum(op)
    narrow = Jacobian(table.network, x, table.places_at(x), *ends, budget)
    return {
        "single": own.values,
        "double": as_array(exact.values),
        "held": as_array(held.values),
        "residual": own.residuals,
        "rounding": _apart(narrow, op, held),
        "doubt": as_array(torch.maximum(exact.residuals, held.residuals)),
        "floor": np.array(own.floor),
        "flipped": np.array(changed),
        "units": np.array(narrow_pattern.units),
        "converged": np.array(exact.converged and held.converged),
    }


def _apart(narrow: Jacobian, wide: Jacobian, held: SVDResult) -> np.ndarray:
    """By how much products with singular vectors differ, ``(k,)``."""
    assert held.right is not None
    assert held.left is not None
    right, left = held.right.to(narrow.dtype), held.left.to(narrow.dtype)
    forth = (narrow @ right).double() - wide @ right.double()
    back = (narrow.T @ left).double() - wide.T @ left.double()
    return as_array(torch.maximum(forth.norm(dim=0), back.norm(dim=0)))


def _padded(values: np.ndarray, k: int) -> np.ndarray:
    """A row of k values, NaN after those that there are; a number as it is."""
    if not values.ndim:
        return values
    return np.pad(values, (0, k - len(values)), constant_values=np.nan)


ENTRY = ExperimentEntry(
    arithmetic, "spectra in float64 beside float32: what of a difference is the network's own"
)
