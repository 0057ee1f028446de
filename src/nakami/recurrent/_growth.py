"""How much a difference of the state grows over many steps: singular values of the products."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from ..operators import jacobian
from ..results import Shown, check_at_least, check_count, wrong
from ..spectra import svd
from ._state_map import StateMap, Step, as_state_map

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Growth(Shown):
    """Singular values of ``J_(t+length-1) ... J_t`` at some steps; made by ``growth``.

    Attributes:
        at: The steps t, shape (n,).
        length: Steps that each product spans.
        singular_values: Shape (n, k), largest first: the first is the largest factor by which a
            small difference at step t has grown after ``length`` steps, and a gradient backwards.
        errors: Relative error of each, shape (n, k).
        converged: Whether all at this step came within tolerance, shape (n,).
    """

    at: Array
    length: int
    singular_values: Array
    errors: Array
    converged: Array

    @property
    def rates(self) -> Array:
        """``ln(singular values) / length``: nats a step, as Lyapunov exponents over finite time."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.singular_values) / self.length)


class _Rollout(nn.Module):
    """The state after some steps, as a module of the state before them."""

    def __init__(self, step_map: StateMap, inputs: Tensor):
        super().__init__()
        self.step_map, self.inputs = step_map, inputs

    def forward(self, h: Tensor) -> Tensor:
        for x in self.inputs:
            h = self.step_map(x.expand(len(h), -1), h)
        return h


def growth(
    net: nn.Module | Step | StateMap,
    inputs: Any,
    length: int,
    k: int = 1,
    *,
    every: int | None = None,
    start: Any = None,
) -> Growth:
    """The largest singular values of the state's Jacobian over many steps, along one sequence.

    Args:
        net: As ``StateMap`` takes it, or one.
        inputs: One sequence, shape (T, I).
        length: Steps that each product spans, up to T.
        k: Singular values of each.
        every: Steps between the products' starts; default ``length``.
        start: State before the first input, (S,); default 0.

    Raises:
        UsageError: What ``StateMap`` refuses; several sequences, a length beyond T, k above S.

    Cost: for each product what ``nakami.svd`` takes, up to S products over ``length`` steps.
    """
    step_map = as_state_map(net)
    data = step_map.sequences(inputs)
    if len(data) != 1:
        got = f"{len(data)} sequences"
        raise wrong("inputs", "be one sequence", got, "call it for each")
    steps = data.shape[1]
    length = check_count("length", length, steps, "the sequence", "pass a longer sequence")
    k = check_count("k", k, step_map.state_size, "the length of a state", "pass fewer")
    stride = length if every is None else check_at_least("every", every, 1, "leave it out")
    states = step_map.run(data, start)[0]
    at = range(0, steps - length + 1, stride)
    found = [
        svd(jacobian(_Rollout(step_map, data[0, t : t + length]), states[t][None]), k) for t in at
    ]
    return Growth(
        np.asarray(at),
        length,
        np.stack([spectrum.values.numpy() for spectrum in found]),
        np.stack([spectrum.errors.numpy() for spectrum in found]),
        np.array([spectrum.converged for spectrum in found]),
    )
