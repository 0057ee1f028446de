"""How much a difference of the state grows over many steps: singular values of the products."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..operators import jacobian
from ..results import Growth, check_at_least, check_count, wrong
from ..spectra import _lapack, svd
from ._rollout import rolled
from ._state_map import StateMap, Step, as_state_map

DENSE = 128  # a state up to which the product is made as a matrix
TOL = 1e-6  # relative, that its values may have lost; else they are found by products


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

    Cost: for each product ``length`` dense Jacobians of a step where S is at most 128, else what
    ``nakami.svd`` takes, up to S products over ``length`` steps.
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
    found = [_read(step_map, data[0, t : t + length], states[t : t + length], k) for t in at]
    values, errors, converged = (np.stack(part) for part in zip(*found, strict=True))
    return Growth(np.asarray(at), length, values, errors, converged)


def _read(step_map: StateMap, inputs: Tensor, states: Tensor, k: int) -> tuple[Any, Any, Any]:
    """The k largest values of one product, their relative errors, and whether they are settled."""
    if step_map.state_size <= DENSE:
        product = torch.eye(step_map.state_size, dtype=step_map.dtype, device=step_map.device)
        size = float(len(inputs) * torch.finfo(step_map.dtype).eps * step_map.state_size)
        for jacobian_ in step_map.jacobian(inputs, states):
            size *= float(torch.linalg.matrix_norm(jacobian_, 2))
            product = jacobian_ @ product
        values = _lapack.svdvals(product)[:k].cpu().numpy()
        errors = size / np.maximum(values, np.finfo(float).tiny)  # of a product of rounded steps
        if errors.max() <= TOL:
            return values, errors, np.array(True)
    found = svd(jacobian(rolled(step_map, inputs), states[0][None]), k)
    return found.values.numpy(), found.errors.numpy(), np.array(found.converged)
