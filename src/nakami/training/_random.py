"""Random states and threads of a training: what makes it the same bits each time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def phase_generator(seed: int, phase: str) -> torch.Generator:
    """A generator of its own for each pair of seed and phase."""
    digest = hashlib.sha256(f"{seed}/{phase}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:8]) >> 1)


@contextmanager
def one_thread() -> Iterator[None]:
    """Torch computes on one thread within, and on as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
