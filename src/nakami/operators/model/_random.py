"""The random states of torch, Python and NumPy, put back whatever happens."""

from __future__ import annotations

import ctypes
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.random import mtrand

TWISTER = 625 * 4  # bytes of NumPy's global generator, of which a copy takes 30 microseconds


@contextmanager
def random_states_kept(device: torch.device, chance: int | None = None) -> Iterator[None]:
    """As they were after the block; ``chance`` seeds them inside it."""
    torch_state, python_state = torch.get_rng_state(), random.getstate()
    numpy_state = _NumpyState.now()
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
        numpy_state.put_back()
        if cuda is not None:
            torch.cuda.set_rng_state(cuda, device)


class _NumpyState:
    """The state of NumPy's global generator, copied anew only where its memory has changed.

    All draws change the memory but one: of a normal number that the last draw left over. So with
    such a number at hand the state is always copied and put back. One gap is left: a state set by
    hand that has such a number, over a known state with the same memory that has none. The known
    one is then taken for it, and the number is not put back if the block draws.
    """

    _last: _NumpyState | None = None

    def __init__(self, memory: bytes | None):
        self.memory = memory
        self.state: Any = np.random.get_state(legacy=False)

    @property
    def certain(self) -> bool:
        """Whether the memory alone tells of a change."""
        return self.memory is not None and not self.state["has_gauss"]

    @classmethod
    def now(cls) -> _NumpyState:
        """The present one."""
        memory, last = _memory(), cls._last
        if last is None or not last.certain or last.memory != memory:
            last = cls._last = cls(memory)
        return last

    def put_back(self) -> None:
        """Make it the present one."""
        if not self.certain or _memory() != self.memory:
            np.random.set_state(self.state)


def _memory() -> bytes | None:
    """Of NumPy's global generator, a Mersenne Twister; None of another one."""
    generator = mtrand.get_bit_generator()
    if not isinstance(generator, np.random.MT19937):
        return None
    return ctypes.string_at(generator.ctypes.state_address, TWISTER)
