"""Small dense problems run on one thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

SMALL = 1536


@contextmanager
def one_thread(matrix: Tensor) -> Iterator[None]:
    """One CPU thread for a factorisation of at most 1536 columns.

    LAPACK's threads wait for each other many times a second there: on two busy cores a 784 x 784
    ``eigh`` took 15 s with two threads and 0.06 s with one. On idle cores they gain nothing.
    """
    threads = torch.get_num_threads()
    if threads == 1 or matrix.device.type != "cpu" or min(matrix.shape) > SMALL:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
