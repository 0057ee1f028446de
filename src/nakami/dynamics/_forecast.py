"""How long an x-ray is going to take, before it begins."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from ..operators import FunctionalModel, Jacobian, View
from ..spectra import EXPECTED_PROBING, LinearOperator
from ._plan import Plan, SpectrumOptions, planned

VALUE = 12  # products for each value of a Krylov run; 5 to 30 were measured at k = 25
LEAST = 32  # and beside them
ALL = 3  # a dense problem in units of m n min(m, n) flops
FLOPS = 1e10  # a second
NARROW, WIDE = 2, 32  # columns of a Krylov step, and of the identity


def expected_seconds(
    model: nn.Module | View,
    inputs: Any,
    stages: str | Sequence[str] = "auto",
    k: int | None = None,
    *,
    layers: bool = False,
    spectrum: SpectrumOptions | None = None,
) -> float:
    """About how long ``xray`` with these arguments takes on this machine, within a factor of 3.

    From products with the Jacobian of the deepest stage, the number of them that each spectrum
    takes, and the work on its basis or its dense matrix. Arguments and errors are those of
    ``check``.

    Cost: that of ``check``, one Jacobian and its products with 68 columns each way.
    """
    return forecast(planned(FunctionalModel(model), inputs, stages, k, layers, spectrum))


def forecast(plan: Plan) -> float:
    """Seconds for all spectra of a plan, see ``expected_seconds``."""
    total = 0.0
    source, deepest = plan.chosen[0], plan.chosen[-1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they are told when the x-ray itself meets them
        x = plan.inputs.at(plan.inputs.longest)
        op = Jacobian(plan.network, x, plan.places, deepest.name, source.name, plan.budget)
        product = {width: _product(op, width) for width in (NARROW, WIDE)}
    for start, stage in plan.readings():
        m, n = stage.size, start.size
        k = plan.values((m, n))
        if k is None:
            products, width, flops = min(m, n), WIDE, float(ALL * m * n * min(m, n))
        else:
            products, width = min(min(m, n), VALUE * k + LEAST), NARROW
            products += EXPECTED_PROBING * (k < min(m, n))
            flops = 4.0 * (m + n) * (2 * k) ** 2
        total += products * product[width] + flops / FLOPS
    return total * len(plan.inputs)


def _product(op: LinearOperator, width: int) -> float:
    """Seconds for one column, forward and back in turns."""
    block = torch.ones(op.shape[1], width, dtype=op.dtype, device=op.device)
    return _timed(lambda: op.T @ (op @ block)) / (2 * width)


def _timed(work: Callable[[], Any]) -> float:
    """Seconds of the second of two runs: the first may load and compile."""
    work()
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
