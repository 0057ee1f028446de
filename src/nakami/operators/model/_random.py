"""The random states of torch, Python and NumPy, put back whatever happens."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def random_states_kept(device: torch.device, chance: int | None = None) -> Iterator[None]:
    """As they were after the block; ``chance`` seeds them inside it."""
    torch_state, python_state = torch.get_rng_state(), random.getstate()
    numpy_state = np.random.get_state(legacy=False)
    cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
    if chance is not None:
        torch.random.default_generator.manual_seed(chance)
        random.seed(chance)
        np.random.seed(chance)
        if cuda is not None:
            torch.cuda.manual_seed(chance)
    try:
        yield
    finally:
        torch.set_rng_state(torch_state)
        random.setstate(python_state)
        np.random.set_state(numpy_state)
        if cuda is not None:
            torch.cuda.set_rng_state(cuda, device)
