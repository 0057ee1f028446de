"""Lyapunov exponents along driven trajectories: how fast small differences of the state grow."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ..results import (
    LyapunovEnding,
    LyapunovSpectrum,
    Outcome,
    check_at_least,
    check_count,
    check_seed,
    tick,
    wrong,
)
from ._state_map import StateMap, Step, as_state_map

BLOCKS = 16  # for a standard error
DENSE = 4  # times k directions from which the steps' Jacobians are made as matrices
AT_ONCE = 2**22  # entries of these at a time
CORRELATED = 0.5  # of neighbouring blocks: of 16 independent ones in 1 of 100 cases


def lyapunov(
    net: nn.Module | Step | StateMap,
    inputs: Any,
    k: int | None = None,
    *,
    start: Any = None,
    discard: int = 100,
    seed: int = 0,
) -> LyapunovSpectrum:
    """The k largest Lyapunov exponents of a recurrent net driven by sequences.

    ``Q_t R_t = J_t Q_(t-1)`` along the trajectory, ``J_t`` the Jacobian of the state; an exponent
    is the mean of ``ln |R_ii|`` over steps and sequences. The largest is above 0 where small
    differences of the state grow, and with them gradients through time.

    Args:
        net: As ``StateMap`` takes it, or one.
        inputs: Shape (T, I), or (B, T, I) for sequences of one length; (T, 0) without input.
        k: How many; default all S.
        start: State before the first input, (S,) or (B, S); default 0.
        discard: Steps of each sequence before the average begins; directions turn meanwhile.
        seed: Of the first directions.

    Returns:
        Exponents with standard errors by batch means: 16 blocks or more over all sequences. They
        assume that blocks are independent; ``converged`` is False where neighbours are correlated.

    Raises:
        UsageError: What ``StateMap`` refuses; sequences no longer than ``discard``.

    Cost, a step and sequence: k forward products, or the dense Jacobian where k is at least S/4,
    and a QR factorisation O(S k^2). No gradient graph.
    Source: Benettin et al., Meccanica 15, 1980; for recurrent nets Engelken, Wolf and Abbott 2023.
    """
    step_map = as_state_map(net)
    data = step_map.sequences(inputs)
    size = step_map.state_size
    k = size if k is None else check_count("k", k, size, "the length of a state", "pass fewer")
    check_seed(seed)
    discard = check_at_least("discard", discard, 0, "100 is the default")
    n, steps = data.shape[0], data.shape[1] - discard
    if steps < 1:
        got, way_out = f"{data.shape[1]} steps", f"pass longer ones or a discard below {discard}"
        raise wrong("inputs", f"be longer than discard = {discard} steps", got, way_out)
    states = step_map.run(data, start)
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(n, size, k, generator=generator, dtype=torch.float64)
    q = torch.linalg.qr(drawn.to(step_map.device, step_map.dtype)).Q
    logs = torch.empty(n, steps, k, dtype=torch.float64)
    for t, turned in enumerate(_pushes(step_map, data, states, k)):
        tick()
        q, r = torch.linalg.qr(turned(q))
        if t >= discard:
            logs[:, t - discard] = r.diagonal(dim1=1, dim2=2).abs().log()
    return _averaged(logs, size, seed)


def _pushes(
    step_map: StateMap, data: Tensor, states: Tensor, k: int
) -> Iterator[Callable[[Tensor], Tensor]]:
    """For each step what multiplies directions (n, S, k) by the Jacobians there."""
    n, steps, size = len(data), data.shape[1], step_map.state_size
    if DENSE * k < size:  # few directions
        for t in range(steps):
            yield partial(step_map.push, data[:, t], states[:, t])
        return
    together = max(1, AT_ONCE // (n * size**2))
    for first in range(0, steps, together):
        some = slice(first, min(first + together, steps))
        x, h = data[:, some].flatten(0, 1), states[:, some].flatten(0, 1)
        jacobians = step_map.jacobian(x, h).unflatten(0, (n, -1))
        for t in range(jacobians.shape[1]):
            yield partial(torch.matmul, jacobians[:, t])


def _averaged(logs: Tensor, size: int, seed: int) -> LyapunovSpectrum:
    """Means over all steps; errors by batch means."""
    n, steps, _ = logs.shape
    exponents = logs.mean(dim=(0, 1))
    order = torch.argsort(exponents, descending=True)
    length = max(1, steps // math.ceil(BLOCKS / n))
    means = logs[:, : steps // length * length].reshape(n, -1, length, logs.shape[2]).mean(dim=2)
    blocks = n * means.shape[1]
    errors = means.flatten(0, 1).std(dim=0) / math.sqrt(blocks)
    correlation = _correlation(means)
    numbers = {"steps": n * steps, "blocks": blocks, "length": length, "correlation": correlation}
    kind = LyapunovEnding.CORRELATED if correlation > CORRELATED else LyapunovEnding.STEADY
    if blocks < BLOCKS // 2:
        kind = LyapunovEnding.SHORT
    found = (exponents[order].numpy(), errors[order].numpy())
    return LyapunovSpectrum(*found, n * steps, size, seed, Outcome(kind, numbers))


def _correlation(means: Tensor) -> float:
    """Of neighbouring blocks of a sequence: the median over exponents; 0 where there are none."""
    apart = means - means.mean(dim=(0, 1))
    total = apart.square().mean(dim=(0, 1))
    if means.shape[1] < 2 or not bool((total > 0).any()):
        return 0.0
    lagged = (apart[:, 1:] * apart[:, :-1]).mean(dim=(0, 1))
    return float((lagged / total)[total > 0].nanmedian())
