"""The constraint for GRUs of other frameworks, on their weights as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from ..results import EDGE, wrong
from ._constraint import check_delta
from ._projection import project


def project_kernel(kernel: npt.ArrayLike, delta: float = 0.2) -> npt.NDArray[Any]:
    """A GRU's recurrent kernel with its candidate's matrix at ``sigma_1 <= 2 - delta``.

    The candidate is the last block in all of them: columns 2H to 3H of Keras' ``recurrent_kernel``
    (order z, r, h) and of Flax NNX's ``dense_h.kernel`` (r, z, n), rows 2H to 3H of torch's
    ``weight_hh_l0`` (r, z, n), the whole of Flax Linen's ``hn`` kernel. Call it after each step of
    the optimizer and assign what it returns.

    Args:
        kernel: Shape (H, 3 H), (3 H, H) or (H, H), float32 or float64.
        delta: Above 0 and below 2.

    Returns:
        A new array of the same shape and type; gates are copied.

    Raises:
        UsageError: Another shape or type, entries that are not finite, ``delta`` out of range.
    """
    check_delta("delta", delta)
    array = np.array(kernel)
    if array.dtype not in (np.float32, np.float64):
        way_out = "pass kernel.astype('float32')"
        raise wrong("kernel", "be float32 or float64", str(array.dtype), way_out)
    rows, columns = array.shape if array.ndim == 2 else (0, 0)
    side = min(rows, columns)
    if not side or {rows, columns} not in ({side}, {side, 3 * side}):
        way_out = "pass the recurrent kernel, not that of the input"
        raise wrong("kernel", "have shape (H, 3 H), (3 H, H) or (H, H)", array.shape, way_out)
    candidate = array[rows - side :, columns - side :]
    candidate[...] = project(torch.from_numpy(candidate.copy()), EDGE - delta).numpy()
    return array
