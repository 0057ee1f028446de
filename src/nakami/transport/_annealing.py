"""Epsilon scaling: where ``reg`` is small, solutions at larger ones lead to it.

A step carries mass about as far as the blur reaches, so that from zero potentials the way to a
small ``reg`` is long. In units of the cost potentials change little with ``reg``: those at a
tenfold ``reg`` are a good start (Schmitzer 2019, SIAM J. Sci. Comput. 41, A1443).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from ..results import part
from ._costs import Cost, check_blur, spread
from ._kernels import Kernel
from ._loop import State, iterate

FACTOR = 10.0  # between two stages
LARGEST = 3e-3  # first reg at most, in spreads of the cost: stages above it save nothing
LOOSE = 1e-3  # tolerance of all stages but the last


def stages(reg: float, cost: Cost) -> list[float]:
    """The regs to solve at, each a tenth of the one before; refuses a ``reg`` too small."""
    check_blur(cost, reg)
    found, most = [reg], LARGEST * spread(cost)
    while found[0] * FACTOR <= most:
        found.insert(0, found[0] * FACTOR)
    return found


def annealed(
    kernel_at: Callable[[float], Kernel], regs: list[float], penalty: float | None,
    logs: tuple[Tensor, Tensor], start: tuple[Tensor, Tensor], tolerance: float, most: int,
) -> tuple[State, Kernel]:  # fmt: skip
    """Solve at each of ``regs``; the last state, with the steps of all, and its kernel.

    ``start`` is over the first of ``regs``. A stage takes at most half of the steps that are left,
    so that the last one always has some.
    """
    (f, g), before, steps = start, regs[0], 0
    for reg in regs[:-1]:
        if few := (most - steps) // 2:
            f, g = f * (before / reg), g * (before / reg)
            loose = max(LOOSE, tolerance)
            with part(f"reg {reg:g}"):
                state = iterate(kernel_at(reg), *logs, (f, g), loose, few, damping(reg, penalty))
            f, g, steps, before = state.f, state.g, steps + state.steps, reg
    reg = regs[-1]
    kernel, begin = kernel_at(reg), (f * (before / reg), g * (before / reg))
    with part(f"reg {reg:g}"):
        state = iterate(kernel, *logs, begin, tolerance, most - steps, damping(reg, penalty))
    return replace(state, steps=steps + state.steps), kernel


def damping(reg: float, penalty: float | None) -> float:
    """Of each half-step; 1 where no mass is made or lost."""
    return 1.0 if penalty is None else penalty / (penalty + reg)
