"""The spectrum of one Jacobian at one input, with all that an x-ray keeps of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..operators import Jacobian
from ..results import Spectrum, StageInfo
from ..spectra import PROBING_STEPS, LinearOperator, SVDResult, remainder, svd
from ._inputs import as_array
from ._plan import Plan

KEPT = 4  # vectors kept at the top, in the middle and at the bottom


def spectrum_of(
    plan: Plan,
    i: int,
    source: StageInfo,
    stage: StageInfo,
    values: Callable[[tuple[int, int]], int | None],
    *,
    start: Tensor | None = None,
    steps: int = PROBING_STEPS,
    op: LinearOperator | None = None,
) -> Spectrum:
    """One piece; depends on nothing but its own input, stage and seed, and on ``start``.

    Args:
        plan: What it belongs to.
        i: Which input.
        source: Where the Jacobian starts.
        stage: Where it ends.
        values: How many values of a Jacobian of a shape; None for all.
        start: Guesses of right singular vectors, ``(n, p)``, as ``svd`` takes them.
        steps: Of the deep probes for what is not computed, as ``remainder`` takes them.
        op: The Jacobian, where it is made already.
    """
    began = time.perf_counter()
    if op is None:
        x = plan.inputs.at(i)
        op = Jacobian(plan.network, x, plan.places, stage.name, source.name, plan.budget)
    position = plan.places.position(stage.name)
    seed = seed_of(plan.seed, i, position)
    asked: dict[str, Any] = {"memory_budget": plan.budget, "seed": seed, "start": start}
    result = svd(op, values(op.shape), plan.tol, **asked)
    rest = None
    if len(result.values) < min(op.shape):
        more: dict[str, Any] = {"memory_budget": plan.budget, "seed": seed ^ 1}
        rest = remainder(op, result, steps=steps, **more)
    kept = _kept(len(result.values))
    return Spectrum(
        input=i,
        stage=stage.name,
        source=source.name,
        shape=op.shape,
        values=as_array(result.values),
        residuals=as_array(result.residuals),
        reliable=as_array(result.reliable),
        floor=result.floor,
        outcome=result.outcome,
        method=result.method,
        route=op.route,
        n_products=result.n_products + (rest.n_products if rest else 0),
        kept=kept,
        right=_right(result, kept),
        seconds=time.perf_counter() - began,
        remainder=rest,
        areas=_areas(result, source),
    )


def seed_of(seed: int, i: int, position: int) -> int:
    """The seed of the spectrum at one input and the stage at that position."""
    return int(np.random.SeedSequence([seed, i, position]).generate_state(1)[0])


def _kept(k: int) -> np.ndarray:
    middle = max(0, k // 2 - KEPT // 2)
    groups = (range(KEPT), range(middle, middle + KEPT), range(k - KEPT, k))
    return np.array(sorted({i for group in groups for i in group if 0 <= i < k}), dtype=np.int64)


def _areas(result: SVDResult, source: StageInfo) -> np.ndarray:
    """Participation ratio of the energy of each right vector over the places of the source."""
    assert result.right is not None
    shape = source.shape
    if len(result.right) != source.size:  # a text with a length of its own
        shape = (len(result.right) // shape[-1], shape[-1])
    grid = result.right.reshape(*shape, -1)
    if len(shape) == 2 and source.name != "input":  # positions, each embedded along the last axis
        parts = grid.movedim(1, 0)
    elif len(shape) > 2:  # channels first
        parts = grid.flatten(1, -2)
    else:
        parts = result.right[None]
    energy = parts.square().sum(0)  # of unit vectors, so that each column sums up to 1
    return as_array(energy.sum(0).square() / energy.square().sum(0)).astype(np.float64)


def _right(result: SVDResult, kept: np.ndarray) -> np.ndarray:
    assert result.right is not None
    index = torch.as_tensor(kept, device=result.right.device)
    return as_array(result.right[:, index].T.to(torch.float32))
