"""Spectra of the state after some steps, by the first state and by the inputs."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..operators import jacobian
from ..results import (
    DEFAULT_BUDGET,
    PYTHON,
    NotConvergedWarning,
    SpectraOverTime,
    check_count,
    counted,
    is_whole,
    tick,
    told,
    warn,
    wrong,
)
from ..spectra import check_budget, svd, without_autocast
from ._rollout import rolled
from ._state_map import StateMap, Step, as_state_map

STEPS = (1, 5, 10, 20)
ALL_UP_TO, TOP = 512, 64  # a state up to which all values are read; how many beyond
TOL, LEAST = 1e-4, 1e-8  # relative error of the values above this share of the largest


@told
@without_autocast
def spectra_over_time(
    net: nn.Module | Step | StateMap,
    inputs: Any,
    steps: Sequence[int] = STEPS,
    k: int | None = None,
    *,
    start: Any = None,
    memory_budget: int | None = None,
) -> SpectraOverTime:
    """Singular values of a recurrent net's state after t steps: an x-ray with time as depth.

    Of each sequence and time t, the Jacobians of the state ``h_t`` (an LSTM's with the cells)

    * by the state before the first step, ``d h_t / d h_0``: what is left of a difference;
    * by the first input, ``d h_t / d x_1``: what is remembered of it;
    * by all inputs so far, ``d h_t / d (x_1, ..., x_t)``.

    Args:
        net: As ``StateMap`` takes it, or one; read in its arithmetic, float64 by default.
        inputs: Sequences (n, T, I), or one (T, I).
        steps: The times t, rising, up to T.
        k: Values of each spectrum; default all of a state up to 512, else 64.
        start: State before the first input, (S,), or one for each sequence (n, S); default 0.
        memory_budget: Bytes for the Jacobians of one time, default 1 GiB.

    Returns:
        A ``SpectraOverTime``: values with their errors; counts, effective ranks and finite-time
        Lyapunov exponents with standard errors over the sequences.

    Raises:
        UsageError: What ``StateMap`` refuses; times that do not rise or lie beyond T, ``k`` above
            S, a budget that one Jacobian does not fit.

    Warns:
        NotConvergedWarning: Once, with the number of spectra that did not converge.

    Unit: unit of the state by that of the state, or of the input.
    Cost: for each sequence T derivatives of a step, each of S + I forward products, multiplied; for
    each sequence and time three dense spectra of ``S x S``, ``S x I`` and ``S x t I``, in
    ``8 S (S + t I)`` bytes.
    Source: Benettin et al., Meccanica 15, 1980 (exponents); Pascanu et al., ICML 2013 (products of
    Jacobians over time).
    """
    step_map = as_state_map(net)
    data = step_map.sequences(inputs)
    n, length, size = len(data), data.shape[1], step_map.state_size
    times = rising(steps, length)
    k = (size if size <= ALL_UP_TO else TOP) if k is None else k
    k = check_count("k", k, size, "the length of a state", "pass fewer")
    _check_memory(step_map, times[-1], check_budget(memory_budget))
    starts = step_map.starts(start, n)
    _check_derivative(step_map, data[0, :1], starts[:1])
    states = step_map.run(data[:, : times[-1]], starts)
    parts = [list(_read_at(step_map, data[i], states[i], times, k)) for i in range(n)]
    arrays = {
        name: np.array([[[each[s][name] for each in row] for row in parts] for s in range(3)])
        for name in ("values", "errors", "floors", "converged")
    }
    missed = int((~arrays["converged"]).sum())
    if missed:
        text = f"{missed} of {arrays['converged'].size} spectra did not converge; they are marked. "
        warn(NotConvergedWarning(text + "To settle them, {way_out}.", way_out=["lower {k}"]))
    sizes = [[min(size, width) for width in _widths(step_map, t)] for t in times]
    return SpectraOverTime(np.array(times), np.array(sizes).T, **arrays)


def fitting(step_map: StateMap, steps: Sequence[int], budget: int) -> list[int]:
    """Those of some times whose Jacobians fit a budget."""
    return [t for t in steps if _bytes(step_map, t) <= budget]


def check_fits(step_map: StateMap, layer: str, steps: Sequence[int], asked: bool) -> None:
    """Refuse a layer whose Jacobians do not fit the default budget.

    Those over the last time if it was asked for, else over the first: later ones are left out.
    """
    t = steps[-1] if asked else steps[0]
    need = _bytes(step_map, t)
    if need <= DEFAULT_BUDGET:
        return
    got = f"{layer} with a state of {step_map.state_size}"
    over = f"the Jacobian over {counted(t, 'step')} takes {need} bytes"
    ways = [
        PYTHON + "name others with layers=[...]",
        "read it with nakami.recurrent.growth and lyapunov",
    ]
    if fitting(step_map, steps[:1], DEFAULT_BUDGET):
        ways.insert(0, "pass fewer {steps}")
    rule = f"have recurrent layers whose Jacobians fit {DEFAULT_BUDGET} bytes"
    raise wrong("model", rule, f"{got} ({over})", ways)


def rising(steps: Sequence[int], length: int | None = None) -> tuple[int, ...]:
    """Times, refused if they are not rising, or beyond a length."""
    times = list(steps) if isinstance(steps, Sequence) else [steps]
    good = bool(times) and all(is_whole(t) and t >= 1 for t in times)
    good = good and (length is None or times[-1] <= length)
    if not good or sorted(set(times)) != times:
        most = "1" if length is None else f"1 to {length}, the length of a sequence"
        rule = f"be rising whole numbers from {most}"
        usual = [str(t) for t in STEPS if length is None or t <= length]
        raise wrong("steps", rule, repr(steps), f"{', '.join(usual)} will do")
    return tuple(int(t) for t in times)


def _bytes(step_map: StateMap, t: int) -> int:
    return step_map.state_size * sum(_widths(step_map, t)[::2]) * step_map.dtype.itemsize


def _check_memory(step_map: StateMap, t: int, budget: int) -> None:
    need = _bytes(step_map, t)
    if need > budget:
        rule = f"leave room for the Jacobian over {counted(t, 'step')} ({need} bytes)"
        raise wrong("memory_budget", rule, budget, ["raise {memory_budget}", "pass fewer steps"])


def _widths(step_map: StateMap, t: int) -> tuple[int, int, int]:
    """Columns of the Jacobian of each source."""
    return step_map.state_size, step_map.input_size, t * step_map.input_size


def _read_at(
    step_map: StateMap, inputs: Tensor, states: Tensor, times: Sequence[int], k: int
) -> Iterator[list[dict[str, Any]]]:
    """The spectra at each time: the product of the steps so far, cut by source."""
    size, width, _ = _widths(step_map, 1)
    whole = torch.eye(size, dtype=step_map.dtype, device=step_map.device)
    before = slice(times[-1])
    for t, (by_state, by_input) in enumerate(step_map.steps(inputs[before], states[before]), 1):
        tick()
        whole = torch.cat([by_state @ whole, by_input], dim=1)
        if t in times:
            by_inputs = whole[:, size:]
            yield [_read(part, k) for part in (whole[:, :size], by_inputs[:, :width], by_inputs)]


def _check_derivative(step_map: StateMap, inputs: Tensor, start: Tensor) -> None:
    """Warn of a step with another derivative, as every Jacobian does, and refuse a random one."""
    if step_map.input_size:
        jacobian(rolled(step_map), (start, inputs[None]))
    else:
        jacobian(rolled(step_map, inputs), start)


def _read(matrix: Tensor, k: int) -> dict[str, Any]:
    """The largest values of a matrix, NaN where it has fewer."""
    if not matrix.numel():
        nothing = np.full(k, np.nan)
        return {"values": nothing, "errors": nothing, "floors": 0.0, "converged": True}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)
        found = svd(matrix.contiguous(), min(k, *matrix.shape), TOL, vectors=False)
    padded = {
        name: np.pad(row.cpu().numpy(), (0, k - len(row)), constant_values=np.nan)
        for name, row in (("values", found.values), ("errors", found.errors))
    }
    asked = found.values > LEAST * found.values[0]
    settled = found.converged or bool((found.errors[asked] <= TOL).all())
    return {**padded, "floors": found.floor, "converged": settled}
